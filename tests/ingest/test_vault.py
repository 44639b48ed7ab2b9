"""The vault: what it keeps, what it forgets, who may open it, and two processes at once."""

from __future__ import annotations

import base64
import contextlib
import os
import random
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from pace import examples
from schemas.contract import SubjectRef
from streams.errors import InputError
from streams.ingest.vault import NATIVE_ID_MAX, Vault, VaultBusyError, VaultError, VaultKey, native_ids

ACME = "acme"
PROCESSES = 4
IDS = 40

LINKER = """
import sys
from pathlib import Path
from streams.ingest.vault import Vault, VaultKey
folder = Path(sys.argv[1])
sys.stdin.readline()
with Vault.create(folder / "vault.db", VaultKey.create(folder / "vault.key")) as vault:
    for number in range(int(sys.argv[2])):
        print(vault.link("acme", f"badge-{number}"))
"""


def key_in(folder: Path) -> VaultKey:
    return VaultKey.create(folder / "vault.key")


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Vault]:
    with Vault.create(tmp_path / "vault.db", key_in(tmp_path)) as opened:
        yield opened


def bytes_below(folder: Path) -> bytes:
    return b"\x00".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def test_nobody_is_known_before_somebody_links_them(vault: Vault) -> None:
    assert vault.resolve(ACME, "badge-1") is None
    assert vault.count(ACME) == 0


def test_a_linked_id_resolves_to_its_token_and_linking_again_changes_nothing(vault: Vault) -> None:
    first = vault.link(ACME, "badge-1")
    assert vault.link(ACME, "badge-1") == first == vault.resolve(ACME, "badge-1")
    assert vault.count(ACME) == 1


def test_a_token_is_a_subject_ref_of_the_contract(vault: Vault) -> None:
    TypeAdapter(SubjectRef).validate_python(vault.link(ACME, "badge-1"))


def test_two_controllers_and_two_persons_never_share_a_token(vault: Vault) -> None:
    tokens = {vault.link(controller, native) for controller in ("acme", "borg") for native in ("1", "2")}
    assert len(tokens) == 4
    assert (vault.count("acme"), vault.count("borg"), vault.count("corp")) == (2, 2, 0)


def test_an_unlinked_person_is_unknown_and_a_later_link_gives_another_token(vault: Vault) -> None:
    first = vault.link(ACME, "badge-1")
    other = vault.link(ACME, "badge-2")
    assert vault.unlink(ACME, "badge-1") == 1
    assert vault.resolve(ACME, "badge-1") is None
    assert vault.unlink(ACME, "badge-1", "badge-1") == 0
    assert vault.link(ACME, "badge-1") not in (first, other)
    assert vault.resolve(ACME, "badge-2") == other


def test_unlinking_at_one_controller_leaves_the_others_alone(vault: Vault) -> None:
    vault.link("acme", "badge-1")
    kept = vault.link("borg", "badge-1")
    vault.unlink("acme", "badge-1")
    assert vault.resolve("borg", "badge-1") == kept


def test_links_outlive_the_process_that_made_them(tmp_path: Path) -> None:
    with Vault.create(tmp_path / "vault.db", key_in(tmp_path)) as vault:
        token = vault.link(ACME, "badge-1")
    with Vault(tmp_path / "vault.db", VaultKey.from_file(tmp_path / "vault.key")) as vault:
        assert vault.resolve(ACME, "badge-1") == token


def test_no_file_holds_a_native_id(tmp_path: Path) -> None:
    with Vault.create(tmp_path / "vault.db", key_in(tmp_path)) as vault:
        vault.link(ACME, "Marisol Quintanilla")
        assert b"Quintanilla" not in bytes_below(tmp_path)
        assert "Quintanilla" not in repr(vault)
    assert b"Quintanilla" not in bytes_below(tmp_path)


@pytest.mark.parametrize("persons", [1, 50, 800])
def test_unlinking_leaves_no_bytes_of_token_and_digest(tmp_path: Path, persons: int) -> None:
    with Vault.create(tmp_path / "vault.db", key_in(tmp_path)) as vault:
        assert_forgotten_bytes_are_gone(vault, tmp_path, persons, at_once=3)


