"""What identity refuses, with the remedy.

BadInput  identity.bad_name  identity.bad_slug  identity.bad_region  identity.bad_email  identity.bad_algorithm
NotAllowed  identity.not_allowed
NotFound  identity.no_such_organization  identity.no_such_user  identity.no_such_device
Conflict  identity.slug_taken  identity.email_taken  identity.last_owner
"""

from __future__ import annotations

from uuid import UUID

from sent.kit.errors import BadInput, Conflict, NotFound


def bad_name(what: str) -> BadInput:
    return BadInput("identity.bad_name", f"the {what}'s name must have 1 to 200 characters and no control characters")


def bad_slug(slug: str) -> BadInput:
    return BadInput(
        "identity.bad_slug",
        f"{slug!r} cannot be an organization's short name: use 1 to 48 of a-z, 0-9 and hyphens, no hyphen at the ends",
    )


def bad_region(region: str) -> BadInput:
    return BadInput("identity.bad_region", f"{region!r} is not a country: give two capital letters, such as DE or US")


def bad_email(email: str) -> BadInput:
    return BadInput("identity.bad_email", f"{email!r} is not an e-mail address: give name@domain, or none")


def slug_taken(slug: str) -> Conflict:
    return Conflict("identity.slug_taken", f"there is an organization {slug!r} already: choose another short name")


def email_taken() -> Conflict:
    return Conflict("identity.email_taken", "a user with this e-mail address exists already in this organization")


def last_owner() -> Conflict:
    return Conflict(
        "identity.last_owner", "this is the organization's last active owner: make somebody else an owner first"
    )


def no_such_organization(slug: str) -> NotFound:
    return NotFound("identity.no_such_organization", f"there is no organization {slug!r}")


def no_such_user(user_id: UUID) -> NotFound:
    return NotFound("identity.no_such_user", f"there is no user {user_id} in this organization")


def no_such_device(device_id: UUID) -> NotFound:
    return NotFound("identity.no_such_device", f"there is no device {device_id} in this organization")
