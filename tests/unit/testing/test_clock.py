"""Virtual time: order, jumps, and an error instead of waiting for ever."""

from __future__ import annotations

import asyncio
import time

import pytest

from sent.testing.clock import FakeClock, run_virtual


def test_a_day_passes_in_no_time_and_in_order() -> None:
    async def main() -> tuple[list[str], float]:
        loop = asyncio.get_running_loop()
        started, order = loop.time(), []

        async def sleeper(name: str, seconds: float) -> None:
            await asyncio.sleep(seconds)
            order.append(name)

        await asyncio.gather(sleeper("day", 86_400), sleeper("second", 1), sleeper("hour", 3_600))
        return order, loop.time() - started

    before = time.monotonic()
    order, passed = run_virtual(main())
    assert order == ["second", "hour", "day"]
    assert passed == pytest.approx(86_400)
    assert time.monotonic() - before < 1


def test_a_time_limit_is_kept_to_the_point() -> None:
    async def main() -> float:
        loop = asyncio.get_running_loop()
        started = loop.time()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(12.5):
                await asyncio.sleep(13)
        return loop.time() - started

    assert run_virtual(main()) == pytest.approx(12.5)


def test_threads_still_work() -> None:
    async def main() -> int:
        return await asyncio.to_thread(lambda: 42)

    assert run_virtual(main()) == 42


def test_the_error_of_a_task_comes_out() -> None:
    async def main() -> None:
        await asyncio.sleep(1)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_virtual(main())


def test_a_fake_clock_moves_only_when_told_and_never_back() -> None:
    clock = FakeClock(10.0)
    assert clock() == clock.now() == 10.0
    assert clock.advance(2.5) == clock() == 12.5
    with pytest.raises(ValueError, match="does not go back"):
        clock.advance(-1)
