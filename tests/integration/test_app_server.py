"""The whole server: it starts, answers, takes and ends calls, and leaves nothing behind, also when a start fails."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import shutil
import signal
import socket
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.integration.app_world import environment_of, is_free, local_to, serving, settings_for, taken

from sent.app import provisioning
from sent.app.instance import is_serving
from sent.app.settings import Settings
from sent.calls.history import CallHistory
from sent.cli.main import main
from sent.identity.models import NewSecret, Principal
from sent.identity.roles import Role
from sent.infra.vault import load_master_key
from sent.kit.errors import SentError
from sent.media.engine import RustEngine
from sent.pbx.models import ExtensionKind
from sent.pbx.store import PbxStore
from sent.sip.agent import Agent
from sent.sip.authorization import Login
from sent.sip.config import AgentConfig
from sent.sip.params import Params
from sent.sip.uri import SipUri
from sent.softphone.call import PhoneCall, PhoneState
from sent.softphone.phone import Account, Phone
from sent.transport.sip_transport import SipTransport

pytestmark = [pytest.mark.database, pytest.mark.engine]

PORTS = (
    ("sip_port", socket.SOCK_DGRAM, "SENT_SIP_PORT"),
    ("sip_port", socket.SOCK_STREAM, "SENT_SIP_PORT"),
    ("sip_tls_port", socket.SOCK_STREAM, "SENT_SIP_TLS_PORT"),
    ("http_port", socket.SOCK_STREAM, "SENT_HTTP_PORT"),
)


@pytest.fixture
def settings(tmp_path: Path, owner_dsn: str, master_key: Path) -> Settings:
    shutil.copy2(master_key, tmp_path / "master.key")
    return settings_for(tmp_path, owner_dsn)


@pytest.fixture(scope="module")
def master_key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for the module, as its database is one: SENT refuses a database whose secrets it could not open."""
    file = tmp_path_factory.mktemp("key") / "master.key"
    load_master_key(file)
    return file


