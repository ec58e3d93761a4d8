from __future__ import annotations

import pytest

from sent.infra.audit.canonical import canonical


def test_fields_carry_their_length_in_octets() -> None:
    assert canonical(["ä", None, ""]) == b"2:\xc3\xa4;-;0:;"


@pytest.mark.parametrize(
    ("one", "other"),
    [(["ab", "c"], ["a", "bc"]), ([None], [""]), ([None], ["-"]), (["a;1:b"], ["a", "b"]), (["a"], ["a", None])],
)
def test_no_two_lists_give_the_same_bytes(one: list[str | None], other: list[str | None]) -> None:
    assert canonical(one) != canonical(other)
