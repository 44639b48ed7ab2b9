"""Face updates of Frigate: the payloads of its MQTT topic `tracked_object_update`, one JSON object a line.

Rules:
1. Frigate publishes after every attempt at a face, and every attempt searched it: each update is an event of its own.
2. All attempts at one tracked object are one probe, at rank 0 each: the object's id makes the probe id.
3. A name at or above the threshold is a match. A name below it is `inconclusive` and names nobody: Frigate itself
   does not act on it, and the monitor must not claim more about a person than the recogniser.
4. No name is `inconclusive` too, unless the mapping says `unnamed: non_match`.
5. An update whose name or score cannot be read keeps its event, with the decision `not_reported`.
6. All other types are skipped and counted, those of `frigate/events` and `frigate/reviews` too: a `sub_label` may be
   a licence plate, a custom class or a hand's work, so alone it is no evidence of biometrics.

Why no rising `event_version`: a higher version *replaces* an event, as if the lower had been a mistake in the report.
An attempt that named somebody else was no mistake in the report; it happened, the name went out over MQTT, and what it
breached stays breached. A running number would need a memory that a restart loses, and a version counted from the
object's start is either too coarse for two quick attempts or too large for a long stay. Object and time of the attempt
make an id that every reader finds again.

Why an unnamed attempt is no non-match: Frigate gives no name when all attempts so far were unknown, but also when
there were fewer than `min_faces`, and when two names are level. An employee who agreed often has such attempts before
the first good one; as non-matches they would be strangers, searched without consent. Who runs Frigate with
`min_faces: 1` and wants to see strangers can say `unnamed: non_match` and knows what it means.

Source: Frigate 0.18, MQTT documentation and `data_processing/real_time/face.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from streams.ingest.mapping import DeviceMapping
from streams.ingest.native import Flaw, digest, instant, number
from streams.ingest.probe import Candidate, Probe, Skip

UNKNOWN = "unknown"
"""The word that Frigate keeps for a face it does not know; no person can be enrolled under it."""

OTHER_TYPES = {
    "description": "description",
    "lpr": "licence_plate",
    "classification": "classification",
    "new": "tracked_object",
    "update": "tracked_object",
    "end": "tracked_object",
}
TEXT_MAX = 512


def read(update: Mapping[str, Any], mapping: DeviceMapping) -> Iterator[Probe | Flaw | Skip]:
    """The probe of one line, or why there is none."""
    kind = update.get("type")
    if not isinstance(kind, str):
        yield Flaw("type", "a text")
    elif kind != "face":
        yield Skip(OTHER_TYPES.get(kind, "unknown_type"))
    else:
        yield from _face(update, mapping)


def _face(update: Mapping[str, Any], mapping: DeviceMapping) -> Iterator[Probe | Flaw]:
    camera, thing = update.get("camera"), update.get("id")
    if not _is_text(camera) or not _is_text(thing):
        yield Flaw("camera, id", f"texts of 1 to {TEXT_MAX} characters")
        return
    seconds = number(update.get("timestamp"))
    moment = instant(seconds) if seconds is not None else None
    if moment is None:
        yield Flaw("timestamp", "seconds since 1970, up to 2199")
        return
    probe_id = f"frigate:{digest(mapping.system_id, str(thing))}"
    attempt_id = f"frigate:{digest(mapping.system_id, str(thing), moment.isoformat())}"
    name, score = update.get("name"), number(update.get("score"))
    if not isinstance(name, str | None) or name == "" or "name" not in update:
        yield Flaw("name", "a name or null")
    elif score is None or not 0 <= score <= 1:
        yield Flaw("score", "a number from 0 to 1")
    else:
        yield _searched((str(camera), probe_id, attempt_id), moment, name, score, mapping)
        return
    yield Probe(str(camera), probe_id, attempt_id, moment, "not_reported")


def _searched(
    ids: tuple[str, str, str], moment: Any, name: str | None, score: Decimal, mapping: DeviceMapping
) -> Probe:
    if name is None or name == UNKNOWN:
        # Frigate writes 0.0 here, which says that there is no score, not that it was 0.
        return Probe(*ids, moment, mapping.unnamed)
    if score < mapping.exact_threshold:
        return Probe(*ids, moment, "inconclusive", score=float(score))
    return Probe(*ids, moment, "match", (Candidate(name, float(score)),))


def _is_text(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= TEXT_MAX
