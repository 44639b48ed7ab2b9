"""Files and folders that are there whole or not at all, also after a loss of power; and the digest of a file.

Rules:
1. What is written goes to the disk under another name first. A name is a promise: it is given to what is there whole.
2. The folder of a name goes to the disk after it, so that what comes later never outlives what it rests on.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that it is there whole, on the disk, or not at all."""
    kept = path.with_name(f".{path.name}.tmp")
    kept.write_bytes(content)
    to_disk(kept)
    put_in_place(kept, path)


def put_in_place(kept: Path, path: Path) -> None:
    """Give a file, or a folder, that is on the disk its name, durably."""
    kept.replace(path)
    to_disk(path.parent)


def put_folder_in_place(kept: Path, path: Path) -> None:
    """Give a folder of files its name once all of them are on the disk."""
    for each in kept.iterdir():
        to_disk(each)
    to_disk(kept)
    put_in_place(kept, path)


def to_disk(path: Path) -> None:
    """Wait until a file, or the names in a folder, would outlast a loss of power."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def digest_of(path: Path) -> str:
    """SHA-256 of a file; 64 hexadecimal digits."""
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
