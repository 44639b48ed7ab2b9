"""The grounds of a context: authority, exception and gallery that a message names, and what somebody attests.

Rules:
1. What a message does not name is known to be none; what it names and no record has is missing.
2. A paper says what it says, granted or not; only `authority_evidenced` asks that it is granted, proven and in scope.
3. An attestation speaks where the event is silent, for its device before its purpose; of several in force that disagree
   none speaks, and one whose value is not of the fact's type says nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from schemas.registry import (
    AttestationRecord,
    AuthorityRecord,
    DeviceRecord,
    ExceptionRecord,
    GalleryRecord,
    PurposeRecord,
)
from streams.core.condition import FactType
from streams.core.facts import FACTS, Fact, Source
from streams.core.instant import moment_of
from streams.core.registry import Registry

if TYPE_CHECKING:
    from streams.core.context import Combination, Context

NO_AUTHORITY: Mapping[str, object] = {
    "authority_evidenced": False,
    "authority_basis": "none",
    "authority_requested_by_subject": False,
    "authority_registered": False,
    "authority_status": "none",
    "authority_type": "none",
    "authority_objective": "none",
    "authority_urgent": False,
    "authority_requested": False,
    "authority_in_scope": False,
    "authority_offence_annex_ii": False,
    "authority_max_penalty_years": 0,
    "authority_fria": False,
    "authority_eu_registered": False,
    "authority_national_law": False,
    "authority_written_request": False,
    "authority_facts_stated": False,
    "authority_case_linked": False,
    "authority_narrow": False,
    "authority_targets": (),
}
ATTESTABLE: tuple[Fact, ...] = tuple(fact for fact in FACTS.values() if fact.attestable)
TYPES: Mapping[FactType, type] = {FactType.BOOLEAN: bool, FactType.TEXT: str, FactType.TEXTS: tuple}


def attested(name: str) -> str:
    """The name of the column with what is attested for a fact."""
    return f"attested_{name}"


def authority(
    context: Context, registry: Registry, wanted: Combination, device: DeviceRecord | None, instant: int
) -> None:
    """The authority that the message names."""
    if wanted.authority_id is None:
        context.facts.update(NO_AUTHORITY)
        return
    found = registry.find_instrument("authority", wanted.authority_id, instant)
    paper = found.record
    if not isinstance(paper, AuthorityRecord):
        context.missing(Source.AUTHORITY, found)
        context.facts.update({} if found.why else NO_AUTHORITY)
        context.facts.update(_later(registry, wanted.authority_id, instant))
        return
    context.used(Source.AUTHORITY, paper)
    context.facts.update(_said_by(paper), **_later(registry, wanted.authority_id, instant))
    in_scope = _in_scope(paper, wanted, device)
    granted = paper.status == "granted" and paper.evidence_ref is not None
    context.facts["authority_in_scope"] = in_scope
    if in_scope is None:
        context.follow(Source.AUTHORITY, Source.DEVICE)
    if in_scope is not None or not granted:
        evidenced = granted and in_scope is True
        basis = paper.basis if evidenced else "none"
        requested = paper.requested_by_subject if evidenced else False
        context.facts.update(
            authority_evidenced=evidenced, authority_basis=basis, authority_requested_by_subject=requested
        )


def _later(registry: Registry, authority_id: str, instant: int) -> dict[str, object]:
    """What may be recorded afterwards: in urgency use may begin before it is asked for (EU AI Act, Art. 5(3))."""
    paper = registry.find("authority", authority_id, instant).record
    if not isinstance(paper, AuthorityRecord):
        return {}
    asked = paper.requested_at is not None and paper.requested_at <= moment_of(instant)
    return {"authority_urgent": bool(paper.urgent), "authority_requested": asked}


def _said_by(paper: AuthorityRecord) -> dict[str, object]:
    """What an authority says of itself, whatever its scope."""
    return {
        "authority_registered": True,
        "authority_status": paper.status,
        "authority_type": paper.authority_type,
        "authority_objective": paper.objective,
        "authority_offence_annex_ii": paper.offence_annex_ii,
        "authority_max_penalty_years": paper.max_penalty_years,
        "authority_fria": paper.fria_ref is not None,
        "authority_eu_registered": paper.eu_registration_ref is not None,
        "authority_national_law": paper.national_law_ref is not None,
        "authority_written_request": paper.written_request_ref is not None,
        "authority_facts_stated": paper.facts_ref is not None,
        "authority_case_linked": paper.case_ref is not None,
        "authority_narrow": paper.narrow,
        "authority_targets": paper.target_refs or (),
    }


def exception(
    context: Context, registry: Registry, wanted: Combination, device: DeviceRecord | None, instant: int
) -> None:
    """The exception record that the message names, and the rules that instruments in force excuse, named or not."""
    _excused(context, registry, wanted, device, instant)
    if wanted.exception_id is None:
        context.facts["exception_evidenced"] = False
        return
    found = registry.find_instrument("exception", wanted.exception_id, instant)
    paper = found.record
    if not isinstance(paper, ExceptionRecord):
        context.missing(Source.EXCEPTION, found)
        context.facts.update({} if found.why else {"exception_evidenced": False})
        return
    context.used(Source.EXCEPTION, paper)
    in_scope = _covers(paper, wanted, device)
    if in_scope is None and paper.evidence_ref is not None:
        context.follow(Source.EXCEPTION, Source.DEVICE)
    else:
        context.facts["exception_evidenced"] = bool(in_scope) and paper.evidence_ref is not None


def _excused(
    context: Context, registry: Registry, wanted: Combination, device: DeviceRecord | None, instant: int
) -> None:
    """By rule, the evidenced exception records in force that cover a case; and the rules of which that is not known."""
    surely: dict[str, list[str]] = {}
    perhaps: set[str] = set()
    for thing in registry.owned("exception", wanted.controller_id):
        found = registry.find_instrument("exception", thing, instant)
        if found.why is not None:
            papers = [each for each in registry.statements("exception", thing) if isinstance(each, ExceptionRecord)]
            perhaps.update(rule for paper in papers for rule in paper.rule_ids)
        elif isinstance(found.record, ExceptionRecord) and found.record.evidence_ref is not None:
            covers = _covers(found.record, wanted, device)
            if covers is None:
                perhaps.update(found.record.rule_ids)
            for rule in found.record.rule_ids if covers else ():
                surely.setdefault(rule, []).append(found.record.record_id)
    context.excused_by = {rule: tuple(sorted(papers)) for rule, papers in surely.items()}
    context.facts["excused_rules"] = tuple(sorted(surely))
    context.facts["perhaps_excused_rules"] = tuple(sorted(perhaps - surely.keys()))


def _covers(paper: ExceptionRecord, wanted: Combination, device: DeviceRecord | None) -> bool | None:
    """Whether an exception covers a case; None where only the device's record could tell."""
    in_scope = _in_scope(paper, wanted, device)
    if in_scope is not False and paper.purpose_ids and wanted.purpose_id not in paper.purpose_ids:
        return False
    return in_scope


