from __future__ import annotations

import asyncio
from uuid import UUID

from tests.scenarios.calls_world import run

from sent.calls.ending import EndCode, Ending
from sent.calls.inbox import HangUp, Inbox
from sent.calls.media_events import MediaEvents
from sent.calls.ports import DigitPressed
from sent.media.types import MediaLegId, RecordingFailed, RecordingHandle, Silence

DIGIT = DigitPressed(UUID(int=1), "1", 80)
END = HangUp(Ending(EndCode.HUNG_UP, "The end."))


def test_events_come_out_in_order():
    async def scenario():
        inbox = Inbox()
        inbox.post(DIGIT)
        inbox.post(END, essential=True)
        assert await inbox.get(None) == DIGIT
        assert await inbox.get(None) == END

    run(scenario())


def test_a_full_inbox_drops_and_counts_but_takes_what_is_essential():
    async def scenario():
        inbox = Inbox(limit=3)
        for _ in range(5):
            inbox.post(DIGIT)
        inbox.post(END, essential=True)
        assert inbox.dropped == 2
        assert [await inbox.get(None) for _ in range(4)] == [DIGIT, DIGIT, DIGIT, END]

    run(scenario())


def test_the_deadline():
    async def scenario():
        loop = asyncio.get_running_loop()
        inbox = Inbox()
        start = loop.time()
        assert await inbox.get(start + 5) is None
        assert loop.time() == start + 5
        loop.call_later(2, inbox.post, DIGIT)
        assert await inbox.get(loop.time() + 5) == DIGIT
        assert loop.time() == start + 7
        assert await inbox.get(start) is None, "a deadline that has passed"

    run(scenario())


def test_media_events_reach_their_subscribers_and_nobody_else():
    hub, heard, other = MediaEvents(), [], []
    stop = hub.subscribe(MediaLegId(1), heard.append)
    hub.subscribe(MediaLegId(1), other.append)
    stop_recording = hub.subscribe_recording(RecordingHandle(1), heard.append)
    hub.dispatch(Silence(MediaLegId(1), 5000))
    hub.dispatch(Silence(MediaLegId(2), 5000))
    hub.dispatch(RecordingFailed(RecordingHandle(1), "full"))
    stop()
    stop()
    stop_recording()
    hub.dispatch(Silence(MediaLegId(1), 30_000))
    hub.dispatch(RecordingFailed(RecordingHandle(1), "full"))
    assert heard == [Silence(MediaLegId(1), 5000), RecordingFailed(RecordingHandle(1), "full")]
    assert other == [Silence(MediaLegId(1), 5000), Silence(MediaLegId(1), 30_000)]
    assert len(hub) == 1
