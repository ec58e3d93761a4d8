from __future__ import annotations

import pytest

from sent.identity.device_secrets import ha1, is_sip_username, new_secret, new_sip_username
from sent.identity.models import DigestAlgorithm


@pytest.mark.parametrize(
    ("algorithm", "expected"),
    [
        (DigestAlgorithm.MD5, "3d78807defe7de2157e2b0b6573a855f"),
        (DigestAlgorithm.SHA_256, "7987c64c30e25f1b74be53f966b49b90f2808aa92faf9a00262392d7b4794232"),
    ],
)
def test_ha1_of_rfc_7616_section_3_9_1(algorithm: DigestAlgorithm, expected: str) -> None:
    """The example's user, realm and password; A1 hashed with each of its algorithms."""
    assert ha1(algorithm, "Mufasa", "http-auth@example.org", "Circle of Life") == expected


def test_sip_user_names_are_twelve_of_base32() -> None:
    names = {new_sip_username() for _ in range(200)}
    assert len(names) == 200
    assert all(is_sip_username(name) for name in names)


@pytest.mark.parametrize(
    "text", ["", "101", "abcdefghijk", "abcdefghijklm", "ABCDEFGHIJKL", "abcdefghijk1", "a'; DROP --x"]
)
def test_anything_else_is_not_one(text: str) -> None:
    assert not is_sip_username(text)


def test_secrets_are_twenty_characters_that_people_can_tell_apart() -> None:
    secrets = {new_secret() for _ in range(200)}
    assert len(secrets) == 200
    assert all(len(secret) == 20 and not set(secret) & set("lI1O0") for secret in secrets)
