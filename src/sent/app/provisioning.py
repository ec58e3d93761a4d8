"""Making people and phones: what an administrator wants in one step spans identity and the extensions of the PBX."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from sent.app.local import Local
from sent.identity.models import Device, NewSecret, Principal, User
from sent.identity.roles import Role
from sent.kit.errors import Conflict, NotFound
from sent.pbx.models import Extension, ExtensionKind
from sent.pbx.store import PbxStore, check_number


@dataclass(frozen=True, slots=True)
class Person:
    user: User
    extensions: tuple[str, ...]
    devices: tuple[Device, ...]


async def add_person(local: Local, principal: Principal, name: str, extension: str | None, role: Role) -> User:
    """A user, and the extension that rings that user's devices. Raises `Conflict` when another thing has it."""
    if extension is not None:
        check_number(extension)
        taken = next((e for e in await extensions(local, principal) if e.number == extension), None)
        if taken is not None:
            raise Conflict(
                "extension.taken",
                f"The extension {extension} is {taken.name or taken.kind.value}'s. Choose another one, or first:"
                f" sent extension remove {extension}",
            )
    user = await local.identity.create_user(principal, name, None, role)
    if extension is not None:
        await PbxStore(local.database).put_extension(
            principal.organization_id, principal.actor, extension, ExtensionKind.USER, name=name, user_id=user.id
        )
    return user


async def people(local: Local, principal: Principal) -> list[Person]:
    snapshot = await PbxStore(local.database).load(principal.organization_id, principal.actor)
    users = await local.identity.list_users(principal)
    devices = await local.identity.list_devices(principal)
    return [
        Person(
            user,
            tuple(e.number for e in snapshot.extensions.values() if e.user_id == user.id),
            tuple(d for d in devices if d.user_id == user.id),
        )
        for user in users
    ]


async def person_at(local: Local, principal: Principal, who: str) -> Person:
    """The person with this extension or name (without case). Raises `NotFound`."""
    for person in await people(local, principal):
        if who in person.extensions or who.casefold() == person.user.name.casefold():
            return person
    raise NotFound("user.not_found", f"Nobody has the extension or name {who}; `sent user list` shows everyone.")


async def add_device(local: Local, principal: Principal, who: str, name: str) -> NewSecret:
    person = await person_at(local, principal, who)
    return await local.identity.create_device(principal, person.user.id, name)


async def extensions(local: Local, principal: Principal) -> list[Extension]:
    snapshot = await PbxStore(local.database).load(principal.organization_id, principal.actor)
    return sorted(snapshot.extensions.values(), key=lambda extension: extension.number)


async def extension_at(local: Local, principal: Principal, number: str) -> Extension:
    """Raises `NotFound`."""
    for extension in await extensions(local, principal):
        if extension.number == number:
            return extension
    raise NotFound("extension.not_found", f"There is no extension {number}; `sent extension list` shows all.")


async def find_device(local: Local, principal: Principal, sip_username: str) -> UUID:
    for device in await local.identity.list_devices(principal):
        if device.sip_username == sip_username:
            return device.id
    raise NotFound("device.not_found", f"There is no device {sip_username}; `sent device list` shows all.")
