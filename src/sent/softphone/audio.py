"""WAV files through a PCM stream leg: one is played into the call, what is heard is written to another."""

from __future__ import annotations

import asyncio
import contextlib
import wave
from pathlib import Path

from sent.kit.errors import BadInput
from sent.media.port import MediaEngine, MediaError
from sent.media.types import MediaLegId

STREAM_RATES = (8_000, 16_000, 24_000, 48_000)
DEFAULT_RATE = 16_000
_TURN_SECONDS = 0.02
_MAX_SECONDS = 3_600
_SAMPLE = 2


def read_speech(file: Path) -> tuple[bytes, int]:
    """16-bit mono samples of a WAV file, and their rate. Raises `BadInput` naming what is needed."""
    try:
        with wave.open(str(file), "rb") as source:
            rate, channels, width, frames = (
                source.getframerate(), source.getnchannels(), source.getsampwidth(), source.getnframes(),
            )  # fmt: skip
            if width != _SAMPLE or rate not in STREAM_RATES or frames > rate * _MAX_SECONDS:
                raise BadInput(
                    "softphone.bad_file",
                    f"{file} is {rate} Hz, {8 * width} bit. Needed: a WAV file of 16 bit at 8000, 16000, 24000 or 48000"
                    f" Hz, an hour at most (for example: ffmpeg -i {file.name} -ac 1 -ar 16000 -c:a pcm_s16le s.wav).",
                )
            octets = source.readframes(frames)
    except (wave.Error, EOFError) as error:
        raise BadInput("softphone.bad_file", f"{file} is no WAV file that can be read: {error}.") from error
    except OSError as error:
        raise BadInput("softphone.bad_file", f"{file} cannot be read: {error.strerror}.") from error
    if channels == 1:
        return octets, rate
    step = _SAMPLE * channels
    return b"".join(octets[at : at + _SAMPLE] for at in range(0, len(octets), step)), rate


async def speak(engine: MediaEngine, stream: MediaLegId, pcm: bytes) -> None:
    """Write ``pcm`` as fast as the leg's buffer takes it, and return when all of it was taken."""
    rest = memoryview(pcm)
    while rest:
        taken = engine.stream_write(stream, bytes(rest[: 1 << 16]))
        rest = rest[taken:]
        if not taken:
            await asyncio.sleep(_TURN_SECONDS)


async def listen(engine: MediaEngine, stream: MediaLegId, file: Path, rate: int) -> None:
    """Write all that is heard to ``file`` (WAV, mono) until cancelled; then the file is whole."""
    try:
        # Not by name: a `wave.open` that fails to open its file says so once more when it is collected.
        target = file.open("wb")  # once; closed below, where cancelling ends up
    except OSError as error:
        raise BadInput("softphone.bad_file", f"{file} cannot be written: {error.strerror}.") from error
    with target, wave.open(target, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(_SAMPLE)
        out.setframerate(rate)
        try:
            while True:
                heard = engine.stream_read(stream, rate * _SAMPLE)
                if heard:
                    out.writeframes(heard)
                await asyncio.sleep(_TURN_SECONDS)
        finally:
            with contextlib.suppress(MediaError):  # the leg may be closed already; what was heard before is written
                out.writeframes(engine.stream_read(stream, rate * _SAMPLE))
