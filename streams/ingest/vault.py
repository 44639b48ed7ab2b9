"""The vault: from a controller's native ids to random subject tokens, and the only place that knows both ends.

Rules:
1. A native id is never stored, logged or shown. What is stored is HMAC-SHA-256 under a secret key, and without the
   key, which lies in another file, the database says nothing about anybody.
2. A token is random. Two controllers get two tokens for one person, and a person who is linked again gets a new one.
3. Unlinking deletes the row and writes the database anew without it: the tokens already on the topics then belong to
   nobody, for ever. Overwriting the row is not enough, since a B-tree leaves copies of rows it moved between pages.
4. A key that is not the key of the database is refused: it would quietly make strangers of everybody.
5. Several processes may use one vault; two that link one id at the same time get the same token.
"""

from __future__ import annotations

import contextlib
import hmac
import os
import re
import secrets
import sqlite3
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from streams.errors import ConfigurationError, ConsentinelError, InputError, Place

KEY_BYTES = 32
KEY = re.compile(rf"[0-9a-f]{{{2 * KEY_BYTES}}}", re.ASCII)
CONTROLLER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@-]{0,127}", re.ASCII)
NATIVE_ID_MAX = 1_024
BUSY_MS = 10_000
"""How long to wait for another process; a link or unlink takes milliseconds."""
DRAWS_MAX = 3
"""Tokens have 128 random bits: a second draw is a wonder, a third a broken source of chance."""

LAYOUT = "1"
CHECK_LABEL = b"\x00consentinel vault key check"
"""No person's message begins with a zero byte, because no controller id is empty."""

TABLES = """
CREATE TABLE IF NOT EXISTS vault (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS person (
    controller_id TEXT NOT NULL,
    digest BLOB NOT NULL,
    subject_ref TEXT NOT NULL UNIQUE,
    PRIMARY KEY (controller_id, digest)
) WITHOUT ROWID;
"""


class VaultError(ConfigurationError):
    """The vault or its key cannot be used as it stands."""


class VaultBusyError(ConsentinelError):
    """Another process kept the vault for too long; the same call may succeed later."""

    retry = True


class VaultKey:
    """The secret of a vault: 32 bytes, written as 64 hexadecimal digits; it shows itself to nobody."""

    __slots__ = ("_secret",)

    def __init__(self, text: str, *, place: Place) -> None:
        if not KEY.fullmatch(text.strip()):
            raise VaultError(f"expected {2 * KEY_BYTES} hexadecimal digits", place=place)
        self._secret = bytes.fromhex(text.strip())

    @classmethod
    def from_file(cls, path: Path) -> Self:
        """The key in a file that only its owner can read."""
        try:
            _private(path)
            # One byte more than a key with its line end: a longer file is no key.
            with path.open("rb") as file:
                raw = file.read(2 * KEY_BYTES + 3)
        except OSError as error:
            raise VaultError(f"cannot be read: {error.strerror}", place=Place(str(path))) from None
        return cls(raw.decode("ascii", "replace"), place=Place(str(path)))

    @classmethod
    def from_environment(cls, name: str, environment: Mapping[str, str]) -> Self:
        """The key in a variable of the environment, which the caller passes."""
        if name not in environment:
            raise VaultError("is not set", place=Place(name))
        return cls(environment[name], place=Place(name))

    @classmethod
    def create(cls, path: Path, *, chance: Callable[[int], bytes] = secrets.token_bytes) -> Self:
        """The key in a file, made with mode 0600 if there is none; of two that make it, both get the first one's."""
        try:
            if not path.exists():
                _create_private(path, chance(KEY_BYTES).hex().encode() + b"\n")
        except OSError as error:
            raise VaultError(f"cannot be made: {error.strerror}", place=Place(str(path))) from None
        return cls.from_file(path)

    def sign(self, message: bytes) -> bytes:
        """HMAC-SHA-256 of a message, 32 bytes."""
        return hmac.digest(self._secret, message, "sha256")

    def __repr__(self) -> str:
        return "VaultKey(secret)"