@pytest.mark.parametrize("seed", [32, 42, 94, 172])
def test_no_copy_of_a_row_is_left_where_a_page_was_split(tmp_path: Path, seed: int) -> None:
    # By these chances SQLite 3.40 moved a row to another page, and its old bytes outlived the row there.
    chance = random.Random(seed)
    key = VaultKey.create(tmp_path / "vault.key", chance=chance.randbytes)

    def token() -> str:
        return base64.urlsafe_b64encode(chance.randbytes(16)).decode().rstrip("=")

    with Vault.create(tmp_path / "vault.db", key, tokens=token) as vault:
        assert_forgotten_bytes_are_gone(vault, tmp_path, 300, at_once=1)


def assert_forgotten_bytes_are_gone(vault: Vault, folder: Path, persons: int, at_once: int) -> None:
    """Link persons, unlink each seventh, `at_once` in a call, and look into every file."""
    tokens = [vault.link(ACME, f"badge-{number}") for number in range(persons)]
    forgotten = range(0, persons, 7)
    marks = [vault._digest(ACME, f"badge-{number}") for number in forgotten]
    marks += [tokens[number].encode() for number in forgotten]
    assert all(mark in bytes_below(folder) for mark in marks), "the marks are there to be looked for"
    for first in range(0, len(forgotten), at_once):
        some = forgotten[first : first + at_once]
        assert vault.unlink(ACME, *(f"badge-{number}" for number in some)) == len(some)
    left = bytes_below(folder)
    assert not [mark for mark in marks if mark in left]
    assert all(token.encode() in left for number, token in enumerate(tokens) if number % 7)


def test_an_unlinking_that_was_interrupted_is_finished_by_repeating_it(tmp_path: Path) -> None:
    with Vault.create(tmp_path / "vault.db", key_in(tmp_path)) as vault:
        token = vault.link(ACME, "badge-1").encode()
        with contextlib.closing(sqlite3.connect(tmp_path / "vault.db", isolation_level=None)) as interrupted:
            interrupted.execute("PRAGMA secure_delete = OFF").fetchall()
            interrupted.execute("DELETE FROM person")
        assert token in bytes_below(tmp_path)
        assert vault.unlink(ACME, "badge-1") == 0
        assert token not in bytes_below(tmp_path)


