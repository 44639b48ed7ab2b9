"""The context of a case: every fact that the registry gives about one combination of device, purpose and claims.

Rules:
1. A context is a pure function of the registry, the combination and the instant, constant between the instants at
   which a record involved begins or ends; a batch has few combinations, so each is computed once and kept.
2. What the event claims of itself decides nothing: the site comes from the device's record, the law from the site.
3. `absent` names the sources whose negative answer rests on a missing record; the feeds decide later whether it may.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import NamedTuple

from schemas.registry import (
    AssessmentRecord,
    AuthorityRecord,
    ControllerRecord,
    DeviceRecord,
    NoticeRecord,
    PurposeRecord,
    RegistryRecord,
    SiteRecord,
)
from streams.core.facts import Source, Unknown
from streams.core.grounds import attestations, authority, exception, gallery
from streams.core.instant import NEVER, micros, moment_of
from streams.core.registry import Found, Registry


class Combination(NamedTuple):
    """What of a message the registry is asked about."""

    controller_id: str
    device_id: str
    site_id: str | None
    purpose_id: str | None
    notice_id: str | None
    authority_id: str | None
    exception_id: str | None
    reference_database_id: str | None = None


class Context:
    """Facts by name, the unknown sources with their reasons, the sources that rest on absence, the records used."""

    __slots__ = ("absent", "attested", "excused_by", "facts", "records", "why")

    def __init__(self) -> None:
        self.facts: dict[str, object] = {}
        self.why: dict[Source, Unknown] = {}
        self.absent: set[Source] = set()
        self.records: dict[Source, tuple[str, ...]] = {}
        self.attested: dict[str, tuple[str, ...]] = {}
        """The attestations behind each fact that is attested."""
        self.excused_by: dict[str, tuple[str, ...]] = {}
        """By rule id, the exception records that excuse it."""

    def missing(self, source: Source, found: Found) -> None:
        """Note that the record of `source` is not there, or why that cannot be said."""
        self.why[source] = found.why or Unknown.NOT_REGISTERED
        if found.why is None:
            self.absent.add(source)

    def follow(self, source: Source, other: Source) -> None:
        """Note that nothing can be said of `source` because of what is missing of `other`."""
        self.why[source] = self.why[other]
        if other in self.absent:
            self.absent.add(source)

    def used(self, source: Source, *records: RegistryRecord) -> None:
        """Note the records on which the facts of `source` rest."""
        self.records[source] = tuple(record.record_id for record in records)


def context_at(registry: Registry, combination: Combination, instant: int) -> Context:
    """Everything the registry says about a combination at an instant."""
    context = Context()
    device = _device(context, registry, combination, instant)
    _site(context, registry, device, instant)
    _controller(context, registry, combination, instant)
    purpose = _purpose(context, registry, combination, device, instant)
    _notice(context, registry, combination, purpose, device, instant)
    _assessment(context, registry, purpose, instant)
    gallery(context, registry, combination, instant)
    authority(context, registry, combination, device, instant)
    exception(context, registry, combination, device, instant)
    attestations(context, registry, combination, purpose, instant)
    return context


def _device(context: Context, registry: Registry, wanted: Combination, instant: int) -> DeviceRecord | None:
    found = registry.find("device", wanted.device_id, instant)
    device = found.record
    if not isinstance(device, DeviceRecord):
        context.missing(Source.DEVICE, found)
        context.facts["device_registered"] = None if found.why else False
        return None
    context.used(Source.DEVICE, device)
    context.facts.update(
        device_registered=True,
        device_zone=device.zone,
        controller_agrees=device.controller_id == wanted.controller_id,
        site_agrees=wanted.site_id in (None, device.site_id),
    )
    return device


def _site(context: Context, registry: Registry, device: DeviceRecord | None, instant: int) -> None:
    if device is None:
        context.follow(Source.SITE, Source.DEVICE)
        return
    found = registry.find("site", device.site_id, instant)
    site = found.record
    if not isinstance(site, SiteRecord):
        context.missing(Source.SITE, found)
        context.facts["site_registered"] = None if found.why else False
        return
    context.used(Source.SITE, site, device)
    now = moment_of(instant)
    context.facts.update(
        site_registered=True,
        site_id=site.id,
        site_kind=site.site_kind,
        jurisdictions=site.jurisdictions,
        site_public=site.publicly_accessible,
        sign_verified=any(
            seen is not None and seen <= now for seen in (site.sign_verified_at, device.sign_verified_at)
        ),
        recognition_default=site.recognition_default,
        alternative_available=None if site.alternative_methods is None else bool(site.alternative_methods),
        face_required_by_law=site.face_required_by is not None,
    )


def _controller(context: Context, registry: Registry, wanted: Combination, instant: int) -> None:
    found = registry.find("controller", wanted.controller_id, instant)
    controller = found.record
    if not isinstance(controller, ControllerRecord):
        context.missing(Source.CONTROLLER, found)
        return
    context.used(Source.CONTROLLER, controller)
    context.facts.update(
        controller_type=controller.controller_type,
        minor_rules=controller.minor_rules,
        controller_exemptions=controller.exemptions,
        retention_policy_public=controller.retention_policy_ref is not None,
    )


def _purpose(
    context: Context, registry: Registry, wanted: Combination, device: DeviceRecord | None, instant: int
) -> PurposeRecord | None:
    if wanted.purpose_id is None:
        context.why[Source.PURPOSE] = Unknown.NOT_REPORTED
        context.facts["purpose_registered"] = False
        return None
    found = registry.find("purpose", wanted.purpose_id, instant)
    purpose = found.record
    if not isinstance(purpose, PurposeRecord) or purpose.controller_id != wanted.controller_id:
        context.missing(Source.PURPOSE, found)
        context.facts["purpose_registered"] = None if found.why else False
        return None
    context.used(Source.PURPOSE, purpose)
    context.facts.update(
        purpose_registered=True,
        purpose_specific=purpose.specific_text is not None,
        necessity_evidenced=purpose.necessity_ref is not None,
        purpose_category=purpose.category,
        legal_basis=purpose.legal_basis,
        basis_evidenced=purpose.basis_evidence_ref is not None,
        written_consent_required=purpose.written_consent_required,
        necessary_for_service=purpose.necessary_for_service,
        purpose_operations=purpose.operations,
        purpose_attributes=purpose.attributes,
        retention_stated=purpose.retention_days is not None,
        retention_days=purpose.retention_days,
        special_category_basis=purpose.special_category_basis or "none",
        purpose_commercial=purpose.commercial,
        site_allowed=True if not purpose.site_ids else None if device is None else device.site_id in purpose.site_ids,
    )
    return purpose


def _notice(
    context: Context,
    registry: Registry,
    wanted: Combination,
    purpose: PurposeRecord | None,
    device: DeviceRecord | None,
    instant: int,
) -> None:
    if purpose is None:
        context.follow(Source.NOTICE, Source.PURPOSE)
        return
    papers, hidden = registry.papers("notice", purpose.id, instant)
    covers = [(paper, _covers(paper, purpose, device)) for paper in papers if isinstance(paper, NoticeRecord)]
    notices = [paper for paper, covered in covers if covered]
    context.used(Source.NOTICE, *notices)
    unplaced = hidden is None and any(covered is None for _, covered in covers)
    if unplaced:
        hidden = context.why[Source.DEVICE]
    answers = {
        "notice_in_force": bool(notices),
        "notice_states_retention": any(notice.states_retention for notice in notices),
    }
    context.facts["prompt_given"] = False
    if wanted.notice_id is not None:
        answers["prompt_given"] = any(notice.id == wanted.notice_id for notice in notices)
    # Each answer asks whether some notice says so: another notice could make a FALSE true, and no TRUE false.
    context.facts.update({name: answer or (None if hidden else False) for name, answer in answers.items()})
    if all(answers.values()):
        return
    if unplaced:
        context.follow(Source.NOTICE, Source.DEVICE)
    elif hidden is not None or not notices:
        context.missing(Source.NOTICE, Found(why=hidden))
    else:
        context.absent.add(Source.NOTICE)


def _covers(notice: NoticeRecord, purpose: PurposeRecord, device: DeviceRecord | None) -> bool | None:
    """Whether a notice about the purpose is the controller's, for its present method, and shown where the device is."""
    if notice.controller_id != purpose.controller_id or notice.method_version != purpose.method_version:
        return False
    if not notice.site_ids:
        return True
    return None if device is None else device.site_id in notice.site_ids


