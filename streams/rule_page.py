"""The pages on rules, written from the packs: one page a pack in `docs/rules/`, and what `rules show` prints.

Rules:
1. Nothing on a page is written by hand; `consentinel rules docs` writes them, and a test compares them byte for byte.
2. A page says what a rule asks in the words of its pack, conditions included, and what it cannot see.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from zoneinfo import ZoneInfo

from streams.core.canonical import to_sql
from streams.core.instant import NEVER, moment_of
from streams.core.rule import Amount, AnyRule, Clause, DeadlineRule, Rule, WindowRule
from streams.core.rulebook import Rulebook

INDEX = "README.md"
HEAD = "Written by `consentinel rules docs` from `streams/law/`; change the pack, not this page."
SURE = {
    "firm": "firm: the text of the law is plain here",
    "likely": "likely: a reading that a lawyer should check",
    "unverified": "unverified: have it checked before you rely on it",
}


def pages(book: Rulebook) -> Mapping[str, str]:
    """Every page by file name, the index among them; each ends with a newline."""
    found = {f"{pack.replace('.', '-')}.md": _pack_page(book, pack) for pack in book.packs}
    lines = ["# The rules, pack by pack", "", HEAD, "", "| pack | rules | cases in them |", "|---|---|---|"]
    for pack in book.packs:
        rules = [rule for rule in book.written() if rule.pack == pack]
        cases = sum(len(rule.tests) for rule in rules)
        lines.append(f"| [`{pack}`]({pack.replace('.', '-')}.md) | {len(rules)} | {cases} |")
    return found | {INDEX: "\n".join(lines) + "\n"}


def _pack_page(book: Rulebook, pack: str) -> str:
    rules = [rule for rule in book.written() if rule.pack == pack]
    lines = [f"# Rules of the pack {pack}", "", HEAD, "", "| rule | level | kind | standing |", "|---|---|---|---|"]
    lines += [_row(each) for each in rules]
    sections = [f'<a id="{anchor(each)}"></a>\n\n## {each.id}\n\n{section(each)}' for each in rules]
    return "\n".join([*lines, "", "\n\n".join(sections)]) + "\n"


def _row(rule: AnyRule) -> str:
    return f"| [`{rule.id}`](#{anchor(rule)}) | {rule.level} | {rule.rule_kind} | {_standing(rule)} |"


def _standing(rule: AnyRule) -> str:
    return "off" if rule.off else rule.standing


def anchor(rule: AnyRule) -> str:
    """Where a rule stands on its page."""
    later = "" if rule.revision == 1 else f"-{rule.revision}"
    return rule.id.replace(".", "-") + later


def section(rule: AnyRule) -> str:
    """What one revision of a rule says, in Markdown; without an end."""
    runbook, _, place = rule.annotations.runbook.partition("#")
    where = f"[runbook](../{runbook.removeprefix('docs/')}#{place})" if place else f"`{runbook}`"
    lines = [f"**{rule.title}.** {_flat(rule.description)}", "", f"- Law: {_flat(rule.citation)}"]
    lines.append(f"- In force: {_dates(rule)}; revision {rule.revision}; {_standing(rule)}; level {rule.level}")
    lines.append(f"- For: {_everybody(rule)}; a finding is one {rule.per}")
    lines.append(f"- Confidence: {SURE[rule.confidence]}")
    lines += [f"- Cannot see: {_flat(rule.limits)}"] if rule.limits else []
    lines += [f"- See: {each}" for each in rule.references]
    lines += [f"- What to do: {where}", "", *_says(rule), f"Cases in the pack ({len(rule.tests)}):", ""]
    lines += [f"- {each.test.shape}: {each.test.name} → {each.test.expect}" for each in rule.tests]
    return "\n".join(lines)


def _flat(text: str | None) -> str:
    return " ".join((text or "").split())


def _dates(rule: AnyRule) -> str:
    zone = ZoneInfo(rule.timezone)
    since = moment_of(rule.from_instant).astimezone(zone).date()
    ended = "" if rule.until_instant >= NEVER else f" to {_last_day(rule, zone)}"
    return f"from {since}{ended} ({rule.timezone})"


def _last_day(rule: AnyRule, zone: ZoneInfo) -> str:
    return str((moment_of(rule.until_instant) - timedelta(microseconds=1)).astimezone(zone).date())


def _everybody(rule: AnyRule) -> str:
    where = ", ".join(rule.jurisdictions) or "everywhere"
    return f"{where}; {', '.join(rule.controller_types) or 'every type of controller'}"


def _says(rule: AnyRule) -> Iterator[str]:
    """What the rule asks, kind by kind."""
    match rule:
        case Rule():
            yield from _condition(rule)
        case WindowRule():
            span = "one local day" if rule.days == 1 else f"{rule.days} local days"
            counted = rule.count.replace("_", " ")
            yield f"Speaks where at least {rule.at_least} {counted} of one {rule.key} fall in {span}."
            if rule.or_beyond is not None:
                yield f"Speaks too where more of them name one exception record than its `{rule.or_beyond}` allows."
            yield ""
            for name, each in (("Counts", rule.counts), ("Silent if one", rule.unless)):
                yield from () if each is None else _condition(each, name)
        case DeadlineRule():
            yield from _deadline(rule)


def _condition(rule: Rule, name: str = "Fires") -> Iterator[str]:
    yield f"{name}, judging {'an' if rule.judges[0] == 'a' else 'a'} {rule.judges.replace('_', ' ')}, where:"
    yield from ("", "```sql", to_sql(rule.condition.root), "```", "")
    for excuse in rule.excuses:
        yield f"Excused (`{excuse.name}`; {_flat(excuse.citation)}) where:"
        yield from ("", "```sql", to_sql(excuse.condition.root), "```", "")
    if not rule.excusable:
        yield from ("No exception record excuses it.", "")


def _deadline(rule: DeadlineRule) -> Iterator[str]:
    yield f"A duty for each {', '.join(rule.key)} ({rule.once}), due {_amount(rule.due)}."
    yield ""
    for name, clauses in (("Opened", rule.opens), ("Fulfilled", rule.fulfilled_by), ("Extended", rule.extended_by)):
        yield from (f"- {name} by {_clause(each)}" for each in clauses)
    if not rule.fulfilled_by:
        yield "- Nothing fulfils it: what opens it is the breach, once the time has passed"
    yield ""


def _clause(clause: Clause) -> str:
    if clause.stored_persons is not None:
        return f"{clause.stored_persons} stored persons at a local day's end"
    condition = clause.condition if clause.case is None else clause.case.condition
    what = clause.record if clause.case is None else clause.case.judges
    where = "" if condition is None else f" where `{_flat(to_sql(condition.root))}`"
    earlier = ", also an earlier one" if clause.earlier else ""
    longer = "" if clause.due is None else f", by {_amount(clause.due)}"
    return f"{str(what).replace('_', ' ')}{where}{earlier}{longer}"


def _amount(due: Amount) -> str:
    after = due.after if isinstance(due.after, int) else f"`{due.after}`"
    of = "" if due.counted_from is None else f" after `{due.counted_from}`"
    period = "" if due.from_end_of is None else f" after the end of the {due.from_end_of}"
    days = "" if due.calendar is None else f" (calendar {due.calendar}{', moved to a working day' if due.roll else ''})"
    return f"{after} {due.unit.replace('_', ' ')}{period}{of}{days}"
