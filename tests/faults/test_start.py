"""What keeps SENT from starting: one sentence that names it and the setting, status 1, and nothing left running."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
from collections.abc import Iterator

import pytest

from sent.media.engine import RustEngine
from tests.faults.phones import ALICE_HZ, BOB_HZ, alice_and_bob, hear_each_other, voice
from tests.faults.records import ended_records
from tests.faults.serving import Server, server_folder
from tests.interop.product import new_house

pytestmark = pytest.mark.faults


@pytest.fixture(scope="module")
def stopped_server() -> Iterator[Server]:
    """Has run once, so that its database need not be made each time."""
    with server_folder() as folder:
        server = Server(folder)
        try:
            server.start()
            assert server.stop() == 0
            yield server
        finally:
            server.end()


@contextlib.contextmanager
def taken(kind: socket.SocketKind, port: int) -> Iterator[None]:
    with socket.socket(socket.AF_INET, kind) as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # past what is in TIME_WAIT
        other.bind(("127.0.0.1", port))
        if kind is socket.SOCK_STREAM:
            other.listen()
        yield


def said_at_the_end(server: Server, environment: dict[str, str] | None = None) -> str:
    """Start, and return what it printed when it ended with status 1; nothing of it may run on."""
    before = len(server.log_text())
    process = server.launch() if environment is None else _launch(server, environment)
    try:
        status = process.wait(20)
    except subprocess.TimeoutExpired:
        server.end()
        raise
    said = server.log_text()[before:]
    assert status == 1, said
    assert "Traceback" not in said, said
    assert server.postgres() == []
    return said


def _launch(server: Server, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    usual = server.environment
    server.environment = usual | environment
    try:
        return server.launch()
    finally:
        server.environment = usual


@pytest.mark.parametrize(
    ("kind", "offset", "setting", "what"),
    [
        pytest.param(socket.SOCK_DGRAM, 0, "SENT_SIP_PORT", "UDP", id="sip-udp"),
        pytest.param(socket.SOCK_STREAM, 0, "SENT_SIP_PORT", "TCP", id="sip-tcp"),
        pytest.param(socket.SOCK_STREAM, 1, "SENT_SIP_TLS_PORT", "TLS", id="sip-tls"),
        pytest.param(socket.SOCK_STREAM, 2, "SENT_HTTP_PORT", "Port", id="http"),
    ],
)
def test_a_taken_port_is_named_with_its_setting(
    stopped_server: Server, kind: socket.SocketKind, offset: int, setting: str, what: str
) -> None:
    port = stopped_server.settings.sip_port + offset
    with taken(kind, port):
        said = said_at_the_end(stopped_server)
    (line,) = [line for line in said.splitlines() if line.startswith("sent: ")]
    assert str(port) in line
    assert setting in line
    assert what in line
    assert "taken by another program" in line
    assert not [line for line in said.splitlines() if '"level": "error"' in line]


async def test_when_the_audio_ports_are_used_up_the_call_is_refused_in_words(engine: RustEngine) -> None:
    with server_folder() as folder:
        server = Server(folder)
        low = server.settings.rtp_ports[0]
        server.environment["SENT_RTP_PORTS"] = f"{low}-{low + 3}"
        try:
            server.start()
            async with new_house(server.product) as house, alice_and_bob(engine, house) as (alice, bob):
                async with voice(engine, house, house.bob_second, BOB_HZ, register=False) as third:
                    talk = await alice.talk_to("102")
                    bob_talk = await bob.answered()
                    refused = await third.refused_by("600")
                    assert refused.outcome is not None
                    assert refused.outcome.status in (500, 503)
                    await hear_each_other(talk, bob_talk)
                    talk.call.hang_up()
                    await talk.over()
                records = await ended_records(house, 2)
                (failed,) = [record for record in records if record.call.answered_at is None]
                assert failed.call.end_code == "failed"
                assert "SENT_RTP_PORTS" in failed.call.end_words
                # Its ports are free again.
                talk = await alice.talk_to("600")
                await asyncio.sleep(2)
                assert talk.heard.hears(ALICE_HZ)
                talk.call.hang_up()
                await talk.over()
        finally:
            server.end()


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("SENT_SIP_PORT", "sip", "must be a port"),
        ("SENT_RTP_PORTS", "30000-20000", "write it like"),
        ("SENT_BIND", "example.org", "must be an IP address"),
        ("SENT_BIND", "192.0.2.55", "SENT_BIND"),
        ("SENT_SIPPORT", "5060", "no setting SENT_SIPPORT"),
        ("SENT_MASTER_KEY", "short", "SENT_MASTER_KEY"),
        ("SENT_TLS_CERT", "/nowhere/chain.pem", "SENT_TLS_KEY"),
        ("SENT_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none", "SENT_DATABASE_URL"),
        ("SENT_DATABASE_URL", "not a url", "SENT_DATABASE_URL"),
        ("SENT_DATA_DIR", "/proc/sent", "/proc/sent"),
        ("SENT_STORE_URL", "ftp://example.org/", "SENT_STORE_URL"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(stopped_server: Server, variable: str, value: str, words: str) -> None:
    said = said_at_the_end(stopped_server, {variable: value})
    (line,) = [line for line in said.splitlines() if line.startswith("sent: ")]
    assert words in line


def test_a_second_server_on_the_same_folder_is_refused_and_the_first_goes_on(shared_server: Server) -> None:
    first = shared_server.process
    log = shared_server.log
    shared_server.log = log.with_name("second")
    try:
        process = shared_server.launch()
        assert process.wait(20) == 1
        said = shared_server.log_text()
    finally:
        shared_server.process, shared_server.log = first, log
    assert "already runs on the data folder" in said
    assert "Traceback" not in said
    assert shared_server.http("/readyz") is not None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give the folder to somebody else")
def test_a_damaged_key_file_is_named(stopped_server: Server) -> None:
    key = stopped_server.settings.data_dir / "master.key"
    content, mode = key.read_bytes(), key.stat().st_mode
    try:
        key.write_bytes(b"rubbish")
        assert "master.key" in said_at_the_end(stopped_server)
        key.write_bytes(content)
        key.chmod(0o644)
        assert "master.key" in said_at_the_end(stopped_server)
    finally:
        key.write_bytes(content)
        key.chmod(mode)
    node = stopped_server.settings.data_dir / "node-id"
    content = node.read_bytes()
    try:
        node.write_bytes(b"\xff\xfe")
        assert "node-id" in said_at_the_end(stopped_server)
    finally:
        node.write_bytes(content)
