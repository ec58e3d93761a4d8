"""Who may do what: the one place that decides.

Three roles, each with all of the one below it and more:

    member   uses the phone, sees what is theirs
    admin    manages people, devices, numbers and call flows, sees every call
    owner    also the organization itself, its owners, and what costs money without limit
"""

from __future__ import annotations

from enum import StrEnum

from sent.kit.errors import NotAllowed


class Role(StrEnum):
    OWNER = "owner"
    ADMIN = "admin"
    MEMBER = "member"


class Permission(StrEnum):
    """Named as ``subject.verb``; the message for a refused person is made of it."""

    CALL = "calls.place"
    SEE_OWN_CALLS = "calls.see_own"
    SEE_ALL_CALLS = "calls.see_all"
    LISTEN_OWN_RECORDINGS = "recordings.listen_own"
    LISTEN_ALL_RECORDINGS = "recordings.listen_all"
    DELETE_RECORDINGS = "recordings.delete"
    MANAGE_USERS = "users.manage"
    MANAGE_OWNERS = "owners.manage"
    MANAGE_DEVICES = "devices.manage"
    MANAGE_DIALPLAN = "dialplan.manage"
    MANAGE_TRUNKS = "trunks.manage"
    SEE_AUDIT = "audit.see"
    MANAGE_ORGANIZATION = "organization.manage"


_MEMBER = frozenset({Permission.CALL, Permission.SEE_OWN_CALLS, Permission.LISTEN_OWN_RECORDINGS})
_ADMIN = _MEMBER | {
    Permission.SEE_ALL_CALLS,
    Permission.LISTEN_ALL_RECORDINGS,
    Permission.MANAGE_USERS,
    Permission.MANAGE_DEVICES,
    Permission.MANAGE_DIALPLAN,
    Permission.MANAGE_TRUNKS,
    Permission.SEE_AUDIT,
}
_OWNER = _ADMIN | {Permission.MANAGE_OWNERS, Permission.MANAGE_ORGANIZATION, Permission.DELETE_RECORDINGS}

PERMISSIONS = {Role.MEMBER: _MEMBER, Role.ADMIN: _ADMIN, Role.OWNER: _OWNER}


def allows(role: Role, permission: Permission) -> bool:
    return permission in PERMISSIONS[role]


def require(actor_role: Role, permission: Permission) -> None:
    """Raises `NotAllowed`, naming the least role that may."""
    if not allows(actor_role, permission):
        least = next(role for role in (Role.MEMBER, Role.ADMIN, Role.OWNER) if allows(role, permission))
        raise NotAllowed(
            "identity.not_allowed",
            f"a {actor_role} may not do this ({permission}): ask an {least} of the organization",
            permission=str(permission),
        )
