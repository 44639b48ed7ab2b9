"""What looks like an image, a template or an embedding: by the name of a field, or by the size and kind of its value.

Rules:
1. It guesses on the safe side: a harmless field that looks so is refused, and its producer picks another name.
2. Nothing here recurses: no depth of nesting can exhaust the stack.
3. What a message may hold is decided on parsed values; what a dead letter may hold is decided on raw bytes too, because
   torn or doubled JSON still carries its picture.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence

VECTOR_LENGTH_MIN = 16
"""So many numbers in one field are taken for an embedding; the smallest face models in use give 64."""
ENCODED_LENGTH_MIN = 128
"""So many base64 characters in a row are taken for an encoded image or template (96 bytes and more)."""
BINARY_LENGTH_MIN = ENCODED_LENGTH_MIN * 3 // 4
"""So many bytes that are no text may hold what `ENCODED_LENGTH_MIN` characters would."""

# fmt: off
BIOMETRIC_WORDS = frozenset((
    "image", "images", "img", "photo", "photos", "picture", "pictures", "jpeg", "jpg", "png", "bmp", "webp", "bitmap",
    "pixels", "snapshot", "thumbnail", "crop", "base64", "b64", "video", "clip", "portrait", "selfie", "mugshot",
    "template", "templates", "embedding", "embeddings", "vector", "vectors", "vec", "feature", "features",
    "descriptor", "descriptors", "print", "encoding", "encodings", "landmark", "landmarks", "data", "iris",
    "fingerprint", "voiceprint",
))
# fmt: on
"""Words of a field's name; `data` and `print` count only behind `face` (`FACE`)."""
AFTER_FACE_ONLY = frozenset(("data", "print"))
FACE = re.compile(r"^(?:face|facial)")
ENCODED = re.compile(rf"[A-Za-z0-9+/_=-]{{{ENCODED_LENGTH_MIN}}}|(?i:\bdata:(?:image|video|audio|application)/)")
NUMBERS = re.compile(
    rf'(?:[-+]?\d++(?:\.\d++)?(?:[eE][-+]?\d++)?[\s,;|\[\]"]++){{{VECTOR_LENGTH_MIN - 1}}}[-+]?\d', re.ASCII
)
NUMBER = re.compile(r"[-+]?\d{1,20}(?:\.\d{1,30})?(?:[eE][-+]?\d{1,4})?", re.ASCII)
WORD = re.compile(r"[A-Z]?[a-z0-9]+|[A-Z][A-Z0-9]*(?![a-z])")
KEY = re.compile(r'"([^"\\]{1,128}+)"\s*+:')
LINE_BREAKS = str.maketrans("", "", "\r\n\t")


def name_looks_biometric(name: str) -> bool:
    """Whether a field of this name is taken for an image, a template or an embedding, whatever it holds."""
    words = [word.lower() for word in WORD.findall(name)]
    return any(_word_looks_biometric(word, before) for before, word in zip(["", *words], words, strict=False))


def _word_looks_biometric(word: str, before: str) -> bool:
    bare = FACE.sub("", word)
    found = {bare, bare.rstrip("0123456789")} & BIOMETRIC_WORDS
    return bool(found - AFTER_FACE_ONLY) or bool(found and (bare != word or FACE.match(before)))


def text_looks_biometric(text: str) -> bool:
    """Whether a text holds an encoded image, a data URI, or a vector written out; line breaks do not hide it."""
    joined = text.translate(LINE_BREAKS)
    # The order matters: behind `ENCODED` no run of digits is longer than it, which bounds the work of `NUMBERS`.
    return ENCODED.search(joined) is not None or NUMBERS.search(text) is not None


def value_looks_biometric(value: object) -> bool:
    """Whether parsed JSON holds, at any depth, an encoded image, a vector of numbers, or a field named like one."""
    numbers = 0
    left = [value]
    while left:
        inner = left.pop()
        if isinstance(inner, str):
            if text_looks_biometric(inner):
                return True
            numbers += NUMBER.fullmatch(inner) is not None
        elif isinstance(inner, Mapping):
            if any(name_looks_biometric(name) or text_looks_biometric(name) for name in inner):
                return True
            left.extend(inner.values())
        elif isinstance(inner, Sequence):
            left.extend(inner)
        elif isinstance(inner, int | float) and not isinstance(inner, bool):
            numbers += 1
    return numbers >= VECTOR_LENGTH_MIN


def field_looks_biometric(name: str, value: object) -> bool:
    """Whether an unknown field must refuse its message."""
    return name_looks_biometric(name) or value_looks_biometric(value) or text_looks_biometric(name)


def bytes_look_biometric(raw: bytes, known: Collection[str] = ()) -> bool:
    """Whether bytes that are no message may hold biometrics; `known` are names of fields that are above suspicion."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        # Short garbage helps to mend a producer; more of it may be a picture or a template.
        return len(raw) >= BINARY_LENGTH_MIN or text_looks_biometric(raw.decode("latin-1"))
    if text_looks_biometric(text):
        return True
    if any(name_looks_biometric(name) for name in KEY.findall(text) if name not in known):
        return True
    return _parsed_looks_biometric(text, known)


def _parsed_looks_biometric(text: str, known: Collection[str]) -> bool:
    """Whether the text looks biometric once it is parsed, doubled keys included; escapes hide what is no JSON."""
    try:
        left = [json.loads(text, object_pairs_hook=lambda pairs: pairs)]
    except (ValueError, RecursionError):
        return "\\" in text
    numbers = 0
    while left:
        inner = left.pop()
        if isinstance(inner, str):
            if text_looks_biometric(inner) or (inner not in known and name_looks_biometric(inner)):
                return True
        elif isinstance(inner, list | tuple):
            left.extend(inner)
        elif isinstance(inner, int | float) and not isinstance(inner, bool):
            numbers += 1
    return numbers >= VECTOR_LENGTH_MIN
