"""Producers that are not ours write what they like: the right is judged, the rest is told, and nothing is lost."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import subprocess
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient
from kafka.errors import KafkaError

from schemas.contract import MESSAGE_BYTES_MAX, Reason
from schemas.match import MATCH, MatchEvent
from schemas.topics import ORIGIN, TopicName
from schemas.verdict import REJECTION
from small_estate import LiveWorker, Place, SmallEstate, expected
from small_world import MEMBER, a_match, an_encounter, records
from streams.core.partition import partition_of
from streams.simulator.worker_child import by_label, total

pytestmark = pytest.mark.kafka  # those on the embedded broker too: they are no quick tests

MARK = "zqmark"
"""Stands in whatever only a producer and the topics may know; no log, metric or explanation may show it."""
HUGE = 5 * 2**20
PICTURE = b"\xff\xd8\xff\xe0" + bytes(range(256))


class Case(NamedTuple):
    """One record of a foreign producer, and what must become of it."""

    name: str
    value: bytes | None
    key: bytes | None = None
    partition: int | None = None
    headers: tuple[tuple[str, bytes], ...] = ()
    refused: Reason | None = None
    withheld: bool = False


def right(number: int, **change: Any) -> MatchEvent:
    """An event that a careful gateway would send, about somebody of whom no record tells."""
    person = change.pop("subject_ref", f"s_{MARK}_{number:016d}")
    return a_match(event_id=f"{MARK}-{number}", probe_id=f"{MARK}-{number}", subject_ref=person, **change)


def bent(number: int, **change: Any) -> bytes:
    """The bytes of such an event with fields that the contract may not know."""
    return json.dumps(json.loads(right(number).to_json()) | change).encode()


def elsewhere(event: MatchEvent, partitions: int) -> int:
    """A partition that is not the event's own."""
    return (partition_of(event.key, partitions) + 1) % partitions


def the_right(partitions: int) -> Iterator[Case]:
    """Events that must be judged, wherever they were put and whatever their key."""
    for number in range(6):
        event = right(number)
        yield Case(f"right {number}", event.to_json(), event.key.encode())
    yield Case("right, of a member whose papers are in order", right(6, subject_ref=MEMBER).to_json(), MEMBER.encode())
    yield Case("another's key", right(10).to_json(), f"{MARK}-key".encode(), elsewhere(right(10), partitions))
    yield Case("no key", right(11).to_json(), None, elsewhere(right(11), partitions))
    for number in range(12, 16):
        key = right(number).key.encode()
        yield Case("partition by CRC32", right(number).to_json(), key, zlib.crc32(key) % partitions)
    yield Case("a key that is no UTF-8", right(16).to_json(), b"\xff\xfe" + MARK.encode())
    yield Case("said twice", right(17).to_json(), right(17).key.encode())
    yield Case("said twice", right(17).to_json(), right(17).key.encode())
    yield Case("a newer minor version", bent(18, schema_version="1.7", mood=f"{MARK} calm"), b"k")
    headers = (("trace", MARK.encode() * 100_000),)
    yield Case("huge headers, astray", right(19).to_json(), b"k", elsewhere(right(19), partitions), headers)
    yield Case("the stranger", a_match(event_id=f"{MARK}-20", subject_ref=None, comparison_decision="non_match",
                                       notice_id=None).to_json(), b"gate-1")  # fmt: skip
    yield Case("white space", json.dumps(json.loads(right(21).to_json()), indent=3).encode(), b"k")


