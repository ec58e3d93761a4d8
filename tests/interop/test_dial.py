"""`sent dial`, the phone in the terminal, as a process beside the server."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.interop.product import House
from tests.interop.tones import read_wav, write_tone

pytestmark = pytest.mark.interop

HZ = 1000.0


async def test_it_hears_in_the_echo_test_what_it_played(house: House, tmp_path: Path) -> None:
    write_tone(tmp_path / "play.wav", HZ, seconds=3)
    done = await house.product.sent(
        "dial", "600", "--play", str(tmp_path / "play.wav"), "--record", str(tmp_path / "heard.wav"),
        "--as", "101", "--organization", house.slug,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Answered" in done.stdout
    (heard,) = read_wav(tmp_path / "heard.wav")
    assert heard.seconds == pytest.approx(4, abs=1.5)
    there = [amplitude > 6000 for amplitude in heard.amplitudes(HZ)]
    assert there.count(True) >= 26, there
    assert (await house.record()).call.end_words == "Alice hung up."


async def test_an_announcement_ends_the_call_by_itself(house: House, tmp_path: Path) -> None:
    done = await house.product.sent(
        "dial", "601", "--record", str(tmp_path / "heard.wav"), "--as", "101", "--organization", house.slug
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (heard,) = read_wav(tmp_path / "heard.wav")
    assert max(heard.amplitudes(523.25)) > 2000
    record = await house.record()
    assert (record.call.end_code, record.call.end_by) == ("completed", "system")
    assert "lost 0.0 %" in done.stdout


async def test_a_wrong_number_is_told_in_words(house: House) -> None:
    done = await house.product.sent("dial", "999123", "--as", "101", "--organization", house.slug)
    assert done.returncode == 1
    assert "no number 999123" in done.stdout + done.stderr
    record = await house.record()
    assert (record.call.end_code, record.call.end_status) == ("not_found", 404)


async def test_another_server_is_called_with_user_and_password(house: House) -> None:
    words = ("dial", "600", "--server", house.product.sip, "--user", house.alice.user, "--seconds", "1")
    good = await house.product.sent(*words, stdin=house.alice.password + "\n")
    assert good.returncode == 0, good.stdout + good.stderr
    bad = await house.product.sent(*words, stdin="wrong\n")
    assert bad.returncode == 1
    assert house.alice.password not in bad.stdout + bad.stderr
