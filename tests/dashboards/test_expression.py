"""What a query asks is held against the catalogue: each misspelling, and each misuse, is told."""

from __future__ import annotations

import pytest

from dashboards.expression import Known, examine

KNOWN = Known(recorded={"rule:violations:rate5m": frozenset({"rule_id"})})

GOOD = [
    ("sum by (rule_id, level) (rate(consentinel_violations_total[5m]))", {"rule_id", "level"}),
    ("sum without (instance) (consentinel_warm)", {"job"}),
    ("histogram_quantile(0.99, sum by (le) (rate(consentinel_judge_seconds_bucket[5m])))", set()),
    ('increase(consentinel_events_total{outcome="judged"}[5m])', {"topic", "outcome", "job", "instance"}),
    ('sum(rate(consentinel_events_total{outcome=~"judged|rejected"}[5m]))', set()),
    ("topk(3, rule:violations:rate5m)", {"rule_id"}),
    ("count by (rule_id) (consentinel_verdicts_total)", {"rule_id"}),
    ("absent(consentinel_events_total)", set()),
    ('label_replace(vector(1), "a", "b", "", "")', {"a"}),
    ("max_over_time(sum(rate(consentinel_events_total[5m]))[1h:])", set()),
    (
        "consentinel_warm * on (instance) group_left (version) consentinel_build_info",
        {"job", "instance", "version"},
    ),
    ("sum by (topic) (consentinel_view_fresh) and on (topic) sum by (topic) (consentinel_view_lag_records)", {"topic"}),
    ('sum(rate(consentinel_withdrawal_to_match_seconds_bucket{le=~"60.0|[+]Inf"}[5m]))', set()),
    ('rate(consentinel_judge_seconds_bucket{le="+Inf"}[5m])', {"le", "job", "instance"}),
    ("up == 0", {"job", "instance"}),
]
BAD = [
    ("consentinel_violation_total", "no metric of the catalogue"),
    ("rate(consentinel_judge_seconds[5m])", "no metric of the catalogue"),
    ('rate(consentinel_events_total{outcom="judged"}[5m])', "no label outcom"),
    ('rate(consentinel_events_total{outcome="judge"}[5m])', "never judge"),
    ('rate(consentinel_events_total{outcome=~"judged|lost"}[5m])', "never lost"),
    ("sum by (site_id) (rate(consentinel_violations_total[5m]))", "nothing below has a label site_id"),
    ("sum by (level) (sum by (rule_id) (rate(consentinel_violations_total[5m])))", "nothing below has a label level"),
    ("sum(consentinel_violations_total)", "is a counter"),
    ("consentinel_violations_total > 5", "is a counter"),
    ("rate(consentinel_warm[5m])", "is no counter"),
    ("histogram_quantile(0.9, consentinel_judge_seconds_bucket)", "is a counter"),
    ("consentinel_warm / on (rule_id) consentinel_build_info", "nothing below has a label rule_id"),
    ("consentinel_warm * on (instance) group_left (digest) consentinel_build_info", "nothing below has a label digest"),
    ('rate(consentinel_withdrawal_to_match_seconds_bucket{le="60"}[5m])', "no bucket that ends at 60"),
    ("sum(rate(", "no PromQL"),
    ('x{site=~"$site"', "no PromQL"),
]


@pytest.mark.parametrize(("text", "labels"), GOOD)
def test_what_is_right_has_no_problem_and_its_labels_are_known(text: str, labels: set[str]) -> None:
    found = examine(text, KNOWN)
    assert found.problems == []
    assert found.labels == labels


@pytest.mark.parametrize(("text", "told"), BAD)
def test_what_is_wrong_is_told(text: str, told: str) -> None:
    assert any(told in problem for problem in examine(text, KNOWN).problems)


def test_ranges_are_told_with_the_function_that_asks_them() -> None:
    found = examine("rate(consentinel_events_total[90s])", KNOWN)
    assert (found.ranges, found.metrics) == ([("rate", 90.0)], {"consentinel_events_total"})
