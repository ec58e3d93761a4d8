from __future__ import annotations

import pytest

from sent.identity.roles import PERMISSIONS, Permission, Role, allows, require
from sent.identity.rules import require_may_manage
from sent.kit.errors import NotAllowed


def test_each_role_has_all_of_the_one_below_and_more() -> None:
    assert PERMISSIONS[Role.MEMBER] < PERMISSIONS[Role.ADMIN] < PERMISSIONS[Role.OWNER]


def test_an_owner_may_everything() -> None:
    assert PERMISSIONS[Role.OWNER] == set(Permission)


@pytest.mark.parametrize(
    "permission", [Permission.SEE_ALL_CALLS, Permission.MANAGE_USERS, Permission.MANAGE_TRUNKS, Permission.SEE_AUDIT]
)
def test_a_member_may_not_look_at_or_manage_others(permission: Permission) -> None:
    assert not allows(Role.MEMBER, permission)


@pytest.mark.parametrize(
    ("role", "permission", "least"),
    [
        (Role.MEMBER, Permission.MANAGE_DEVICES, "admin"),
        (Role.ADMIN, Permission.MANAGE_OWNERS, "owner"),
        (Role.ADMIN, Permission.DELETE_RECORDINGS, "owner"),
    ],
)
def test_who_is_refused_hears_whom_to_ask(role: Role, permission: Permission, least: str) -> None:
    with pytest.raises(NotAllowed, match=f"ask an {least}") as caught:
        require(role, permission)
    assert caught.value.details["permission"] == permission


def test_owners_are_managed_by_owners_only() -> None:
    require_may_manage(Role.ADMIN, Role.ADMIN)
    require_may_manage(Role.OWNER, Role.OWNER)
    with pytest.raises(NotAllowed):
        require_may_manage(Role.ADMIN, Role.OWNER)