def test_database_key_and_log_are_files_that_only_the_owner_can_read(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with Vault.create(tmp_path / "vault.db", key_in(tmp_path)) as vault:
            vault.link(ACME, "badge-1")
            modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    finally:
        os.umask(before)
    assert set(modes) == {"vault.db", "vault.db-shm", "vault.db-wal", "vault.key"}
    assert set(modes.values()) == {0o600}


@pytest.mark.parametrize("name", ["vault.db", "vault.key"])
def test_a_file_that_others_can_read_is_refused(tmp_path: Path, name: str) -> None:
    key_in(tmp_path)
    Vault.create(tmp_path / "vault.db", key_in(tmp_path)).close()
    (tmp_path / name).chmod(0o640)
    with pytest.raises(VaultError, match=rf"{name}: expected a file that only its owner"):
        Vault(tmp_path / "vault.db", VaultKey.from_file(tmp_path / "vault.key"))


def test_another_key_is_refused_at_open_and_at_create(tmp_path: Path) -> None:
    Vault.create(tmp_path / "vault.db", key_in(tmp_path)).close()
    other = VaultKey.create(tmp_path / "other.key")
    for door in (Vault, Vault.create):
        with pytest.raises(VaultError, match="the key is not the key of this vault"):
            door(tmp_path / "vault.db", other)


def test_the_key_check_tells_nothing_about_the_key(tmp_path: Path) -> None:
    key = key_in(tmp_path)
    Vault.create(tmp_path / "vault.db", key).close()
    secret = (tmp_path / "vault.key").read_text().strip()
    content = (tmp_path / "vault.db").read_bytes()
    assert secret.encode() not in content
    assert bytes.fromhex(secret) not in content
    assert secret not in repr(key)


def test_a_key_from_the_environment_opens_the_same_vault(tmp_path: Path) -> None:
    with Vault.create(tmp_path / "vault.db", key_in(tmp_path)) as vault:
        token = vault.link(ACME, "badge-1")
    environment = {"CONSENTINEL_VAULT_KEY": (tmp_path / "vault.key").read_text()}
    key = VaultKey.from_environment("CONSENTINEL_VAULT_KEY", environment)
    with Vault(tmp_path / "vault.db", key) as vault:
        assert vault.resolve(ACME, "badge-1") == token
    with pytest.raises(VaultError, match="ABSENT: is not set"):
        VaultKey.from_environment("ABSENT", environment)


@pytest.mark.parametrize("content", ["", "abc", "g" * 64, "0" * 63, "0" * 66, "ü" * 64])
def test_what_is_no_key_is_refused_without_being_shown(tmp_path: Path, content: str) -> None:
    file = tmp_path / "vault.key"
    file.write_text(content)
    file.chmod(0o600)
    with pytest.raises(VaultError, match="expected 64 hexadecimal digits") as caught:
        VaultKey.from_file(file)
    assert not content or content not in str(caught.value)


def test_creating_a_key_again_keeps_the_first(tmp_path: Path) -> None:
    key_in(tmp_path)
    first = (tmp_path / "vault.key").read_bytes()
    key_in(tmp_path)
    assert (tmp_path / "vault.key").read_bytes() == first
    assert [path.name for path in tmp_path.iterdir()] == ["vault.key"], "no draft is left behind"


def test_opening_makes_no_vault(tmp_path: Path) -> None:
    key = key_in(tmp_path)
    with pytest.raises(VaultError, match="create it first"):
        Vault(tmp_path / "vault.db", key)
    (tmp_path / "vault.db").touch(0o600)
    with pytest.raises(VaultError, match="empty or foreign database"):
        Vault(tmp_path / "vault.db", key)


def test_creating_leaves_a_foreign_database_and_an_open_file_alone(tmp_path: Path) -> None:
    key = key_in(tmp_path)
    with contextlib.closing(sqlite3.connect(tmp_path / "vault.db")) as foreign:
        foreign.execute("CREATE TABLE holiday (day TEXT)")
    (tmp_path / "vault.db").chmod(0o600)
    with pytest.raises(VaultError, match="foreign database"):
        Vault.create(tmp_path / "vault.db", key)
    (tmp_path / "open.db").touch(0o644)
    (tmp_path / "open.db").chmod(0o644)
    with pytest.raises(VaultError, match="only its owner"):
        Vault.create(tmp_path / "open.db", key)
    assert (tmp_path / "open.db").read_bytes() == b""


def test_a_vault_of_another_layout_is_refused(tmp_path: Path) -> None:
    key = key_in(tmp_path)
    with Vault.create(tmp_path / "vault.db", key) as vault:
        vault._connection.execute("UPDATE vault SET value = ? WHERE name = 'layout'", (b"2",))
    with pytest.raises(VaultError, match="expected a vault of layout 1"):
        Vault(tmp_path / "vault.db", key)


def test_a_closed_vault_is_a_bug_and_no_bad_world(tmp_path: Path) -> None:
    vault = Vault.create(tmp_path / "vault.db", key_in(tmp_path))
    vault.close()
    with pytest.raises(sqlite3.ProgrammingError):
        vault.count(ACME)


def test_a_file_that_is_no_database_is_a_typed_error(tmp_path: Path) -> None:
    (tmp_path / "vault.db").write_bytes(b"no database at all, but long enough to have a header" * 9)
    (tmp_path / "vault.db").chmod(0o600)
    with pytest.raises(VaultError, match="SQLITE_NOTADB"):
        Vault(tmp_path / "vault.db", key_in(tmp_path))


def test_places_that_cannot_be_written_are_typed_errors(tmp_path: Path) -> None:
    with pytest.raises(VaultError, match="cannot be made: No such file"):
        VaultKey.create(tmp_path / "absent" / "vault.key")
    with pytest.raises(VaultError, match="cannot be made: No such file"):
        Vault.create(tmp_path / "absent" / "vault.db", key_in(tmp_path))
    with pytest.raises(VaultError, match="cannot be read: No such file"):
        VaultKey.from_file(tmp_path / "absent.key")


@pytest.mark.parametrize(("controller", "native"), [("", "1"), ("a\x00b", "1"), ("acme", ""), ("acme", "x" * 1025)])
def test_ids_outside_the_bounds_are_refused_without_being_shown(vault: Vault, controller: str, native: str) -> None:
    for verb in (vault.resolve, vault.link, vault.unlink):
        with pytest.raises(InputError) as caught:
            verb(controller, native)
        assert "xxx" not in str(caught.value)


def test_a_busy_vault_says_that_the_call_may_be_repeated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.ingest.vault.BUSY_MS", 20)
    key = key_in(tmp_path)
    with Vault.create(tmp_path / "vault.db", key) as first, Vault(tmp_path / "vault.db", key) as second:
        first._connection.execute("BEGIN IMMEDIATE")
        with pytest.raises(VaultBusyError) as caught:
            second.link(ACME, "Marisol Quintanilla")
        assert caught.value.retry
        assert "Quintanilla" not in str(caught.value)
        first._connection.execute("ROLLBACK")
        assert second.link(ACME, "Marisol Quintanilla") == first.resolve(ACME, "Marisol Quintanilla")


def test_a_token_that_is_taken_is_drawn_again(tmp_path: Path) -> None:
    draws = iter(["a" * 16, "a" * 16, "b" * 16])
    with Vault.create(tmp_path / "vault.db", key_in(tmp_path), tokens=lambda: next(draws)) as vault:
        assert vault.link(ACME, "badge-1") == "s_" + "a" * 16
        assert vault.link(ACME, "badge-2") == "s_" + "b" * 16


def test_one_spelling_or_the_other_it_is_one_name(vault: Vault) -> None:
    assert vault.link(ACME, "Jose\u0301") == vault.link(ACME, "Jos\u00e9")


@settings(max_examples=examples(25), deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["acme", "borg"]), st.text(min_size=1, max_size=5)), max_size=8))
def test_the_vault_is_a_map_whatever_the_names(
    tmp_path_factory: pytest.TempPathFactory, people: list[tuple[str, str]]
) -> None:
    folder = tmp_path_factory.mktemp("vault")
    with Vault.create(folder / "vault.db", key_in(folder)) as vault:
        tokens = {person: vault.link(*person) for person in people}
        assert all(vault.resolve(*person) == token for person, token in tokens.items())
        for controller in ("acme", "borg"):
            linked = vault.count(controller)
            assert vault.unlink(controller, *(name for owner, name in people if owner == controller)) == linked
        assert vault.count("acme") == vault.count("borg") == 0