class Vault:
    """An open vault; close it, or use it in a `with` statement. It belongs to the thread that opened it."""

    def __init__(
        self, path: Path, key: VaultKey, *, tokens: Callable[[], str] = lambda: secrets.token_urlsafe(16)
    ) -> None:
        """Open the vault at `path`; a vault that is not there, or has another key, is a `VaultError`."""
        self._path = path
        self._key = key
        self._tokens = tokens
        if not path.is_file():
            raise VaultError("there is no vault; create it first", place=Place(str(path)))
        try:
            _private(path)
        except OSError as error:
            raise VaultError(f"cannot be read: {error.strerror}", place=Place(str(path))) from None
        with contextlib.ExitStack() as undo:
            self._connection = undo.enter_context(contextlib.closing(_connect(path)))
            self._check()
            undo.pop_all()

    @classmethod
    def create(
        cls, path: Path, key: VaultKey, *, tokens: Callable[[], str] = lambda: secrets.token_urlsafe(16)
    ) -> Self:
        """Open the vault at `path`, made with mode 0600 if there is none."""
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        except OSError as error:
            raise VaultError(f"cannot be made: {error.strerror}", place=Place(str(path))) from None
        _private(path)
        notes = {"layout": LAYOUT.encode(), "key_check": key.sign(CHECK_LABEL)}
        with _guarded(path), contextlib.closing(_connect(path)) as connection:
            tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            if tables and "vault" not in tables:
                raise VaultError("expected a vault or an empty file, got a foreign database", place=Place(str(path)))
            # Another process may be making the same vault: every statement here may be repeated.
            connection.executescript(TABLES)
            connection.executemany("INSERT OR IGNORE INTO vault (name, value) VALUES (?, ?)", notes.items())
        return cls(path, key, tokens=tokens)

    def resolve(self, controller_id: str, native_id: str) -> str | None:
        """The token of a person, or none if nobody linked the id."""
        with _guarded(self._path):
            return self._find(controller_id, self._digest(controller_id, native_id))

    def link(self, controller_id: str, native_id: str) -> str:
        """The token of a person, issued now if there is none yet."""
        digest = self._digest(controller_id, native_id)
        with _guarded(self._path):
            for _ in range(DRAWS_MAX):
                if (found := self._find(controller_id, digest)) is not None:
                    return found
                # One statement is one transaction: whoever comes second changes nothing and reads the first one's.
                self._connection.execute(
                    "INSERT OR IGNORE INTO person (controller_id, digest, subject_ref) VALUES (?, ?, ?)",
                    (controller_id, digest, f"s_{self._tokens()}"),
                )
            found = self._find(controller_id, digest)
        assert found is not None, "three random tokens in a row were already given to others"
        return found

    def unlink(self, controller_id: str, *native_ids: str) -> int:
        """Forget persons; how many there were to forget.

        The database is written anew, once a call: some two seconds for a million persons. A call that was interrupted
        or refused has forgotten for sure once it is repeated. While another process reads, the log of the database
        cannot be emptied, and its old bytes stay until the next unlink or until the last process closes the vault.
        """
        digests = {self._digest(controller_id, native_id) for native_id in native_ids}
        with _guarded(self._path):
            with self._connection:  # ends the transaction, one for all: each waits for the disk
                self._connection.execute("BEGIN IMMEDIATE")
                done = self._connection.executemany(
                    "DELETE FROM person WHERE controller_id = ? AND digest = ?",
                    [(controller_id, digest) for digest in digests],
                )
            # Also where nobody was found: the call before may have ended between deleting and writing anew.
            self._connection.execute("VACUUM")
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            return done.rowcount

    def count(self, controller_id: str) -> int:
        """How many persons of a controller are linked."""
        with _guarded(self._path):
            rows = self._connection.execute("SELECT count(*) FROM person WHERE controller_id = ?", (controller_id,))
            return int(rows.fetchone()[0])

    def close(self) -> None:
        """Close the database; the last process to do so empties its log."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Vault({str(self._path)!r})"

    def _check(self) -> None:
        """Compare layout and key with those that were noted when the vault was made."""
        place = Place(str(self._path))
        with _guarded(self._path):
            tables = self._connection.execute("SELECT name FROM sqlite_master WHERE name IN ('vault', 'person')")
            if len(tables.fetchall()) < 2:
                raise VaultError("expected a vault, got an empty or foreign database", place=place)
            found = dict(self._connection.execute("SELECT name, value FROM vault").fetchall())
        if found.get("layout") != LAYOUT.encode():
            raise VaultError(f"expected a vault of layout {LAYOUT}", place=place)
        if not hmac.compare_digest(bytes(found.get("key_check", b"")), self._key.sign(CHECK_LABEL)):
            raise VaultError("the key is not the key of this vault", place=place)

    def _find(self, controller_id: str, digest: bytes) -> str | None:
        rows = self._connection.execute(
            "SELECT subject_ref FROM person WHERE controller_id = ? AND digest = ?", (controller_id, digest)
        )
        row = rows.fetchone()
        return None if row is None else str(row[0])

    def _digest(self, controller_id: str, native_id: str) -> bytes:
        if not CONTROLLER.fullmatch(controller_id):
            raise InputError("expected a controller id of the registry")
        if not 0 < len(native_id) <= NATIVE_ID_MAX:
            raise InputError(f"expected a native id of 1 to {NATIVE_ID_MAX} characters")
        # One name may be spelled with combining or with whole characters; to its bearer it is one name.
        spelled = unicodedata.normalize("NFC", native_id)
        return self._key.sign(controller_id.encode() + b"\x00" + spelled.encode("utf-8", "surrogatepass"))


def _connect(path: Path) -> sqlite3.Connection:
    with _guarded(path), contextlib.ExitStack() as undo:
        connection = undo.enter_context(
            contextlib.closing(sqlite3.connect(path, timeout=BUSY_MS / 1000, isolation_level=None))
        )
        connection.execute("PRAGMA secure_delete = ON").fetchall()
        # What is written anew is drafted in memory, never in a file of the system's temporary directory.
        connection.execute("PRAGMA temp_store = MEMORY")
        connection.execute("PRAGMA journal_mode = WAL").fetchall()
        connection.execute("PRAGMA synchronous = FULL")
        undo.pop_all()
    return connection


@contextlib.contextmanager
def _guarded(path: Path) -> Iterator[None]:
    """Turns what the database says into typed errors; its own texts are left out."""
    place = Place(str(path))
    try:
        yield
    except sqlite3.ProgrammingError:
        raise  # Used after it was closed, or by another thread: a bug.
    except sqlite3.DatabaseError as error:
        name = getattr(error, "sqlite_errorname", type(error).__name__)
        if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            raise VaultBusyError("another process keeps the vault", place=place) from None
        raise VaultError(f"the database refuses: {name}", place=place) from None


def native_ids(lines: Iterable[bytes], *, name: str = "input") -> Iterator[str]:
    """One native id a line, for linking many at once; empty lines are left out, other spaces belong to the id."""
    for line, raw in enumerate(lines, start=1):
        try:
            text = raw.decode("utf-8-sig").rstrip("\r\n")
        except UnicodeDecodeError:
            raise InputError("expected a native id in UTF-8", place=Place(name, line)) from None
        if len(text) > NATIVE_ID_MAX:
            raise InputError(f"expected at most {NATIVE_ID_MAX} characters", place=Place(name, line))
        if text:
            yield text


def _private(path: Path) -> None:
    if path.stat().st_mode & 0o077:
        raise VaultError("expected a file that only its owner may read or write (mode 0600)", place=Place(str(path)))


def _create_private(path: Path, content: bytes) -> None:
    """Make a file of mode 0600, whole or not at all; a file that is already there stays as it is."""
    draft = path.with_name(f"{path.name}.{os.getpid()}.draft")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with open(descriptor, "wb") as file:  # noqa: PTH123 - the descriptor carries the mode
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink()
