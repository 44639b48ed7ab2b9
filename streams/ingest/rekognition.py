"""Records of a Rekognition stream processor, as it puts them on a Kinesis data stream, one JSON object a line.

Rules:
1. Every detected face is a probe: it was searched, whether or not the collection held somebody like it.
2. A face matches whoever reaches the threshold of the mapping; nobody does: a non-match, with the best score.
3. A person is the ExternalImageId, or the FaceId where the collection has none. The references of one person count
   once; persons are ranked by similarity, ties by FaceId.
4. The time is ProducerTimestamp + FrameOffsetInSeconds; the time of the server is the time of the upload.
5. A face whose matches cannot be read keeps its event, with the decision `not_reported`: it was searched all the same.
6. Probe ids come from region, stream, fragment, offset and place of the face, and not from the account number.

Source: Amazon Rekognition developer guide, "Understanding the Kinesis face recognition JSON frame record".
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from streams.ingest.mapping import DeviceMapping
from streams.ingest.native import Flaw, digest, instant, number, parse
from streams.ingest.probe import CANDIDATES_MAX, Candidate, Probe, Skip

STREAM = re.compile(
    r"arn:aws[a-z-]{0,16}:kinesisvideo:([a-z0-9-]{1,32}):[^:/]{0,32}:stream/([A-Za-z0-9_.-]{1,256})(/[0-9]{1,20})?"
)
"""Region, name and, behind a slash, the moment of creation; between region and name the account, which we leave."""
FRAGMENT = re.compile(r"[0-9]{1,128}", re.ASCII)
SIMILARITY_MAX = 100


@dataclass(frozen=True, slots=True)
class Frame:
    """The analysed frame that a record is about."""

    stream: str
    capture: tuple[str, ...]
    """What tells this frame from every other one of the installation."""
    occurred_at: datetime


@dataclass(frozen=True, slots=True)
class Match:
    """One reference that the recogniser found similar."""

    face_id: str = field(repr=False)
    native_id: str = field(repr=False)
    similarity: Decimal


def read(record: Mapping[str, Any], mapping: DeviceMapping) -> Iterator[Probe | Flaw | Skip]:
    """The probes of one line: one record, or several as a Lambda function gets them (`Records[].kinesis.data`)."""
    if "Records" not in record:
        yield from _record(record, mapping, "")
        return
    wrapped = record["Records"]
    if not isinstance(wrapped, list):
        yield Flaw("Records", "a list")
        return
    for index, item in enumerate(wrapped):
        where = f"Records[{index}]"
        found = _unwrap(item, f"{where}.kinesis.data")
        if isinstance(found, Flaw):
            yield found
        else:
            yield from _record(found, mapping, f"{where}.")
    if not wrapped:
        yield Skip("empty_batch")


def _unwrap(item: object, where: str) -> dict[str, Any] | Flaw:
    kinesis = item.get("kinesis") if isinstance(item, Mapping) else None
    data = kinesis.get("data") if isinstance(kinesis, Mapping) else None
    try:
        raw = base64.b64decode(data, validate=True) if isinstance(data, str) else None
    except (binascii.Error, ValueError):
        raw = None
    if raw is None:
        return Flaw(where, "a record in base64")
    found = parse(raw)
    return Flaw(where, found.expected) if isinstance(found, Flaw) else found


def _record(record: Mapping[str, Any], mapping: DeviceMapping, where: str) -> Iterator[Probe | Flaw | Skip]:
    frame = _frame(record, f"{where}InputInformation.KinesisVideo")
    if isinstance(frame, Flaw):
        yield frame
        return
    faces = record.get("FaceSearchResponse")
    if not isinstance(faces, list):
        yield Flaw(f"{where}FaceSearchResponse", "a list")
        return
    if not faces:
        yield Skip("no_face")
    for index, face in enumerate(faces):
        yield from _face(face, index, frame, mapping, f"{where}FaceSearchResponse[{index}]")


def _frame(record: Mapping[str, Any], where: str) -> Frame | Flaw:
    information = record.get("InputInformation")
    video = information.get("KinesisVideo") if isinstance(information, Mapping) else None
    if not isinstance(video, Mapping):
        return Flaw(where, "an object")
    arn, fragment = video.get("StreamArn"), video.get("FragmentNumber")
    stream = STREAM.fullmatch(arn) if isinstance(arn, str) else None
    if stream is None:
        return Flaw(f"{where}.StreamArn", "the ARN of a video stream")
    if not isinstance(fragment, str) or not FRAGMENT.fullmatch(fragment):
        # It has more than 64 bits: what came as a number may have been rounded on its way.
        return Flaw(f"{where}.FragmentNumber", "digits in a text")
    produced, offset = number(video.get("ProducerTimestamp")), number(video.get("FrameOffsetInSeconds"))
    moment = instant(produced, offset) if produced is not None and offset is not None else None
    into = instant(offset) if offset is not None else None
    if moment is None or into is None:
        return Flaw(where, "ProducerTimestamp and FrameOffsetInSeconds as seconds, together from 1970 to 2199")
    region, name, created = stream[1], stream[2], stream[3] or ""
    return Frame(name, (region, name + created, fragment, into.isoformat()), moment)


def _face(face: object, index: int, frame: Frame, mapping: DeviceMapping, where: str) -> Iterator[Probe | Flaw]:
    probe_id = f"rekognition:{digest(mapping.system_id, *frame.capture, str(index))}"
    matches = _matches(face, where)
    if isinstance(matches, Flaw):
        yield matches
        yield Probe(frame.stream, probe_id, probe_id, frame.occurred_at, "not_reported")
        return
    persons = _persons(matches)
    best = _ratio(persons[0].similarity) if persons else None
    reached = [person for person in persons if person.similarity >= mapping.exact_threshold]
    if len(reached) > CANDIDATES_MAX:
        yield Flaw(f"{where}.MatchedFaces", f"at most {CANDIDATES_MAX} persons; the others are left out")
    candidates = tuple(Candidate(one.native_id, _ratio(one.similarity)) for one in reached[:CANDIDATES_MAX])
    if candidates:
        yield Probe(frame.stream, probe_id, probe_id, frame.occurred_at, "match", candidates)
    else:
        yield Probe(frame.stream, probe_id, probe_id, frame.occurred_at, "non_match", score=best)


def _matches(face: object, where: str) -> list[Match] | Flaw:
    items = face.get("MatchedFaces") if isinstance(face, Mapping) else None
    if not isinstance(items, list):
        return Flaw(f"{where}.MatchedFaces", "a list")
    found = []
    for index, item in enumerate(items):
        match = _match(item)
        if match is None:
            return Flaw(f"{where}.MatchedFaces[{index}]", "Similarity from 0 to 100 and Face with a FaceId")
        found.append(match)
    return found


def _match(item: object) -> Match | None:
    face = item.get("Face") if isinstance(item, Mapping) else None
    if not isinstance(item, Mapping) or not isinstance(face, Mapping):
        return None
    similarity, face_id = number(item.get("Similarity")), face.get("FaceId")
    external = face.get("ExternalImageId")
    if similarity is None or not 0 <= similarity <= SIMILARITY_MAX:
        return None
    if not isinstance(face_id, str) or not face_id or not isinstance(external, str | None):
        return None
    return Match(face_id, external or face_id, similarity)


def _persons(matches: list[Match]) -> list[Match]:
    """The best match of each person, the most similar first."""
    best: dict[str, Match] = {}
    for match in sorted(matches, key=lambda one: (-one.similarity, one.face_id)):
        best.setdefault(match.native_id, match)
    return list(best.values())


def _ratio(similarity: Decimal) -> float:
    return float(similarity / SIMILARITY_MAX)