async def _http(settings: Settings, path: str) -> tuple[int, bytes]:
    reader, writer = await asyncio.open_connection("127.0.0.1", settings.http_port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    return int(head.split()[1]), body


@pytest.fixture
async def phone(settings: Settings) -> AsyncIterator[tuple[Phone, NewSecret]]:
    """Alice's, not yet registered, with an echo test at 600 to call."""
    async with local_to(settings) as local:
        organization = await local.identity.create_organization("Acme", f"acme-{secrets.token_hex(4)}", "US")
        principal = Principal.of_command_line(organization.id, "test")
        await provisioning.add_person(local, principal, "Alice", "101", Role.OWNER)
        device = await provisioning.add_device(local, principal, "101", "Phone")
        await PbxStore(local.database).put_extension(organization.id, principal.actor, "600", ExtensionKind.ECHO)
    engine = RustEngine(21_200, 21_299, threads=1)
    transport = SipTransport(Agent(AgentConfig(), lambda: secrets.token_hex(8)))
    await transport.listen_udp("127.0.0.1", 0)
    server = SipUri("sip", "127.0.0.1", port=settings.sip_port, params=Params((("transport", "udp"),)))
    account = Account(device.device.sip_username, server, Login(device.device.sip_username, device.secret))
    yield Phone(transport, engine, account, "127.0.0.1"), device
    await transport.close()
    engine.shut_down()


async def _until(call: PhoneCall, state: PhoneState) -> None:
    async with asyncio.timeout(15):
        while call.state is not state:
            await call.changed(call.state, 15)


async def test_it_is_ready_and_ends_on_a_signal_with_nothing_left(settings: Settings):
    threads = threading.active_count()
    async with serving(settings):
        status, body = await _http(settings, "/readyz")
        assert status == 200, body
        assert {check["name"] for check in json.loads(body)["checks"]} == {"database", "media", "sip"}
        assert (await _http(settings, "/metrics"))[0] == 200
        assert is_serving(settings.data_dir)
    assert not is_serving(settings.data_dir)
    assert [task.get_name() for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []
    assert all(is_free(getattr(settings, port), kind) for port, kind, _ in PORTS)
    assert threading.active_count() <= threads + 8  # the pool of asyncio.to_thread is the loop's
    async with local_to(settings) as local, local.database.resolver() as connection:
        await connection.execute("SELECT 1")


async def test_a_second_one_on_the_same_folder_is_refused_before_it_touches_anything(
    settings: Settings, owner_dsn: str
):
    async with serving(settings):
        second = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "sent.cli.main", "serve",
            env={**os.environ, **environment_of(settings_for(settings.data_dir, owner_dsn)), "PYTHONPATH": "src"},
            stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        _, said = await asyncio.wait_for(second.communicate(), 30)
        assert second.returncode == 1
        assert b"[app.already_running]" in said
        assert b"Traceback" not in said
        assert (await _http(settings, "/readyz"))[0] == 200


@pytest.mark.parametrize(("port", "kind", "setting"), PORTS, ids=["udp", "tcp", "tls", "http"])
async def test_a_start_that_fails_half_way_leaves_nothing_open(settings: Settings, port, kind, setting, caplog):
    with taken(getattr(settings, port), kind):
        with pytest.raises(SentError, match=setting):
            async with serving(settings):
                pass
        others = [(p, k) for p, k, _ in PORTS if (p, k) != (port, kind)]
        assert all(is_free(getattr(settings, p), k) for p, k in others)
    assert not is_serving(settings.data_dir)
    assert [task.get_name() for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []
    async with serving(settings):  # and the next start finds nothing in its way
        assert (await _http(settings, "/readyz"))[0] == 200


async def test_a_call_is_taken_and_hung_up_by_a_command(settings: Settings, phone, capsys, monkeypatch):
    for name, value in environment_of(settings).items():
        monkeypatch.setenv(name, value)
    softphone, _device = phone
    async with serving(settings):
        assert (await softphone.register()).status == 200
        call = await softphone.call("600")
        await _until(call, PhoneState.TALKING)
        slug = (await _slugs(settings))[-1]
        async with asyncio.timeout(10):
            listed: list[dict[str, object]] = []
            while not listed:  # the record is written behind
                await asyncio.to_thread(main, ["calls", "--live", "--json", "--organization", slug])
                listed = json.loads(capsys.readouterr().out)
        call_id = str(listed[0]["id"])
        assert listed[0]["dialed"] == "600"
        assert await asyncio.to_thread(main, ["calls", "hangup", call_id[-8:], "--organization", slug]) == 0
        assert "ended the call" in capsys.readouterr().out
        await _until(call, PhoneState.OVER)
        assert call.outcome is not None
        assert call.outcome.words == "the other side hung up"
        assert await asyncio.to_thread(main, ["calls", "hangup", call_id, "--organization", slug]) == 1
        assert "[calls.not_live]" in capsys.readouterr().err


async def test_a_call_that_is_up_is_ended_when_the_server_is_told_twice(settings: Settings, phone):
    softphone, _device = phone
    async with serving(settings):
        assert (await softphone.register()).status == 200
        call = await softphone.call("600")
        await _until(call, PhoneState.TALKING)
        loop = asyncio.get_running_loop()
        loop.call_later(0.3, os.kill, os.getpid(), signal.SIGTERM)
        begun = loop.time()
        os.kill(os.getpid(), signal.SIGTERM)
        await _until(call, PhoneState.OVER)
        assert loop.time() - begun < 5
    async with local_to(settings) as local:
        organization = max(await local.identity.list_organizations(), key=lambda one: one.id)
        (row,) = (await CallHistory(local.database).list(organization.id, local.actor)).calls
        assert (row.end_code, row.end_blame) == ("shut_down", "us")


async def _slugs(settings: Settings) -> list[str]:
    async with local_to(settings) as local:
        there = await local.identity.list_organizations()
    return [organization.slug for organization in sorted(there, key=lambda o: o.id)]
