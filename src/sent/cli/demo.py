"""`sent demo`: the server with an organization to try, and a carrier to call through."""

from __future__ import annotations

import argparse
import contextlib
import os
import secrets
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sent.app.settings import Settings, read_settings
from sent.cli.serve import prepare_process, run_loop
from sent.cli.terminal import BOLD, DIM, GREEN, paint
from sent.kit.errors import Unavailable

if TYPE_CHECKING:
    from sent.app.demo.organization import DemoPhone
    from sent.app.server import Running

CARRIER_PORT_OFFSET = 10
"""The demo carrier listens so far above SENT's own SIP port."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    del parser


def run(arguments: argparse.Namespace) -> int:
    del arguments
    settings = read_settings()
    prepare_process(settings)
    run_loop(_demo(settings))
    return 0


async def _demo(settings: Settings) -> None:
    from sent.app.demo.carrier_process import demo_carrier
    from sent.app.demo.organization import CARRIER_USER, ensure_demo
    from sent.app.local import Local
    from sent.app.server import run_server
    from sent.identity.service import Identity

    port = settings.sip_port + CARRIER_PORT_OFFSET
    password, is_new = _carrier_password(settings.data_dir / "demo-carrier.password")

    async def ready(running: Running) -> None:
        local = Local(settings, running.database, running.vault, Identity(running.database, running.vault))
        phones = await ensure_demo(local, port, password, new_password=is_new)
        await running.reload_trunks()
        print(_screen(settings, phones, self_signed=running.certificate_is_self_signed), flush=True)

    async with demo_carrier(port, CARRIER_USER, password):
        await run_server(settings, ready)


def _carrier_password(file: Path) -> tuple[str, bool]:
    """The password that trunk and carrier share, kept so that the trunk stays; and whether it is a new one."""
    with contextlib.suppress(FileNotFoundError):
        if kept := file.read_text().strip():
            return kept, False
    password = secrets.token_urlsafe(12)
    try:
        file.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    except OSError as error:
        raise Unavailable(
            "app.data_folder", f"The data folder {file.parent} cannot be used: {error.strerror}. Set SENT_DATA_DIR."
        ) from error
    with os.fdopen(descriptor, "w") as out:
        out.write(password)
    return password, True


def _screen(settings: Settings, phones: Sequence[DemoPhone], *, self_signed: bool) -> str:
    from sent.app.addresses import address_for_phones
    from sent.app.demo.numbers import BEHAVIOURS, OWN

    host = address_for_phones(settings)
    command = shutil.which("sent") or ".venv/bin/sent"
    name = max(len(phone.person) for phone in phones)
    lines = [
        "",
        f"  {paint('SENT is up.', GREEN)}  {paint(f'Ctrl-C ends it; its data stays in {settings.data_dir}', DIM)}",
        "",
        (
            f"  {paint('Phones', BOLD)}   any SIP phone, server {host}: port {settings.sip_port} (UDP, TCP) or"
            f" {settings.sip_tls_port} (TLS{', self-signed' if self_signed else ''})"
        ),
        *(
            f"    {phone.person:<{name}}  {phone.extension}   user {phone.user_name}   password {phone.password}"
            for phone in phones
        ),
        "",
        f"  {paint('Dial', BOLD)}     "
        + "   ".join(f"{p.extension} {p.person}" for p in phones)
        + "   600 echo test   601 announcement",
        f"           9 and a number of the demo carrier, which brings {_spaced(OWN)} (rings Alice):",
        *(f"    9 {_spaced(number)[3:]}   {behaviour.value}" for number, behaviour in BEHAVIOURS.items()),
        "",
        f"  {paint('Try', BOLD)}      {command} dial 601 --record chime.wav",
        f"           {command} dial 600 --play chime.wav --record echo.wav",
        f"           {command} calls",
        f"           {command} calls show",
        f"           {command} doctor",
        f"           http://{host}:{settings.http_port}/readyz and /metrics",
    ]
    if settings.is_loopback:
        lines += ["", paint("  Only this machine can reach it. For your network: SENT_BIND=0.0.0.0 make run", DIM)]
    return "\n".join([*lines, ""])


def _spaced(number: str) -> str:
    """``+12025550100`` as ``+1 202 555 0100``."""
    return f"{number[:2]} {number[2:5]} {number[5:8]} {number[8:]}"
