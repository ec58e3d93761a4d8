"""From the engine's counters to the record's quality, and to sentences about what went wrong. Pure."""

from __future__ import annotations

from sent.calls.models import Quality
from sent.media.types import LegStatistics


def from_statistics(statistics: LegStatistics) -> Quality:
    return Quality(
        packets_sent=statistics.packets_sent,
        packets_received=statistics.packets_received,
        packets_lost=statistics.packets_lost,
        packets_discarded=statistics.packets_discarded,
        loss_received_percent=statistics.loss_percent,
        loss_sent_percent=statistics.remote_loss_percent,
        jitter_ms=statistics.jitter_ms,
        round_trip_ms=statistics.round_trip_ms,
        buffer_delay_ms=statistics.buffer_delay_ms,
        r_factor=statistics.r_factor,
        mos=statistics.mos,
        transcoded=statistics.transcoded,
        strangers=statistics.strangers,
        remote=address(statistics.remote) if statistics.remote is not None else None,
    )


def address(remote: tuple[str, int]) -> str:
    host, port = remote
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def silence_words(who: str, ms: int, statistics: LegStatistics | None) -> str:
    """Why nobody hears ``who``: what was sent to it, what came from it, and from where."""
    words = f"Nothing was heard from {who} for {ms / 1000:g} s"
    if statistics is None:
        return words + "."
    words += f": {statistics.packets_sent} packets were sent to it and {statistics.packets_received} received"
    if statistics.remote is not None:
        words += f", from {address(statistics.remote)}" if statistics.packets_received else ""
    if not statistics.packets_received:
        words += "; a firewall or a wrong media address lies between"
    if statistics.strangers:
        words += f"; {statistics.strangers} packets from an address outside the negotiation were dropped"
    if statistics.srtp_failures:
        words += f"; {statistics.srtp_failures} packets could not be decrypted"
    return words + "."
