"""Groups are what the log says, whatever the batches, the repeats and the order of partitions; no person is in them."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts_child import a_violation
from schemas.verdict import Violation
from streams.alerting.alert_group import AlertGroup, AlertGroups, Change, Effect, GroupKey, GroupState, LogPlace
from streams.alerting.wording import correction

STATUSES = ("open", "retracted", "contested", "excused")
LEVELS = ("critical", "high", "medium", "low", "info")


def statement(number: int, status: str, cause: str, site: int, level: str = "critical") -> Violation:
    """What is said of one violation; its site and rule are its own for ever."""
    rule = f"{level}.rule"
    return a_violation(number, status=status, cause=cause, site_id=f"site-{site}", level=level, rule_id=rule)


@st.composite
def histories(draw: st.DrawFn) -> list[list[Violation]]:
    """For each violation what is said of it, in order: first a judgement, then corrections, some of them alike."""
    found = []
    for number in range(draw(st.integers(1, 6))):
        site, level = draw(st.integers(0, 2)), draw(st.sampled_from(LEVELS))
        first = statement(number, draw(st.sampled_from(("open", "excused"))), "judged", site, level)
        causes = draw(st.lists(st.sampled_from(("record", "event", "reconciled")), max_size=5))
        later = [statement(number, draw(st.sampled_from(STATUSES)), cause, site, level) for cause in causes]
        found.append([first, *later])
    return found


@st.composite
def merged(draw: st.DrawFn, histories: list[list[Violation]]) -> list[Violation]:
    """The histories as one log: each in its order, their order among each other by chance."""
    turns = draw(st.permutations([index for index, each in enumerate(histories) for _ in each]))
    left = [iter(each) for each in histories]
    return [next(left[index]) for index in turns]


def folded(log: list[Violation]) -> tuple[AlertGroups, list[Change]]:
    groups = AlertGroups()
    changes = [groups.fold(violation, float(at), LogPlace(0, at)) for at, violation in enumerate(log)]
    return groups, [change for change in changes if change is not None]


def picture(groups: AlertGroups) -> dict[GroupKey, Any]:
    """What is known of each group, without the clock."""
    return {group.key: (+group.counts, group.first_at, set(group.happenings)) for group in groups}


def test_what_is_taken_back_of_an_older_version_takes_nothing_back_of_the_newer_one() -> None:
    newer = a_violation(1, event_version=2, cause="event")
    taken_back = a_violation(1, status="retracted", cause="event")
    moved, _ = folded([a_violation(1), taken_back, newer])
    crossed, changes = folded([newer, a_violation(1), taken_back])
    assert [+group.counts for group in crossed] == [+group.counts for group in moved] == [Counter(open=1)]
    assert len(changes) == 1


def test_a_newer_version_that_another_partition_judged_first_stands_after_the_older_one_was_taken_back() -> None:
    taken_back = a_violation(1, status="retracted", cause="event")
    moved, _ = folded([a_violation(1), taken_back, a_violation(1, event_version=2)])
    assert [+group.counts for group in moved] == [Counter(open=1)]


def test_what_a_frozen_worker_writes_once_more_raises_nothing_that_was_taken_back() -> None:
    groups, changes = folded([a_violation(1), a_violation(1, status="retracted", cause="record"), a_violation(1)])
    assert [+group.counts for group in groups] == [Counter(retracted=1)]
    assert [change.effect for change in changes] == [Effect.RAISED, Effect.RESOLVED]


def counts(groups: AlertGroups) -> dict[GroupKey, Counter[str]]:
    return {group.key: +group.counts for group in groups}


def expected(histories: list[list[Violation]]) -> dict[GroupKey, Counter[str]]:
    """The same said plainly: the last status of each violation, counted by group."""
    severity = {"critical": "critical", "high": "warning", "medium": "info"}
    found: defaultdict[GroupKey, Counter[str]] = defaultdict(Counter)
    for history in histories:
        last = history[-1]
        if last.level in severity:
            key = GroupKey(last.rule_id, last.controller_id, last.site_id, severity[last.level])  # type: ignore[arg-type]
            found[key][last.status] += 1
    return dict(found)


@given(st.data())
def test_a_group_counts_the_last_word_on_each_of_its_violations_in_any_order_of_partitions(data: st.DataObject) -> None:
    said = data.draw(histories())
    groups, _ = folded(data.draw(merged(said)))
    assert counts(groups) == expected(said)


@pytest.mark.parametrize("last", ["open", "retracted"])
def test_a_violation_that_goes_to_and_fro_ends_as_was_said_last(last: str) -> None:
    before = {"open": "retracted", "retracted": "open"}[last]
    to_and_fro = [a_violation(1, status=status, cause="reconciled") for status in (before, last)]
    groups, changes = folded([a_violation(1, status=last), *to_and_fro, *to_and_fro])
    assert [+group.counts for group in groups] == [Counter({last: 1})]
    assert changes[-1].violation.status == last


@given(st.data())
def test_a_stretch_of_the_log_that_a_crash_repeats_leaves_every_violation_as_it_was(data: st.DataObject) -> None:
    said = data.draw(histories())
    log = data.draw(merged(said))
    end = data.draw(st.integers(0, len(log)))
    begin = data.draw(st.integers(0, end))
    assert counts(folded([*log[:end], *log[begin:end], *log[end:]])[0]) == expected(said)


@given(st.data())
def test_a_first_word_and_the_last_one_that_come_again_change_nothing_and_are_told_to_nobody(
    data: st.DataObject,
) -> None:
    log = data.draw(merged(data.draw(histories())))
    end = data.draw(st.integers(0, len(log)))
    last = {each.violation_id: each for each in log[:end]}
    again = [each for each in log[:end] if not each.corrects or each == last[each.violation_id]]
    repeated = data.draw(st.permutations(again))
    once, changes = folded(log)
    twice, told = folded([*log[:end], *repeated, *log[end:]])
    assert picture(twice) == picture(once)
    assert [(each.violation, each.effect) for each in told] == [(each.violation, each.effect) for each in changes]


@given(st.data())
def test_two_sites_are_never_in_one_group(data: st.DataObject) -> None:
    _, changes = folded(data.draw(merged(data.draw(histories()))))
    assert all(change.group.key.site_id == change.violation.site_id for change in changes)


@given(st.data())
def test_every_end_has_a_beginning_and_a_group_is_raised_only_when_it_was_at_rest(data: st.DataObject) -> None:
    _, changes = folded(data.draw(merged(data.draw(histories()))))
    raised: Counter[GroupKey] = Counter()
    for change in changes:
        key = change.group.key
        raised[key] += {Effect.RAISED: 1, Effect.RESOLVED: -1}.get(change.effect, 0)
        assert raised[key] in (0, 1)
        assert change.effect in (Effect.QUIET, Effect.RESOLVED) or raised[key] == 1


@pytest.mark.parametrize("change", [{"standing": "what_if"}, {"level": "low"}, {"level": "info"}])
def test_what_alerts_nobody_is_in_no_group(change: dict[str, str]) -> None:
    groups, changes = folded([a_violation(1, **change)])
    assert not list(groups)
    assert not changes


def test_an_excused_violation_is_counted_and_raises_nothing() -> None:
    groups, (change,) = folded([a_violation(1, status="excused", excused_by=["exception:paper"])])
    (group,) = groups
    assert change.effect is Effect.QUIET
    assert group.counts["excused"] == 1
    assert not group.was_raised


def only(log: list[Violation]) -> AlertGroup:
    (group,) = folded(log)[0]
    return group


def test_a_group_that_falls_quiet_is_dormant_and_one_whose_violations_are_retracted_is_resolved() -> None:
    opened = a_violation(1)
    assert only([opened]).state(now=10.0, dormant_seconds=60) is GroupState.FIRING
    assert only([opened]).state(now=61.0, dormant_seconds=60) is GroupState.DORMANT
    retracted = a_violation(1, status="retracted", cause="record")
    assert only([opened, retracted]).state(now=10.0, dormant_seconds=60) is GroupState.RESOLVED


def test_a_contested_violation_stands_and_its_group_says_so() -> None:
    group = only([a_violation(1), a_violation(1, status="contested", cause="record")])
    assert group.standing == 1
    assert group.counts["contested"] == 1
    assert group.correction.startswith("Contested, a person has to decide")


def test_a_group_names_its_latest_events_and_forgets_those_that_were_retracted() -> None:
    log = [a_violation(number, occurred_at=f"2026-03-10T04:00:{number:02d}Z") for number in range(9)]
    log.append(a_violation(8, occurred_at=log[8].occurred_at, status="retracted", cause="event"))
    group = only(log)
    assert [each.name for each in group.happenings] == ["event-4", "event-5", "event-6", "event-7"]
    assert group.standing == 8


def test_a_correction_says_how_late_the_record_was_where_the_message_tells() -> None:
    class Told:
        """A violation of a later contract, as far as a sentence asks."""

        status = "retracted"
        cause = "record"
        occurred_at = a_violation().occurred_at
        reached_log_at = a_violation(occurred_at="2026-03-10T04:00:43Z").occurred_at

    told: Any = Told()
    assert correction(told) == "Retracted: a record reached the log 43 s late."
