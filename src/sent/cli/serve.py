"""`sent serve`."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Coroutine

from sent.app.settings import Settings, read_settings
from sent.infra.telemetry import configure_logging


def add_arguments(parser: argparse.ArgumentParser) -> None:
    del parser


def run(arguments: argparse.Namespace) -> int:
    del arguments
    settings = read_settings()
    prepare_process(settings)
    from sent.app.server import Running, run_server

    async def ready(running: Running) -> None:
        del running
        print(
            f"SENT is up: SIP {settings.bind}:{settings.sip_port} (UDP, TCP), :{settings.sip_tls_port} (TLS),"
            f" http://{settings.bind}:{settings.http_port}",
            file=sys.stderr,
        )

    run_loop(run_server(settings, ready))
    return 0


def prepare_process(settings: Settings) -> None:
    """Logging, and as many open files as the system lets us have: each call takes four."""
    import resource

    configure_logging(json=settings.log == "json" or (settings.log is None and not sys.stderr.isatty()))
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 65_536 if hard == resource.RLIM_INFINITY else min(hard, 65_536)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def run_loop(work: Coroutine[None, None, None]) -> None:
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(work)
