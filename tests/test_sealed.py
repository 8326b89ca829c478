"""Texts with a checksum."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sigc.blocks.checksummed import seal, unseal


@given(st.text())
def test_what_was_sealed_is_read(text: str) -> None:
    assert unseal(seal(text)) == text


@given(st.text(min_size=1), st.data())
def test_one_character_is_another(text: str, data: st.DataObject) -> None:
    sealed = seal(text)
    at = data.draw(st.integers(0, len(sealed) - 1))
    changed = sealed[:at] + ("x" if sealed[at] != "x" else "y") + sealed[at + 1 :]
    assert unseal(changed) == ""


def test_nothing_and_half() -> None:
    assert unseal(None) == unseal("") == unseal(seal("a long text")[:-3]) == ""
