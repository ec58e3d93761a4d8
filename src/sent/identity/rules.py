"""Pure decisions: what input is good, and who may change whom."""

from __future__ import annotations

import re

from sent.identity import errors
from sent.identity.roles import Permission, Role, require

_SLUG = re.compile(r"[a-z0-9]([a-z0-9-]{0,46}[a-z0-9])?")
_REGION = re.compile(r"[A-Z]{2}")
_EMAIL = re.compile(r"[^@\s\x00-\x1f]+@[^@\s\x00-\x1f]+")


def checked_name(name: str, what: str) -> str:
    """``name`` without blanks around it. Raises `BadInput`."""
    name = name.strip()
    if not 1 <= len(name) <= 200 or any(not c.isprintable() for c in name):
        raise errors.bad_name(what)
    return name


def checked_slug(slug: str) -> str:
    if not _SLUG.fullmatch(slug):
        raise errors.bad_slug(slug)
    return slug


def checked_region(region: str) -> str:
    if not _REGION.fullmatch(region):
        raise errors.bad_region(region)
    return region


def checked_email(email: str | None) -> str | None:
    if email is not None and (len(email) > 254 or not _EMAIL.fullmatch(email)):
        raise errors.bad_email(email[:254])
    return email


def require_may_manage(actor_role: Role, subject_role: Role) -> None:
    """Create, disable or change a user of ``subject_role``: owners are managed by owners only."""
    require(actor_role, Permission.MANAGE_OWNERS if subject_role is Role.OWNER else Permission.MANAGE_USERS)
