"""Where a dialled inside number leads. Pure decisions: a number and a snapshot in, a `Plan` out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from sent.calls.ending import Blame, EndCode, Ending
from sent.calls.party import Direction, Party, PartyKind
from sent.calls.plan import Echo, Plan, PlayFile, Refuse, Ring, UserTarget
from sent.pbx.models import Extension, ExtensionKind, RoutingSnapshot

RING_SECONDS = 30.0
_MAX_SHOWN = 40
"""Of a dialled number that nobody knows: it may be anything."""


def plan_for(dialed: str, routing: RoutingSnapshot, caller: Party, announcements: Mapping[str, Path]) -> Plan | None:
    """The plan for an inside number; None when it is not one, so that the next dialplan decides.

    A caller from outside reaches the same extensions (an inbound route dials one); its direction and its recording
    follow from who calls. ``announcements`` are the files that exist, by name.
    """
    extension = routing.extensions.get(dialed)
    if extension is None:
        return None
    direction = Direction.INBOUND if caller.kind is PartyKind.OUTSIDE else Direction.INTERNAL
    settings = routing.settings
    record = settings.record_outside if direction is Direction.INBOUND else settings.record_internal
    match extension.kind:
        case ExtensionKind.ECHO:
            return Plan(direction, _service(extension, "Echo test"), (Echo(),))
        case ExtensionKind.ANNOUNCEMENT:
            return _announcement(extension, direction, announcements)
        case ExtensionKind.USER:
            return _user(extension, direction, caller, record=record)


def _service(extension: Extension, name: str) -> Party:
    return Party(PartyKind.SERVICE, extension.number, extension.name or name)


def _announcement(extension: Extension, direction: Direction, announcements: Mapping[str, Path]) -> Plan:
    callee = _service(extension, "Announcement")
    file = announcements.get(extension.announcement or "")
    if file is None:
        words = f"The announcement of {extension.number} has no audio file named {extension.announcement}."
        return Plan(direction, callee, (Refuse(Ending(EndCode.FAILED, words, blame=Blame.US, sip_status=500)),))
    return Plan(direction, callee, (PlayFile(file),))


def _user(extension: Extension, direction: Direction, caller: Party, *, record: bool) -> Plan:
    user_id = extension.user_id
    assert user_id is not None, "the database holds users' extensions with their user only"
    callee = Party(PartyKind.USER, extension.number, extension.name, user_id=user_id)
    if caller.user_id == user_id:
        words = f"You dialled your own number {extension.number}, and are on the phone yourself."
        ending = Ending(EndCode.BUSY, words, blame=Blame.CALLER, sip_status=486)
        return Plan(direction, callee, (Refuse(ending),))
    return Plan(direction, callee, (Ring((UserTarget(callee, user_id),), RING_SECONDS),), record=record)


def not_found(dialed: str, direction: Direction = Direction.INTERNAL) -> Plan:
    """The end of every chain of dialplans: nobody knows this number."""
    dialed = dialed[:_MAX_SHOWN]
    words = f"There is no number {dialed} here: no extension has it and no rule leads outside with it."
    ending = Ending(EndCode.NOT_FOUND, words, blame=Blame.CALLER, sip_status=404)
    return Plan(direction, Party(PartyKind.SERVICE, dialed), (Refuse(ending),))