def _in_scope(
    paper: AuthorityRecord | ExceptionRecord, wanted: Combination, device: DeviceRecord | None
) -> bool | None:
    """Whether a paper covers controller, device and site; None where only the device's record could tell."""
    if paper.controller_id != wanted.controller_id:
        return False
    if paper.device_ids and wanted.device_id not in paper.device_ids:
        return False
    if not paper.site_ids:
        return True
    return None if device is None else device.site_id in paper.site_ids


def gallery(context: Context, registry: Registry, wanted: Combination, instant: int) -> None:
    """The gallery that was searched, where the event names one."""
    if wanted.reference_database_id is None:
        context.facts.update(gallery_registered=False, gallery_provenance="none", gallery_criteria=())
        return
    found = registry.find("gallery", wanted.reference_database_id, instant)
    record = found.record
    if not isinstance(record, GalleryRecord):
        context.missing(Source.GALLERY, found)
        context.facts["gallery_registered"] = None if found.why else False
        return
    context.used(Source.GALLERY, record)
    context.facts.update(
        gallery_registered=True, gallery_provenance=record.provenance, gallery_criteria=record.criteria
    )


def attestations(
    context: Context, registry: Registry, wanted: Combination, purpose: PurposeRecord | None, instant: int
) -> None:
    """What is attested for the device, and where it is silent for the purpose."""
    abouts = [f"device/{wanted.device_id}", *([] if purpose is None else [f"purpose/{purpose.id}"])]
    for about in abouts:
        papers = [
            paper for paper in registry.attestations(about, instant) if paper.controller_id == wanted.controller_id
        ]
        for fact in ATTESTABLE:
            _attest(context, fact, [paper for paper in papers if paper.fact == fact.name])
    name = "necessary_for_service"
    if context.facts.get(name) is None:
        context.facts[name] = context.facts.get(attested(name))
    traits = context.facts.get(attested("inferred_attributes"))
    if isinstance(traits, tuple):
        context.attested["sensitive_attributes"] = context.attested["inferred_attributes"]


def _attest(context: Context, fact: Fact, papers: list[AttestationRecord]) -> None:
    """Take what the papers agree on, where nothing nearer was attested."""
    values = {paper.value for paper in papers if _fits(fact, paper.value)}
    if len(values) == 1 and fact.name not in context.attested:
        context.facts[attested(fact.name)] = values.pop()
        context.attested[fact.name] = tuple(sorted(paper.record_id for paper in papers))


def _fits(fact: Fact, value: object) -> bool:
    wanted = TYPES.get(fact.type)
    return wanted is not None and isinstance(value, wanted)
