"""The demo carrier as a process of its own: it listens inside the block, and is gone after it."""

from __future__ import annotations

import os
import secrets
import socket
import sys

import pytest
from tests.integration.app_world import is_free, taken

from sent.app.demo.carrier_process import demo_carrier
from sent.kit.errors import Unavailable
from sent.sip.agent import Agent
from sent.sip.authorization import Login
from sent.sip.config import AgentConfig
from sent.sip.params import Params
from sent.sip.uri import SipUri
from sent.softphone.phone import Account, Phone
from sent.testing.engine import FakeEngine
from sent.transport.sip_transport import SipTransport

pytestmark = pytest.mark.engine


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process imports what this one does, installed or not."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))


@pytest.fixture
def port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        number: int = probe.getsockname()[1]
    return number


async def test_its_customer_registers_and_it_ends_with_the_block(port: int):
    async with demo_carrier(port, "customer", "s3cret"):
        transport = SipTransport(Agent(AgentConfig(), lambda: secrets.token_hex(8)))
        await transport.listen_udp("127.0.0.1", 0)
        server = SipUri("sip", "127.0.0.1", port=port, params=Params((("transport", "udp"),)))
        phone = Phone(transport, FakeEngine(), Account("customer", server, Login("customer", "s3cret")), "127.0.0.1")
        assert (await phone.register()).status == 200
        await transport.close()
    assert is_free(port, socket.SOCK_DGRAM)
    assert is_free(port, socket.SOCK_STREAM)


@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_STREAM], ids=["udp", "tcp"])
async def test_a_taken_port_is_said(port: int, kind: socket.SocketKind, capfd):
    with taken(port, kind), pytest.raises(Unavailable, match=str(port)) as refused:
        async with demo_carrier(port, "customer", "s3cret"):
            pass
    assert refused.value.code == "demo.no_carrier"
    said = capfd.readouterr().err
    assert "demo carrier:" in said
    assert "Traceback" not in said
