"""Records for tests, made through the values that the runner makes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sent.calls.ending import Blame, EndCode, Ending
from sent.calls.leg import LegState, Role
from sent.calls.models import CallRecord, Disposition, Ladder, LadderMessage, LegRecord, Quality
from sent.calls.party import Direction, Party, PartyKind
from sent.calls.state import CallState, StateAt
from sent.kit.ids import uuid7

AT = datetime(2026, 1, 1, 12, 0, 0, 123000, tzinfo=UTC)
NODE = UUID("01a1fa68-a12f-7f7a-8e99-dcf2c23fb5a0")
ALICE = Party(PartyKind.USER, "101", "Alice", user_id=UUID(int=5), device_id=UUID(int=6))
BOB = Party(PartyKind.USER, "102", "Bob", user_id=UUID(int=7))
INVITE = "INVITE sip:102@sent.example SIP/2.0\r\nCSeq: 1 INVITE\r\n\r\nv=0\r\nm=audio 4000 RTP/AVP 8 0\r\n"


def opened(organization_id: UUID, at: datetime = AT, *, node: UUID = NODE, caller: Party = ALICE) -> CallRecord:
    """As a call starts."""
    call_id = uuid7(int(at.timestamp() * 1000))
    states = (StateAt(CallState.NEW, at),)
    leg = LegRecord(uuid7(), Role.CALLER, caller, LegState.NEW, at, signalling_id=f"a-{call_id}", transport="UDP")
    return CallRecord(call_id, organization_id, node, 1, "102", caller, CallState.NEW, at, states=states, legs=(leg,))


def answered(record: CallRecord) -> CallRecord:
    """Two seconds later."""
    at = record.started_at + timedelta(seconds=2)
    states = (*record.states, StateAt(CallState.CONNECTED, at))
    caller = replace(record.legs[0], state=LegState.ANSWERED, answered_at=at)
    callee = LegRecord(
        uuid7(), Role.CALLEE, BOB, LegState.ANSWERED, record.started_at, answered_at=at, codec="PCMA",
        signalling_id=f"b-{record.id}",
        remote_address="192.0.2.20:5060", user_agent="Phone/1.0", extra={"srtp": "none"},
    )  # fmt: skip
    return replace(
        record, version=2, state=CallState.CONNECTED, states=states, answered_at=at, callee=BOB,
        direction=Direction.INTERNAL, legs=(caller, callee),
    )  # fmt: skip


def ended(record: CallRecord, code: EndCode = EndCode.HUNG_UP, after: float = 12) -> CallRecord:
    """Bob has hung up, with everything that a record can hold."""
    at = record.started_at + timedelta(seconds=after)
    ending = Ending(code, "Bob hung up.", "callee", Blame.NONE, 200, "Q.850;cause=16", '399 x "w"')
    quality = Quality(500, 498, 2, 1, 0.6, 0.4, 3.5, 41.0, 60.0, 91.2, 4.36, remote="192.0.2.20:4000")
    legs = tuple(
        replace(leg, state=LegState.ENDED, ended_at=at, ending=ending, quality=quality, flags=("A flag.",), digits=1)
        for leg in record.legs
    )
    messages = [(0.0, 0, False), (0.01, 1, True)] if len(legs) > 1 else [(0.0, 0, False)]
    ladder = Ladder(
        tuple(
            LadderMessage(record.started_at + timedelta(seconds=s), legs[n].signalling_id, sent, "192.0.2.1:1", INVITE)
            for s, n, sent in messages
        ),
        omitted=4,
    )
    return replace(
        record, version=3, state=CallState.ENDED, states=(*record.states, StateAt(CallState.ENDED, at)), ended_at=at,
        ending=ending, disposition=Disposition.ANSWERED, recording_id=uuid7(), flags=("A flag.",), digits=2,
        ignored_events=3, legs=legs, ladder=ladder,
    )  # fmt: skip