def the_wrong(partitions: int) -> Iterator[Case]:
    """Records that must be rejected, with the reason and whether their bytes are held back."""
    key, vector = MARK.encode(), [0.5 + number / 1000 for number in range(128)]
    yield Case("garbage", b"\x00\x80" + MARK.encode(), key, refused=Reason.NOT_JSON)
    yield Case("a picture", PICTURE, key, refused=Reason.NOT_JSON, withheld=True)
    torn = right(30).to_json().replace(b"gate-1", b"gate\xc3\x28")
    yield Case("a picture for a key", b"hello", PICTURE, refused=Reason.NOT_JSON)
    yield Case("no UTF-8, so it may be anything", torn, key, refused=Reason.NOT_JSON, withheld=True)
    yield Case("empty", b"", key, refused=Reason.EMPTY)
    yield Case("a tombstone", None, key, refused=Reason.EMPTY)
    yield Case("a list", b"[1, 2]", key, refused=Reason.NOT_JSON)
    yield Case("nothing", b"null", None, refused=Reason.NOT_JSON)
    yield Case("a field of their own", bent(31, **{f"{MARK}_name": f"{MARK} Wu"}), key, refused=Reason.UNKNOWN_FIELD)
    yield Case("a name for a token", bent(32, subject_ref=f"{MARK} Wu"), key, refused=Reason.INVALID_VALUE)
    yield Case("a time without a zone", bent(33, occurred_at="2026-03-10 04:00"), key, refused=Reason.INVALID_VALUE)
    short = {"event_id": f"{MARK}-34", "schema_version": "1.0"}
    yield Case("half an event", json.dumps(short).encode(), key, refused=Reason.MISSING_FIELD)
    yield Case(
        "an embedding by name", bent(35, face_embedding=f"{MARK}"), key, refused=Reason.BIOMETRIC_PAYLOAD, withheld=True
    )
    yield Case("an embedding by size", bent(36, mood=vector), key, refused=Reason.BIOMETRIC_PAYLOAD, withheld=True)
    newer = bent(37, schema_version="1.9", embedding=vector)
    yield Case("an embedding of a newer minor", newer, key, refused=Reason.BIOMETRIC_PAYLOAD, withheld=True)
    yield Case("a torn embedding", bent(38, mood=vector)[:-9], key, refused=Reason.NOT_JSON, withheld=True)
    yield Case("a newer major version", bent(39, schema_version="2.0"), key, refused=Reason.UNSUPPORTED_VERSION)
    doubled = right(40).to_json()[:-1] + b', "event_id": "' + MARK.encode() + b'"}'
    yield Case("a key said twice", doubled, key, refused=Reason.DUPLICATE_KEY)
    yield Case("too long", bent(41, mood=MARK * MESSAGE_BYTES_MAX), key, refused=Reason.TOO_LARGE, withheld=True)
    astray = right(42)
    came = ((ORIGIN, b"somewhere/0/0"),)
    there = elsewhere(astray, partitions)
    yield Case("forwarded for ever", astray.to_json(), key, there, came, refused=Reason.FORWARDED_TWICE)


def interleaved(partitions: int) -> list[Case]:
    """Right and wrong in turn, so that each batch has both."""
    rights, wrongs = list(the_right(partitions)), list(the_wrong(partitions))
    mixed: list[Case] = []
    while rights or wrongs:
        mixed += [each.pop(0) for each in (rights, wrongs) if each]
    return mixed


def huge() -> Case:
    value = bent(50, mood=MARK).ljust(HUGE, b" ")
    return Case("five megabytes", value, MARK.encode(), refused=Reason.TOO_LARGE, withheld=True)


def room_for(estate: SmallEstate, size: int) -> bool:
    """Let the match topic take messages of so many bytes; False on a broker that has no such setting."""
    wanted = {"max.message.bytes": str(size)}
    admin = KafkaAdminClient(bootstrap_servers=[estate.broker])
    try:
        admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, estate.topic(TopicName.MATCHES), configs=wanted)])
    except ValueError:  # the client's word for a setting that the broker does not list
        return False
    finally:
        admin.close()
    return True


# -- what must hold afterwards ----------------------------------------------------------------------------------------


