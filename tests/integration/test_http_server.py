"""The HTTP server on a real socket."""

import asyncio
import contextlib
import signal
import socket

import pytest
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from sent.infra.http import HttpError, build_app, serve, server
from sent.infra.telemetry import Metrics


@contextlib.asynccontextmanager
async def running(routes=()):
    stop, address = asyncio.Event(), asyncio.get_running_loop().create_future()
    task = asyncio.create_task(
        serve(build_app([], Metrics(), routes), "127.0.0.1", 0, stop, started=lambda *a: address.set_result(a))
    )
    try:
        yield await address, stop
    finally:
        stop.set()
        await asyncio.wait_for(task, 10)


async def ask(address, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(*address)
    writer.write(request)
    with contextlib.closing(writer):
        return await asyncio.wait_for(reader.read(), 5)


GET = b"GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


async def test_it_answers_and_leaves_the_signals_alone():
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    async with running() as (address, _):
        answer = await ask(address, GET % b"/healthz")
        assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"server:" not in answer.lower()


async def test_a_running_request_is_answered_before_the_stop():
    entered = asyncio.Event()

    async def slow(_request):
        entered.set()
        await asyncio.sleep(0.2)
        return PlainTextResponse("done")

    async with running([Route("/slow", slow)]) as (address, stop):
        asking = asyncio.create_task(ask(address, GET % b"/slow"))
        await entered.wait()
        stop.set()
        assert (await asking).endswith(b"done")


async def test_a_taken_port_is_named_with_its_setting():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(HttpError, match=f"Port {port} .*SENT_HTTP_PORT") as caught:
            await serve(build_app([], Metrics()), "127.0.0.1", port, asyncio.Event())
    assert caught.value.code == "http.port_taken"


async def test_an_address_that_is_not_ours_is_named():
    with pytest.raises(HttpError, match=r"192\.0\.2\.1") as caught:
        await serve(build_app([], Metrics()), "192.0.2.1", 0, asyncio.Event())
    assert caught.value.code == "http.bad_address"


async def test_a_huge_head_is_refused():
    async with running() as (address, _):
        answer = await ask(address, b"GET / HTTP/1.1\r\nX: " + b"a" * 64 * 1024)
    assert answer.startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("first", [b"", b"GET / HT"])
async def test_who_does_not_finish_a_head_is_hung_up_on(first, monkeypatch):
    monkeypatch.setattr(server, "HEAD_SECONDS", 0.1)
    async with running() as (address, _):
        reader, writer = await asyncio.open_connection(*address)
        writer.write(first)
        with contextlib.closing(writer), contextlib.suppress(ConnectionResetError):
            assert await asyncio.wait_for(reader.read(), 3) == b""


async def test_a_second_request_has_the_same_limit(monkeypatch):
    monkeypatch.setattr(server, "HEAD_SECONDS", 0.1)
    async with running() as (address, _):
        reader, writer = await asyncio.open_connection(*address)
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await reader.readuntil(b"}")).startswith(b"HTTP/1.1 200")
        writer.write(b"GE")
        with contextlib.closing(writer), contextlib.suppress(ConnectionResetError):
            assert await asyncio.wait_for(reader.read(), 3) == b""