def test_processes_that_link_the_same_ids_at_once_get_the_same_tokens(tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    linkers = [
        subprocess.Popen(
            [sys.executable, "-c", LINKER, str(tmp_path), str(IDS)],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(PROCESSES)
    ]
    for linker in linkers:
        assert linker.stdin
        linker.stdin.write("go\n")
        linker.stdin.flush()
    outputs = [linker.communicate()[0].splitlines() for linker in linkers]
    assert [linker.returncode for linker in linkers] == [0] * PROCESSES
    assert len(set(outputs[0])) == IDS
    assert all(output == outputs[0] for output in outputs)
    with Vault(tmp_path / "vault.db", VaultKey.from_file(tmp_path / "vault.key")) as vault:
        assert vault.count(ACME) == IDS


def test_native_ids_are_read_a_line_each(tmp_path: Path) -> None:
    assert list(native_ids([b"\xef\xbb\xbfbadge-1\r\n", b"\n", b" Jos\xc3\xa9 \n"])) == ["badge-1", " José "]


@pytest.mark.parametrize("bad", [b"Quintanilla\xff\n", b"Quintanilla" + b"x" * NATIVE_ID_MAX])
def test_a_line_that_is_no_native_id_is_named_by_its_number_alone(bad: bytes) -> None:
    with pytest.raises(InputError, match=r"^people\.txt:2: expected") as caught:
        list(native_ids([b"badge-1\n", bad], name="people.txt"))
    assert not re.search("Quintanilla", str(caught.value))