def settled(worker: LiveWorker, cases: Sequence[Case]) -> None:
    """Wait until each record is judged or rejected."""
    worker.until(
        lambda: outcomes(worker)["judged"] + outcomes(worker)["rejected"] >= len(cases),
        f"{len(cases)} records to be judged or rejected",
    )


def outcomes(worker: LiveWorker) -> Counter[str]:
    return Counter(by_label(worker.metrics(), "consentinel_events_total", "outcome"))


def check_all(estate: SmallEstate, worker: LiveWorker, cases: Sequence[Case]) -> None:
    """Check everything that must hold of records that lie in the log and were seen by the worker."""
    settled(worker, cases)
    log = estate.read(TopicName.MATCHES)
    originals = [record for record in log if ORIGIN not in dict(record.headers) or b"somewhere" in record.headers[0][1]]
    copies = len(log) - len(originals)
    assert Counter(record.value for record in originals) == Counter(case.value for case in cases), (
        "the log is the cases"
    )
    check_rejections(estate, cases, originals)
    check_violations(estate, cases)
    wrong = sum(case.refused is not None for case in cases)
    assert outcomes(worker) == {"judged": len(cases) - wrong, "rejected": wrong, "forwarded": copies}
    assert copies == astray(estate, originals, cases) > 0
    assert total(worker.metrics(), "consentinel_events_total") == len(log)
    check_alive_and_silent(estate, worker)


def astray(estate: SmallEstate, originals: Sequence[Any], cases: Sequence[Case]) -> int:
    """How many right events lie on a partition that is not theirs."""
    rights = {case.value for case in cases if case.refused is None}
    homes = [
        (record.partition, estate.home(MATCH.read(record.value))) for record in originals if record.value in rights
    ]
    return sum(partition != home for partition, home in homes)


def check_rejections(estate: SmallEstate, cases: Sequence[Case], originals: Sequence[Any]) -> None:
    """Each wrong record has one rejection that tells its place, why, and its bytes unless they may be biometric."""
    wrong = {(case.value, case.key): case for case in cases if case.refused is not None}
    found = {}
    for record in estate.read(TopicName.REJECTIONS):
        told = REJECTION.read(record.value)
        assert record.key == f"{told.topic}/{told.partition}".encode()
        assert told.topic == estate.topic(TopicName.MATCHES)
        assert MARK not in told.expected, "an explanation shows no payload"
        found[told.partition, told.offset] = told
    there = {(record.partition, record.offset): record for record in originals if (record.value, record.key) in wrong}
    assert found.keys() == there.keys()
    for place, told in found.items():
        record = there[place]
        case, value = wrong[record.value, record.key], record.value or b""
        assert told.reason is case.refused, case.name
        assert (told.size_bytes, told.sha256) == (len(value), hashlib.sha256(value).hexdigest()), case.name
        assert told.value_base64 == (None if case.withheld else base64.b64encode(value).decode()), case.name
        shown = None if record.key in (None, PICTURE) else base64.b64encode(record.key).decode()
        assert told.key_base64 == shown, case.name


def check_violations(estate: SmallEstate, cases: Sequence[Case]) -> None:
    """The right records, and no others, have their violations, to the byte, on the partition of their key."""
    events = [MATCH.read(case.value or b"") for case in cases if case.refused is None]
    wanted = expected(records(), events)
    homes = {event.event_id: estate.home(event) for event in events}
    said = estate.read(TopicName.VIOLATIONS)
    assert {record.value for record in said} == set(wanted.values())
    assert len(wanted) > len(events), "what is right breaks several rules each"
    for record in said:
        told = json.loads(record.value)
        assert record.partition == homes[told["event_id"]]
        assert record.key == told["violation_id"].encode()
    twice = {key: count for key, count in Counter(record.key for record in said).items() if count > 1}
    assert twice == {}, "an event that was sent twice is known by its id, and told once"


