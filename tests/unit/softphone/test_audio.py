import asyncio
import struct
import wave

import pytest

from sent.kit.errors import BadInput
from sent.softphone.audio import listen, read_speech, speak
from sent.testing.clock import run_virtual
from sent.testing.engine import FakeEngine


def _wav(file, frames: bytes, *, rate: int = 16_000, channels: int = 1, width: int = 2):
    with wave.open(str(file), "wb") as out:
        out.setframerate(rate)
        out.setnchannels(channels)
        out.setsampwidth(width)
        out.writeframes(frames)
    return file


def test_mono_is_read_as_it_is(tmp_path):
    frames = struct.pack("<3h", 1, -2, 32_767)
    assert read_speech(_wav(tmp_path / "a.wav", frames, rate=8_000)) == (frames, 8_000)


def test_of_several_channels_the_first_is_taken(tmp_path):
    file = _wav(tmp_path / "a.wav", struct.pack("<6h", 1, 100, 2, 200, 3, 300), channels=2)
    assert read_speech(file) == (struct.pack("<3h", 1, 2, 3), 16_000)


@pytest.mark.parametrize(("rate", "width"), [(44_100, 2), (16_000, 1), (16_000, 3)])
def test_what_the_engine_cannot_play_is_refused_with_a_way_to_convert_it(tmp_path, rate, width):
    file = _wav(tmp_path / "song.wav", bytes(12), rate=rate, width=width)
    with pytest.raises(BadInput, match=r"ffmpeg -i song\.wav") as refused:
        read_speech(file)
    assert refused.value.code == "softphone.bad_file"


@pytest.mark.parametrize("content", [b"", b"RIFF", b"ID3 this is music"])
def test_what_is_no_wav_file_is_named(tmp_path, content):
    file = tmp_path / "song.wav"
    file.write_bytes(content)
    with pytest.raises(BadInput, match=r"song\.wav is no WAV file"):
        read_speech(file)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(BadInput, match=r"nothing\.wav cannot be read: No such file"):
        read_speech(tmp_path / "nothing.wav")


def test_speech_longer_than_the_buffer_is_written_as_it_drains_and_whole():
    pcm = bytes(range(256)) * 400

    async def main():
        engine = FakeEngine()
        stream = engine.open_stream(16_000, max_buffer_ms=1_000)
        speaking = asyncio.create_task(speak(engine, stream, pcm))
        heard = b""
        while not speaking.done():
            await asyncio.sleep(0.5)
            heard += engine.play_out(stream, 16_000)
        assert heard + engine.play_out(stream, len(pcm)) == pcm

    run_virtual(main())


def test_what_is_heard_is_in_the_file_when_listening_is_cancelled(tmp_path):
    file = tmp_path / "heard.wav"

    async def main():
        engine = FakeEngine()
        stream = engine.open_stream(16_000)
        listening = asyncio.create_task(listen(engine, stream, file, 16_000))
        await asyncio.sleep(0.1)
        engine.hear(stream, b"ab" * 100)
        await asyncio.sleep(0.1)
        engine.hear(stream, b"cd" * 100)
        listening.cancel()
        await asyncio.wait((listening,))

    run_virtual(main())
    assert read_speech(file) == (b"ab" * 100 + b"cd" * 100, 16_000)


def test_a_file_that_cannot_be_written_is_named(tmp_path):
    async def main():
        engine = FakeEngine()
        await listen(engine, engine.open_stream(8_000), tmp_path / "none" / "heard.wav", 8_000)

    with pytest.raises(BadInput, match=r"heard\.wav cannot be written"):
        run_virtual(main())
