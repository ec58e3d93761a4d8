"""`sent dial NUMBER`: a phone in the terminal. It plays a file into the call and writes what it hears to another."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import secrets
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from socket import SOCK_DGRAM

from sent.app import provisioning
from sent.app.local import Local, open_local
from sent.app.settings import read_settings
from sent.cli.terminal import DIM, GREEN, RED, add_organization, paint
from sent.kit.errors import BadInput, NotFound
from sent.media.engine import RustEngine
from sent.media.types import MediaLegId
from sent.sip.agent import Agent
from sent.sip.authorization import Login
from sent.sip.config import AgentConfig
from sent.sip.params import Params
from sent.sip.uri import SipUri
from sent.softphone import audio
from sent.softphone.call import PhoneCall, PhoneState
from sent.softphone.phone import Account, Phone
from sent.transport.addresses import is_wildcard, route_to
from sent.transport.sip_transport import SipTransport

_RTP_PORTS = (39_000, 39_199)
_RING_SECONDS = 120.0
_AFTER_SPEECH = 1.0
_BYE_SECONDS = 0.5
_DIGITS = set("0123456789*#ABCD")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("number", help="an extension, or a number outside with its prefix")
    parser.add_argument("--play", type=Path, metavar="FILE", help="a WAV file to speak; the call ends after it")
    parser.add_argument("--record", type=Path, metavar="FILE", help="write what is heard to this WAV file")
    parser.add_argument("--seconds", type=float, default=60.0, help="hang up after so long at most (default 60)")
    parser.add_argument("--digits", default="", help="press these after the answer")
    parser.add_argument(
        "--as", dest="who", metavar="WHO", help="whose phone to be: extension or name (default: the first)"
    )
    parser.add_argument("--server", metavar="HOST:PORT", help="another SENT than this machine's, with --user")
    parser.add_argument("--user", help="SIP user name there; the password is asked for, or read from standard input")
    add_organization(parser)


def run(arguments: argparse.Namespace) -> int:
    if set(arguments.digits) - _DIGITS:
        raise BadInput("softphone.bad_digits", "Digits are 0 to 9, *, # and A to D.")
    return asyncio.run(_dial(arguments))


async def _dial(arguments: argparse.Namespace) -> int:
    account = await _account(arguments)
    speech, rate = audio.read_speech(arguments.play) if arguments.play else (b"", audio.DEFAULT_RATE)
    bind = route_to(await _address_of(account.server))
    engine = RustEngine(*_RTP_PORTS, threads=1)
    transport = SipTransport(Agent(AgentConfig(user_agent="SENT dial"), lambda: secrets.token_hex(12)))
    try:
        await transport.listen_udp(bind, 0)
        phone = Phone(transport, engine, account, bind)
        call = await phone.call(arguments.number)
        with _interrupt(call):
            try:
                return await _talk(engine, call, arguments, speech, rate)
            finally:
                # Whatever went wrong here, the other side must not be left with an open call.
                call.hang_up()
                await call.changed(PhoneState.TALKING, _BYE_SECONDS)
    finally:
        await transport.close()
        engine.shut_down()


async def _talk(engine: RustEngine, call: PhoneCall, arguments: argparse.Namespace, speech: bytes, rate: int) -> int:
    print(f"Calling {arguments.number} …")
    if await _is_answered(call):
        print(paint(f"Answered ({call.codec}).", GREEN))
        await _converse(engine, call, arguments, speech, rate)
    return _report(call)


async def _is_answered(call: PhoneCall) -> bool:
    """Wait while it rings, but not for ever."""
    try:
        async with asyncio.timeout(_RING_SECONDS):
            while call.state not in (PhoneState.TALKING, PhoneState.OVER):
                if await call.changed(call.state, _RING_SECONDS) is PhoneState.RINGING:
                    print("It rings.")
    except TimeoutError:
        call.hang_up()
        await call.changed(call.state, _BYE_SECONDS)
    return call.state is PhoneState.TALKING


async def _converse(
    engine: RustEngine, call: PhoneCall, arguments: argparse.Namespace, speech: bytes, rate: int
) -> None:
    """Until the other side hangs up, all is said, or the time is over. Raises what kept the file from being written."""
    stream = engine.open_stream(rate)
    engine.bridge(call.media, stream)
    over = asyncio.create_task(_until_over(call))
    speaking = asyncio.create_task(_speak(engine, call, stream, arguments.digits, speech))
    ends = {over}
    listening: asyncio.Task[None] | None = None
    if arguments.record:
        listening = asyncio.create_task(audio.listen(engine, stream, arguments.record, rate))
        ends.add(listening)  # it only ends by failing
    if speech or (arguments.digits and not arguments.record):
        ends.add(speaking)
    done, _ = await asyncio.wait(ends, timeout=arguments.seconds, return_when=asyncio.FIRST_COMPLETED)
    if speaking in done:
        await call.changed(PhoneState.TALKING, _AFTER_SPEECH)  # what comes back late is still heard
    call.hang_up()
    await call.changed(PhoneState.TALKING, _BYE_SECONDS)
    for task in (over, speaking, listening):
        if task is not None and not task.done():
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
    engine.close(stream)
    for task in done:
        task.result()


async def _until_over(call: PhoneCall) -> None:
    while call.state is PhoneState.TALKING:
        await call.changed(PhoneState.TALKING, _RING_SECONDS)


async def _speak(engine: RustEngine, call: PhoneCall, stream: MediaLegId, digits: str, speech: bytes) -> None:
    if digits:
        engine.send_digits(call.media, digits)
        await asyncio.sleep(0.16 * len(digits) + 0.2)
    await audio.speak(engine, stream, speech)
    # The buffer still holds up to its bound when the last octet was taken.
    await asyncio.sleep(min(2.0, len(speech) / 32_000))


def _report(call: PhoneCall) -> int:
    outcome = call.outcome
    assert outcome is not None
    print(paint(f"Over: {outcome.words}.", DIM if outcome.answered else RED))
    if outcome.reason:
        print(f"Reason: {outcome.reason}")
    if outcome.status in (401, 407):
        print("The user name or the password is wrong: `sent device show USERNAME` on the server shows them.")
    if outcome.answered:
        s = outcome.statistics
        mos = f", MOS {s.mos:.2f}" if s.mos is not None else ""
        print(
            f"Sent {s.packets_sent}, received {s.packets_received} packets, lost {s.loss_percent:.1f} %,"
            f" jitter {s.jitter_ms:.1f} ms{mos}."
        )
    return 0 if outcome.answered else 1


async def _account(arguments: argparse.Namespace) -> Account:
    if arguments.server:
        if not arguments.user:
            raise BadInput("softphone.no_user", "--server needs --user.")
        host, _, port = arguments.server.rpartition(":")
        if not host or not port.isdecimal():
            raise BadInput("softphone.bad_server", "Write the server as HOST:PORT, for example 192.0.2.10:5060.")
        password = sys.stdin.readline().strip() if not sys.stdin.isatty() else _ask()
        return Account(arguments.user, _server_uri(host, int(port)), Login(arguments.user, password))
    settings = read_settings()
    async with open_local(settings) as local:
        user, password = await _own_device(local, arguments)
    host = "127.0.0.1" if is_wildcard(settings.bind) else settings.bind
    return Account(user, _server_uri(host, settings.sip_port), Login(user, password))


async def _own_device(local: Local, arguments: argparse.Namespace) -> tuple[str, str]:
    principal = await local.principal(arguments.organization)
    if arguments.who:
        people = [await provisioning.person_at(local, principal, arguments.who)]
    else:
        people = await provisioning.people(local, principal)
    for person in people:
        for device in person.devices:
            if device.disabled_at is None:
                made = await local.identity.reveal_device_secret(principal, device.id)
                return device.sip_username, made.secret
    raise NotFound("softphone.no_device", "Nobody has a phone to call from yet. Add one: sent device add WHO.")


def _server_uri(host: str, port: int) -> SipUri:
    return SipUri("sip", host, port=port, params=Params((("transport", "udp"),)))


def _ask() -> str:
    import getpass

    return getpass.getpass("SIP password: ")


async def _address_of(server: SipUri) -> str:
    """Any address of the server, only to find out which of ours leads there."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(server.host, server.port, type=SOCK_DGRAM)
    except OSError as error:
        raise BadInput("softphone.no_such_host", f"{server.host} cannot be found: {error.strerror}.") from error
    return str(found[0][4][0])


@contextlib.contextmanager
def _interrupt(call: PhoneCall) -> Iterator[None]:
    """Ctrl-C hangs up; the report still comes."""
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, call.hang_up)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGINT)