def check_alive_and_silent(estate: SmallEstate, worker: LiveWorker) -> None:
    """The worker judges on, and neither its log nor its pages know a person or a payload."""
    worker.check_alive()
    assert [worker.answer(path).status for path in ("/readyz", "/healthz")] == [200, 200]
    assert MARK not in worker.answer("/metrics").body
    assert worker.stop() == 0
    text = worker.log_text()
    assert MARK not in text
    assert "partition_live" in text, "the log was kept"


# -- kafka-python -----------------------------------------------------------------------------------------------------


def test_a_producer_in_python_is_judged_where_it_is_right_and_told_where_it_is_not(
    broker: str, tmp_path: Path, record_property: Any
) -> None:
    with SmallEstate(broker, tmp_path) as estate:
        estate.send(*records())
        worker = estate.worker()
        cases = interleaved(estate.partitions)
        places = [write(estate, case) for case in cases]
        roomy = room_for(estate, 2 * HUGE)
        try:
            places.append(write(estate, huge()))
            cases.append(huge())
        except KafkaError as refusal:
            assert not roomy, "a broker that was told to take it takes it"
            record_property("five megabytes", f"refused by the broker: {type(refusal).__name__}")
        assert len(set(places)) == len(cases), "each record was acknowledged at a place of its own"
        worker.ready()
        check_all(estate, worker, cases)


def write(estate: SmallEstate, case: Case) -> Place:
    return estate.put(TopicName.MATCHES, case.value, key=case.key, partition=case.partition, headers=case.headers)


# -- kcat -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def kcat() -> str:
    """The path of kcat, a producer on librdkafka, whose partitions are those of CRC32."""
    found = shutil.which("kcat")
    if found is None and os.environ.get("CI") == "true":
        pytest.fail("CI runs the tests with kcat, but it is not installed", pytrace=False)
    if found is None:
        pytest.skip("kcat is not installed (Debian package kcat)")
    return found


def write_by_kcat(kcat: str, estate: SmallEstate, folder: Path, case: Case, *options: str) -> None:
    """Write one record with kcat's own partitioner, unless the case names a partition."""
    command = [kcat, "-P", "-b", estate.broker, "-t", estate.topic(TopicName.MATCHES), *options]
    command += ["-X", f"message.max.bytes={2 * HUGE}", "-X", "acks=all"]
    command += [] if case.partition is None else ["-p", str(case.partition)]
    for name, content in case.headers:
        command += ["-H", f"{name}={content.decode()}"]
    if not case.value:  # a line of a key and nothing more; -Z makes a tombstone of it
        assert case.key is not None, "kcat writes nothing only under a key"
        command += ["-K:"] if case.value == b"" else ["-K:", "-Z"]
        subprocess.run(command, check=True, capture_output=True, input=case.key + b":\n")
        return
    command += [] if case.key is None else ["-k", case.key.decode()]
    file = folder / "record"
    file.write_bytes(case.value)
    subprocess.run([*command, str(file)], check=True, capture_output=True, stdin=subprocess.DEVNULL)


def fit_for_kcat(case: Case) -> bool:
    """Whether kcat's command line can say it: keys and headers are words, and only small ones."""
    if any(len(content) > 10_000 for _, content in case.headers):
        return False
    return case.key is None or case.key.isascii()


def test_a_producer_in_c_is_judged_where_it_is_right_and_told_where_it_is_not(
    apache_kafka: str, kcat: str, tmp_path: Path
) -> None:
    with SmallEstate(apache_kafka, tmp_path) as estate:
        estate.send(*records())
        assert room_for(estate, 2 * HUGE)
        worker = estate.worker()
        cases = [*filter(fit_for_kcat, interleaved(estate.partitions)), huge()]
        for case in cases:
            write_by_kcat(kcat, estate, tmp_path, case)
        worker.ready()
        check_all(estate, worker, cases)