def _assessment(context: Context, registry: Registry, purpose: PurposeRecord | None, instant: int) -> None:
    if purpose is None:
        context.follow(Source.ASSESSMENT, Source.PURPOSE)
        return
    papers, hidden = registry.papers("assessment", purpose.id, instant)
    current = [
        paper
        for paper in papers
        if isinstance(paper, AssessmentRecord)
        and paper.controller_id == purpose.controller_id
        and paper.method_version == purpose.method_version
    ]
    if not current:
        context.missing(Source.ASSESSMENT, Found(why=hidden))
    context.used(Source.ASSESSMENT, *current)
    if current or hidden is None:
        context.facts["assessment_current"] = bool(current)


def things(registry: Registry, combination: Combination) -> set[tuple[str, str]]:
    """Kind and id of everything on record on which the context of a combination may rest."""
    devices = [each for each in registry.statements("device", combination.device_id) if isinstance(each, DeviceRecord)]
    found = {("device", combination.device_id), ("controller", combination.controller_id)}
    found |= {("site", device.site_id) for device in devices}
    found |= {("purpose", combination.purpose_id or ""), ("authority", combination.authority_id or "")}
    found |= {("exception", combination.exception_id or ""), ("gallery", combination.reference_database_id or "")}
    found |= {("exception", thing) for thing in registry.owned("exception", combination.controller_id)}
    for about in (f"device/{combination.device_id}", f"purpose/{combination.purpose_id}"):
        found |= {("attestation", paper) for paper in registry.paper_ids("attestation", about)}
    for kind in ("notice", "assessment"):
        found |= {(kind, paper) for paper in registry.paper_ids(kind, combination.purpose_id or "")}
    return found


