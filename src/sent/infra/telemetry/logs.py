"""Logging: structlog for us, the standard library's for everybody else, both through one redacted pipe to stderr.

Call `configure_logging` once, first of all. In modules: ``log = get_logger(__name__)`` and
``log.info("trunk.registered", trunk_id=…)``: an event in dotted lower case, everything else as a field.
"""

from __future__ import annotations

import logging
import sys
from typing import Any, TextIO, cast

from sent.infra.telemetry.redact import redact_event


def _import_structlog() -> Any:
    """structlog without rich.

    Where rich happens to be installed, structlog loads it for coloured tracebacks: 150 ms and 6 MB that a server
    which prints plain ones need not pay at each start.
    """
    if "structlog" in sys.modules or "rich" in sys.modules:
        import structlog
    else:
        sys.modules["rich"] = cast(Any, None)
        try:
            import structlog
        finally:
            del sys.modules["rich"]
    return structlog


structlog = _import_structlog()

# uvicorn warns of every malformed request that a scanner sends; its errors (an endpoint that raised) are ours to read.
_QUIET = {"uvicorn": logging.ERROR, "procrastinate": logging.WARNING, "asyncio": logging.WARNING}


def get_logger(name: str | None = None) -> Any:
    """A structlog logger; bind fields with ``.bind(call_id=…)``."""
    return structlog.stdlib.get_logger(name) if name else structlog.stdlib.get_logger()


def configure_logging(*, json: bool, level: int = logging.INFO, stream: TextIO | None = None) -> None:
    """Write events as JSON lines, or readable ones for a terminal. May be called again: the last call counts."""
    stream = stream or sys.stderr
    shared = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
    ]
    renderer = (
        structlog.processors.JSONRenderer(default=str, ensure_ascii=False)
        if json
        else structlog.dev.ConsoleRenderer(colors=stream.isatty(), exception_formatter=structlog.dev.plain_traceback)
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                redact_event,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                renderer,
            ],
        )
    )
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    logging.captureWarnings(True)
    for name, quiet in _QUIET.items():
        logging.getLogger(name).setLevel(max(level, quiet))
