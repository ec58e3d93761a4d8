"""The media engine and its codecs, tried with real packets on loopback."""

from __future__ import annotations

import math
import struct
import time
from collections.abc import Iterator

from sent.app.doctor.finding import Finding, broken, good
from sent.app.settings import Settings
from sent.kit.errors import SentError
from sent.media.engine import RustEngine
from sent.media.negotiation import FORMATS
from sent.media.types import Codec, MediaLegId, RtpPorts, RtpSettings
from sent.sdp.formats import Format

_RATE = 16_000
_TONE_HZ = 1_000
_SECONDS = 0.6
_DEADLINE = 3.0
_LOUD_ENOUGH = 1_000


def check_codecs(settings: Settings) -> Iterator[Finding]:
    """A tone goes into one stream leg and must come out of another, through two RTP legs with the codec."""
    try:
        engine = RustEngine(*settings.rtp_ports, threads=1)
    except SentError as error:
        yield broken("media engine", error.message, "Install SENT again: its media engine does not load.")
        return
    try:
        deaf = [fmt.name for fmt in FORMATS if not _hears(engine, fmt)]
    except SentError as error:
        yield broken("media engine", error.message, "Widen SENT_RTP_PORTS.")
        return
    finally:
        engine.shut_down()
    names = ", ".join(fmt.name for fmt in FORMATS)
    if deaf:
        yield broken("codecs", f"no audio came through {', '.join(deaf)}", "Does a firewall filter UDP on loopback?")
    else:
        yield good("codecs", f"a tone went through {names} and was heard")


def _hears(engine: RustEngine, fmt: Format) -> bool:
    speaker, listener = engine.open_stream(_RATE), engine.open_stream(_RATE)
    out, out_ports = engine.open_rtp("127.0.0.1")
    back, back_ports = engine.open_rtp("127.0.0.1")
    try:
        _connect(engine, out, back_ports, fmt)
        _connect(engine, back, out_ports, fmt)
        engine.bridge(speaker, out)
        engine.bridge(back, listener)
        engine.stream_write(speaker, _tone())
        heard = b""
        end = time.monotonic() + _DEADLINE
        while len(heard) < _RATE and time.monotonic() < end:
            time.sleep(0.02)
            heard += engine.stream_read(listener, _RATE * 2)
            if _level(heard) > _LOUD_ENOUGH:
                return True
        return False
    finally:
        for leg in (speaker, listener, out, back):
            engine.close(leg)


def _connect(engine: RustEngine, leg: MediaLegId, peer: RtpPorts, fmt: Format) -> None:
    codec = Codec(fmt.payload_type, fmt.name, fmt.clock_rate, fmt.channels, fmt.fmtp)
    engine.configure(leg, RtpSettings(receive=(codec,), send=codec, remote=(peer.address, peer.port)))


def _tone() -> bytes:
    count = int(_RATE * _SECONDS)
    return struct.pack(
        f"<{count}h", *(round(12_000 * math.sin(2 * math.pi * _TONE_HZ * n / _RATE)) for n in range(count))
    )


def _level(pcm: bytes) -> float:
    """Amplitude of the tone in the loudest fifth of a second."""
    samples = struct.unpack(f"<{len(pcm) // 2}h", pcm[: len(pcm) // 2 * 2])
    step, width = 2 * math.pi * _TONE_HZ / _RATE, _RATE // 5
    loudest = 0.0
    for start in range(0, len(samples) - width, width):
        part = samples[start : start + width]
        real = sum(s * math.cos(step * n) for n, s in enumerate(part))
        imaginary = sum(s * math.sin(step * n) for n, s in enumerate(part))
        loudest = max(loudest, 2 * math.hypot(real, imaginary) / width)
    return loudest