def edges(registry: Registry, combination: Combination) -> list[int]:
    """Every instant at which the context of a combination may change, sorted."""
    devices = [each for each in registry.statements("device", combination.device_id) if isinstance(each, DeviceRecord)]
    asked_of = things(registry, combination)
    found = {instant for kind, thing in asked_of for instant in registry.instants(kind, thing)}
    sites = [each for kind, thing in asked_of if kind == "site" for each in registry.statements(kind, thing)]
    signs = [each.sign_verified_at for each in (*devices, *sites) if isinstance(each, DeviceRecord | SiteRecord)]
    asked = [
        each.requested_at
        for each in registry.statements("authority", combination.authority_id or "")
        if isinstance(each, AuthorityRecord)
    ]
    return sorted(found | {micros(seen) for seen in (*signs, *asked) if seen is not None})


class Contexts:
    """The contexts of all combinations met since the registry last changed, each by a small integer."""

    __slots__ = ("_known", "_revision", "generation", "rows")

    def __init__(self) -> None:
        self._revision = -1
        self.generation = 0
        self._known: dict[Combination, tuple[list[int], list[int]]] = {}
        self.rows: list[Context] = []

    def refresh(self, registry: Registry) -> None:
        """Forget everything if the registry changed or too much is kept; to be called between batches only."""
        if registry.revision != self._revision or len(self.rows) > ROWS_MAX:
            self._revision = registry.revision
            self.generation += 1
            self._known.clear()
            self.rows = []

    def segments(self, registry: Registry, combination: Combination) -> tuple[list[int], list[int]]:
        """First instants of the stretches of a combination, and the index into `rows` that holds on each."""
        known = self._known.get(combination)
        if known is None:
            starts = [-NEVER, *edges(registry, combination)]
            first = len(self.rows)
            self.rows.extend(context_at(registry, combination, start) for start in starts)
            known = self._known[combination] = (starts, list(range(first, len(self.rows))))
        return known


ROWS_MAX = 100_000
"""Contexts kept at most (about 3 KB each); a flood of made-up device names must not fill the memory."""


def index_at(segments: tuple[list[int], list[int]], instant: int) -> int:
    """The index into `rows` that holds at an instant."""
    starts, indices = segments
    return indices[bisect_right(starts, instant) - 1]