def test_what_is_compressed_is_judged_alike(apache_kafka: str, kcat: str, tmp_path: Path) -> None:
    with SmallEstate(apache_kafka, tmp_path) as estate:
        estate.send(*records())
        worker = estate.worker()
        events, bloated = [], huge()
        codecs = ("gzip", "snappy", "lz4", "zstd")
        for number, codec in enumerate(codecs):
            events.append(right(60 + number))
            for case in (Case(codec, events[-1].to_json(), events[-1].key.encode()), bloated):
                write_by_kcat(kcat, estate, tmp_path, case, "-z", codec)
        worker.ready()
        settled(worker, [bloated] * 2 * len(codecs))
        assert {record.value for record in estate.read(TopicName.VIOLATIONS)} == set(
            expected(records(), events).values()
        )
        told = [REJECTION.read(record.value) for record in estate.read(TopicName.REJECTIONS)]
        assert [(each.reason, each.size_bytes, each.value_base64) for each in told] == [
            (Reason.TOO_LARGE, HUGE, None) for _ in codecs
        ]
        check_alive_and_silent(estate, worker)


def test_a_header_name_that_is_no_utf_8_hides_no_event(apache_kafka: str, kcat: str, tmp_path: Path) -> None:
    with SmallEstate(apache_kafka, tmp_path) as estate:
        estate.send(*records())
        worker = estate.worker()
        events = [right(number) for number in range(3)]
        file = tmp_path / "record"
        for event in events:
            file.write_bytes(event.to_json())
            command = [kcat, "-P", "-b", estate.broker, "-t", estate.topic(TopicName.MATCHES), "-k", event.key]
            odd = [] if event is events[2] else [b"-H", b"\xff\xfe" + MARK.encode() + b"=1"]
            subprocess.run([*command, *odd, str(file)], check=True, capture_output=True, stdin=subprocess.DEVNULL)
        for name in (TopicName.SUBJECTS, TopicName.REGISTRY):
            file.write_bytes(b"{}")
            command = [kcat, "-P", "-b", estate.broker, "-t", estate.topic(name), "-k", "device/other"]
            odd = [b"-H", b"\xff\xfe=1"]
            subprocess.run([*command, *odd, str(file)], check=True, capture_output=True, stdin=subprocess.DEVNULL)
        worker.ready()
        settled(worker, [Case("", event.to_json()) for event in events])
        assert {record.value for record in estate.read(TopicName.VIOLATIONS)} == set(
            expected(records(), events).values()
        )
        worker.until(
            lambda: total(worker.metrics(), "consentinel_unreadable_records_total", keyed="true") == 2, "both logs"
        )
        check_alive_and_silent(estate, worker)


# -- encounters -------------------------------------------------------------------------------------------------------


def test_encounters_of_a_foreign_producer_are_judged_or_told_alike(embedded: str, tmp_path: Path) -> None:
    with SmallEstate(embedded, tmp_path) as estate:
        estate.send(*records())
        worker = estate.worker()
        denied = an_encounter(event_id=f"{MARK}-1", alternative_offered=False, outcome="denied")
        home = estate.home(denied)
        estate.put(TopicName.ENCOUNTERS, denied.to_json(), key=b"k", partition=(home + 1) % estate.partitions)
        estate.put(TopicName.ENCOUNTERS, right(2, original_image_retained=None).to_json(), key=b"k")
        estate.put(TopicName.ENCOUNTERS, b"\xff\xd8" + bytes(200), key=b"k")
        worker.ready()
        worker.until(lambda: total(worker.metrics(), "consentinel_events_total", topic="encounters") == 4, "encounters")
        assert outcomes(worker) == {"judged": 1, "rejected": 2, "forwarded": 1}
        told = [REJECTION.read(record.value) for record in estate.read(TopicName.REJECTIONS)]
        assert {each.reason for each in told} == {Reason.UNKNOWN_KIND, Reason.NOT_JSON}
        assert {record.value for record in estate.read(TopicName.VIOLATIONS)} == set(
            expected(records(), [denied]).values()
        )
        check_alive_and_silent(estate, worker)
