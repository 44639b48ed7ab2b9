"""No reference to a person survives discretion, and nothing else is touched."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streams.core.discretion import SOMEBODY, discreet, names_somebody

REFERENCES = st.from_regex(r"s_[A-Za-z0-9_-]{16,64}", fullmatch=True)


@given(st.text(), REFERENCES, st.text())
def test_a_reference_is_taken_out_wherever_it_stands(before: str, reference: str, after: str) -> None:
    said = discreet(f"{before}{reference}{after}")
    assert reference not in said
    assert SOMEBODY in said
    assert not names_somebody(said)


@given(st.text("abc s_-é\n", max_size=17))
def test_a_text_without_one_stays_as_it_was(text: str) -> None:
    assert discreet(text) == text


def test_what_hangs_on_to_a_reference_goes_with_it() -> None:
    assert discreet("key=s_" + "A" * 70 + ", next") == "key=s_…, next"
    assert discreet("subjects_" + "b" * 22) == "subjects_…"
