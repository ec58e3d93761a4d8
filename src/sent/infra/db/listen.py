"""LISTEN on a connection of its own, for as long as the program runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import psycopg
from psycopg import AsyncConnection, sql
from psycopg.conninfo import make_conninfo

_FIRST_RETRY_S = 0.25
_LONGEST_RETRY_S = 5.0
_PROBE_S = 15.0
_ANSWER_S = 5.0


async def listen(dsn: str, channel: str, on_payload: Callable[[str], None], on_gap: Callable[[], None]) -> None:
    """Call ``on_payload`` for each notification on ``channel``; runs until it is cancelled.

    ``on_gap`` is called each time listening begins (again): what was notified in between was not heard, so whoever
    keeps copies must look again.
    """
    retry = _FIRST_RETRY_S
    while True:
        try:
            async with await AsyncConnection.connect(
                make_conninfo(dsn, connect_timeout=5, application_name=f"sent listen {channel}"), autocommit=True
            ) as connection:
                await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
                on_gap()
                retry = _FIRST_RETRY_S
                while True:
                    async for notification in connection.notifies(timeout=_PROBE_S):
                        on_payload(notification.payload)
                    # A connection that died without a word is found out here.
                    async with asyncio.timeout(_ANSWER_S):
                        await connection.execute("SELECT 1")
        except (psycopg.Error, TimeoutError):
            await asyncio.sleep(retry)
            retry = min(retry * 2, _LONGEST_RETRY_S)
