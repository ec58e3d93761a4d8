import asyncio

import pytest

from sent.app.tasks import STOP_SECONDS, Tasks
from sent.kit.errors import Unavailable
from sent.testing.clock import run_virtual


def test_work_that_fails_is_begun_again_with_growing_pauses():
    async def main():
        begun = []
        loop = asyncio.get_running_loop()

        async def work():
            begun.append(loop.time() - start)
            if len(begun) < 4:
                raise RuntimeError("again")
            await asyncio.Event().wait()

        start = loop.time()
        tasks = Tasks()
        tasks.start(work, "work", endless=True)
        await asyncio.sleep(60)
        assert begun == pytest.approx([0, 1, 3, 7], abs=0.1)
        await tasks.end()

    run_virtual(main())


def test_what_is_told_finishes_while_what_is_endless_still_works():
    async def main():
        order = []
        told = asyncio.Event()

        async def recorder():
            await told.wait()
            await asyncio.sleep(0.2)
            order.append("recorder wrote")

        async def writer():
            try:
                await asyncio.Event().wait()
            finally:
                order.append("writer cancelled")

        tasks = Tasks()
        tasks.start(recorder, "recorder")
        tasks.start(writer, "writer", endless=True)
        await asyncio.sleep(1)
        told.set()
        await tasks.end()
        assert order == ["recorder wrote", "writer cancelled"]

    run_virtual(main())


def test_what_does_not_end_in_time_is_cut_short():
    async def main():
        async def deaf():
            await asyncio.Event().wait()

        tasks = Tasks()
        tasks.start(deaf, "deaf")
        await asyncio.sleep(0)
        before = asyncio.get_running_loop().time()
        await tasks.end()
        assert asyncio.get_running_loop().time() - before < STOP_SECONDS + 2
        assert len(asyncio.all_tasks()) == 1

    run_virtual(main())


def test_listening_returns_when_it_listens_and_raises_what_prevents_it():
    async def main():
        tasks, listens, told = Tasks(), asyncio.Event(), asyncio.Event()

        async def serve():
            await asyncio.sleep(1)
            listens.set()
            await told.wait()

        async def taken():
            raise Unavailable("http.port_taken", "Port 8000 is taken.")

        await tasks.start_listening(serve, "http", listens)
        with pytest.raises(Unavailable, match="8000"):
            await tasks.start_listening(taken, "http", asyncio.Event())
        told.set()
        await tasks.end()
        assert len(asyncio.all_tasks()) == 1

    run_virtual(main())


def test_ending_nothing_is_nothing():
    run_virtual(Tasks().end())
