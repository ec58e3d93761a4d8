from __future__ import annotations

import pytest

from sent.identity.rules import checked_email, checked_name, checked_region, checked_slug
from sent.kit.errors import BadInput


@pytest.mark.parametrize("slug", ["a", "acme", "acme-2", "0", "a" * 48])
def test_good_slugs(slug: str) -> None:
    assert checked_slug(slug) == slug


@pytest.mark.parametrize("slug", ["", "-a", "a-", "Acme", "a_b", "a" * 49, "ä", "a\n"])
def test_bad_slugs(slug: str) -> None:
    with pytest.raises(BadInput, match="hyphens"):
        checked_slug(slug)


def test_a_name_loses_its_outer_blanks() -> None:
    assert checked_name("  Alice Ö. ", "user") == "Alice Ö."


@pytest.mark.parametrize("name", ["", "   ", "a\nb", "a\x00", "x" * 201, "right\u202eleft"])
def test_bad_names(name: str) -> None:
    with pytest.raises(BadInput, match="user's name"):
        checked_name(name, "user")


@pytest.mark.parametrize("region", ["", "de", "DEU", "D1", "DE\n"])
def test_bad_regions(region: str) -> None:
    with pytest.raises(BadInput, match="DE or US"):
        checked_region(region)


@pytest.mark.parametrize("email", ["", "alice", "a@", "@b", "a b@c", "a@b@c", "a@" + "b" * 260])
def test_bad_addresses(email: str) -> None:
    with pytest.raises(BadInput):
        checked_email(email)


@pytest.mark.parametrize("email", [None, "alice@example.org", "ä@münchen.de"])
def test_good_addresses(email: str | None) -> None:
    assert checked_email(email) == email
