"""The packs of the distribution as a whole: complete, cited, dated, careful in what they say, and documented."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from schemas.vocabulary import Level
from small_world import UNDETERMINED, VIOLATION, a_world, the_law
from streams.core.facts import CaseKind
from streams.core.instant import moment_of
from streams.core.rule import AnyRule, Rule
from streams.core.rulebook import load
from streams.packs import distributed

ROOT = Path(__file__).parents[2]

LEVELS: dict[Level, set[str]] = {
    "critical": {
        "cnpipl.art47.court-order",
        "eu.aiact.5-3.request-24h",
        "us.wa.43386.080.tracking",
        "eu.aiact.26-10.rejected",
        "eu.aiact.26-10.untargeted",
        "eu.aiact.5-1e.scraped-gallery",
        "eu.aiact.5-1f.emotion",
        "eu.aiact.5-1g.categorise",
        "eu.aiact.5-1h.objective",
        "eu.aiact.5-2.target",
        "eu.aiact.5-3.prior-auth",
        "eu.aiact.5-3.rejected",
        "eu.aiact.5-5.national-law",
        "eu.gdpr.7-3.after-withdrawal",
        "eu.gdpr.9.basis",
        "eu.gdpr.9.inference",
        "us.il.15b.release",
        "us.il.15c.sale",
        "us.ma.220.order",
        "us.nyc.1202b.sale",
        "us.pdx.3410.use",
        "us.sf.19b2.use",
        "us.tx.503.consent",
        "us.wa.43386.080.protected",
        "us.wa.43386.080.warrant",
        "cn2023.art05.consent",
        "cn2023.art06.banned-zone",
        "cn2023.art10.remote",
        "cn2023.art11.sensitive",
        "cn2023.art13.minor",
        "cn2025.art06.consent",
        "cn2025.art06.after-withdrawal",
        "cn2025.art07.minor",
        "cn2025.art13.private-space",
        "cnpipl.art13.consent",
        "cnpipl.art15.after-withdrawal",
        "cnpipl.art31.minor",
        "cnpipl.art47.restricted-use",
        "cnvideo.art08.zone",
    },
    "high": {
        "cnpipl.art47.erasure",
        "cn2025.art08.retention",
        "cn2025.art12.coercion",
        "cn2025.art15.filing",
        "cn2023.art12.human-review",
        "eu.gdpr.12-3.response",
        "eu.gdpr.17.erasure",
        "eu.gdpr.5-1e.retention",
        "eu.aiact.5-2.registration",
        "eu.aiact.26-10.request-48h",
        "us.il.15a.retention",
        "us.tx.503.destroy",
        "us.wa.19373.delete",
        "eu.aiact.14-5.two-person",
        "eu.aiact.5-2.fria-reg",
        "eu.aiact.5-3.solely",
        "eu.gdpr.22-4.automated",
        "eu.gdpr.35.dpia",
        "us.il.15d.disclose",
        "us.ma.220.emergency-facts",
        "us.ma.220.written-request",
        "us.nyc.1202a.sign",
        "us.tx.503.disclose",
        "us.tx.503.web-image",
        "us.wa.19373.consent",
        "us.wa.19373.share",
        "us.wa.43386.030.review",
        "core.device.unregistered",
        "core.purpose.unknown",
        "core.purpose.drift",
        "cn2023.art04.purpose",
        "cn2023.art07.purpose-lock",
        "cn2023.art09.coercion",
        "cn2023.art14.building",
        "cn2023.art15.pia",
        "cn2023.art17.original",
        "cn2025.art04.purpose",
        "cn2025.art05.notice",
        "cn2025.art06.bundled",
        "cn2025.art08.offdevice",
        "cn2025.art09.pia",
        "cn2025.art10.sole-method",
        "cn2025.art10.refuser",
        "cn2025.art13.public-security",
        "cnpipl.art06.purpose",
        "cnpipl.art16.refusal",
        "cnpipl.art17.notice",
        "cnpipl.art23.share",
        "cnpipl.art26.public-security",
        "cnpipl.art28.sensitive-inference",
        "cnpipl.art55.pia",
    },
    "medium": {
        "core.exception.overuse",
        "cnpipl.art18.later-notice",
        "cn2025.art09.archive",
        "cnvideo.art14.filing",
        "cnvideo.art17.keep30",
        "cn2023.art16.filing",
        "cn2023.art18.bystander",
        "eu.gdpr.19.recipients",
        "eu.aiact.5-4.notify",
        "eu.aiact.26-6.logs",
        "us.ma.220.quarterly",
        "us.sf.19b2.inadvertent-log",
        "core.exception.unevidenced",
        "cn2023.art07.sign",
        "cn2025.art13.sign",
        "cnpipl.art26.sign",
        "eu.aiact.50-3.inform",
        "us.il.15a.policy",
        "us.ma.220.log-fields",
    },
    "low": {
        "cn2023.art04.nonbiometric-first",
        "cn2023.art09.prompt",
        "core.record.missing",
        "us.pdx.3410.verify",
        "us.wa.19375.enroll",
    },
    "info": {"cn2025.art10.all-fr", "cn2025.art15.near"},
}
LAWS = {
    "cn2023": (r"Draft Provisions \(CAC\), Art\. \d+", "8 August 2023, never in force"),
    "cn2025": (r"Measures \(CAC and MPS Order No\. 19\), Art\. \d+", "in force since 1 June 2025"),
    "cnpipl": (r"Personal Information Protection Law, Art\. \d+", "in force since 1 November 2021"),
    "cnvideo": (r"Regulation on Public Security Video Image Systems .*, Art\. \d+", "in force since 1 April 2025"),
    "core": (r"House rule; .*Art\. \d+", ""),
    "eu.aiact": (r"AI Act \(Regulation \(EU\) 2024/1689\), Art\. \d+", "applicable"),
    "eu.gdpr": (r"GDPR \(Regulation \(EU\) 2016/679\), Art\. \d+", "applicable since 25 May 2018"),
    "us.il": (r"740 ILCS 14/15\([a-d]\)", "in force since 3 October 2008"),
    "us.ma": (r"M\.G\.L\. c\. 6 s\. 220", "in force since 1 July 2021"),
    "us.nyc": (r"NYC Admin\. Code 22-1202\([ab]\)", "in force since 9 July 2021"),
    "us.pdx": (r"Portland City Code 34\.10", "in force since 1 January 2021"),
    "us.sf": (r"San Francisco Admin\. Code, 19B\.2", "in force since June 2019"),
    "us.tx": (r"Tex\. Bus\. & Com\. Code 503\.001", "in force since 1 "),
    "us.wa": (r"RCW \d+\.\d+", "in force since "),
}
JURISDICTIONS = {
    "eu.aiact": "EU",
    "eu.gdpr": "EU",
    "us.il": "US-IL",
    "us.ma": "US-MA",
    "us.nyc": "US-NY-NYC",
    "us.pdx": "US-OR-PDX",
    "us.sf": "US-CA-SF",
    "us.tx": "US-TX",
    "us.wa": "US-WA",
}
OWN_DATES = {
    "core.exception.overuse@2": "2026-11-26T00:00:00+00:00",
    "eu.aiact.14-5.two-person": "2027-12-01T23:00:00+00:00",
    "eu.aiact.26-10.rejected": "2027-12-01T23:00:00+00:00",
    "eu.aiact.26-10.untargeted": "2027-12-01T23:00:00+00:00",
    "eu.aiact.26-10.request-48h": "2027-12-01T23:00:00+00:00",
    "eu.aiact.26-6.logs": "2027-12-01T23:00:00+00:00",
    "eu.aiact.50-3.inform": "2026-08-01T22:00:00+00:00",
    "us.tx.503.web-image": "2026-01-01T06:00:00+00:00",
    "us.wa.19373.delete": "2024-03-31T07:00:00+00:00",
    "us.wa.19373.consent": "2024-03-31T07:00:00+00:00",
    "us.wa.19373.share": "2024-03-31T07:00:00+00:00",
    "us.wa.19375.enroll": "2017-08-01T07:00:00+00:00",
}
"""Rules that begin on another day than their pack."""
FIRST_INSTANTS = {
    "cn2023": "2023-08-07T16:00:00+00:00",
    "cn2025": "2025-05-31T16:00:00+00:00",
    "cnpipl": "2021-10-31T16:00:00+00:00",
    "cnvideo": "2025-03-31T16:00:00+00:00",
    "core": "1970-01-01T00:00:00+00:00",
    "eu.aiact": "2025-02-01T23:00:00+00:00",
    "eu.gdpr": "2018-05-24T22:00:00+00:00",
    "us.il": "2008-10-03T05:00:00+00:00",
    "us.ma": "2021-07-01T04:00:00+00:00",
    "us.nyc": "2021-07-09T04:00:00+00:00",
    "us.pdx": "2021-01-01T08:00:00+00:00",
    "us.sf": "2019-07-01T07:00:00+00:00",
    "us.tx": "2009-09-01T05:00:00+00:00",
    "us.wa": "2021-07-01T07:00:00+00:00",
}
SHADOWED = {"us.pdx.3410.verify"}
GUILT = re.compile(r"(?i)\b(unlawful|illegal|guilty|offend|offen[cs]e|crime|culprit|breach(ed)?|violat\w+)\b")
every_rule = pytest.mark.parametrize("rule", [pytest.param(rule, id=rule.column) for rule in the_law().every()])


def test_the_rules_are_exactly_these_with_these_levels() -> None:
    assert {rule.id: rule.level for rule in the_law().every()} == {
        rule_id: level for level, rule_ids in LEVELS.items() for rule_id in rule_ids
    }


def test_each_pack_loads_alone() -> None:
    packs = {load([text]).packs for text in distributed()}
    assert packs == {(pack,) for pack in LAWS}


@every_rule
def test_a_rule_cites_its_law_its_article_and_its_date(rule: AnyRule) -> None:
    law, dated = LAWS[rule.pack]
    assert re.match(law, rule.citation)
    assert dated in rule.citation
    article = re.match(r"\w+\.art0?(\d+)\.", rule.id)
    assert article is None or f"Art. {article[1]}" in rule.citation


@every_rule
def test_an_exception_cites_its_article(rule: AnyRule) -> None:
    wanted = r"Art\. \d+" if rule.pack.startswith(("c", "eu")) else r"\d"
    excuses = rule.excuses if isinstance(rule, Rule) else ()
    assert all(re.search(wanted, excuse.citation) for excuse in excuses)


@every_rule
def test_a_rule_begins_with_its_law_and_holds_where_it_holds(rule: AnyRule) -> None:
    usual = OWN_DATES.get(rule.id, FIRST_INSTANTS[rule.pack])
    assert moment_of(rule.from_instant).isoformat() == OWN_DATES.get(rule.column, usual)
    assert rule.jurisdictions == (() if rule.pack == "core" else (JURISDICTIONS.get(rule.pack, "CN"),))
    assert rule.standing == ("what_if" if rule.pack == "cn2023" or rule.id in SHADOWED else "in_force")


@every_rule
def test_an_alert_speaks_of_records_and_never_of_guilt(rule: AnyRule) -> None:
    said = f"{rule.annotations.summary} {rule.annotations.description}"
    assert GUILT.search(said) is None
    assert rule.annotations.summary.startswith("What if: ") == (rule.standing == "what_if")


@every_rule
def test_a_rule_has_a_runbook_at_the_anchor_it_names(rule: AnyRule) -> None:
    anchor = rule.id.replace(".", "-")
    assert rule.annotations.runbook == f"docs/runbooks.md#{anchor}"
    page = (ROOT / "docs" / "runbooks.md").read_text(encoding="utf-8")
    assert f'<a id="{anchor}"></a>\n\n### {rule.id}\n' in page


def test_the_runbooks_know_no_rule_that_is_not_there() -> None:
    page = (ROOT / "docs" / "runbooks.md").read_text(encoding="utf-8")
    of_rules = page.partition("\n## House rules\n")[2].partition("\n## Alerts of Prometheus\n")[0]
    assert set(re.findall(r"^### (\S+)$", of_rules, re.MULTILINE)) == {rule.id for rule in the_law().every()}


@every_rule
def test_a_doubtful_rule_says_what_it_cannot_see(rule: AnyRule) -> None:
    approximate = rule.limits is not None and "Approximation" in rule.limits
    by_law = {
        *("cn2023.art04.purpose", "cn2023.art09.coercion", "cn2023.art13.minor", "cn2023.art14.building"),
        *("cn2025.art04.purpose", "cn2025.art07.minor", "cn2025.art10.refuser"),
        *("eu.gdpr.22-4.automated", "eu.aiact.5-3.solely", "us.ma.220.emergency-facts"),
        *("us.wa.43386.030.review", "us.wa.43386.080.protected"),
        *("cnpipl.art06.purpose", "cnpipl.art16.refusal", "cnpipl.art28.sensitive-inference", "cnpipl.art31.minor"),
    }
    assert approximate == (rule.id in by_law)


@pytest.mark.parametrize("rule_id", ["cnvideo.art08.zone", "cn2025.art13.private-space", "cn2023.art06.banned-zone"])
def test_the_ban_on_private_rooms_knows_no_exception(rule_id: str) -> None:
    (rule,) = [each for each in the_law().rules if each.id == rule_id]
    assert rule.excuses == ()
    assert not [fact for fact in rule.facts if fact.startswith(("authority", "exception", "claimed"))]


def test_a_world_in_order_breaks_no_rule_and_leaves_none_open() -> None:
    for world in (a_world(), a_world(door={}), a_world(handover={"recipient_role": "processor"})):
        assert world.rules(VIOLATION) == set()
        assert world.rules(UNDETERMINED) == set()


def test_no_rule_asks_a_selector_twice() -> None:
    # Where and when a rule holds is said by its selectors, in one place; a condition that asks again hides it.
    for kind in CaseKind:
        for rule in the_law().of_kind(kind):
            assert not {"jurisdictions", "controller_type", "occurred_at"} & set(rule.facts), rule.id
