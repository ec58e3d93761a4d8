"""Is this server ready? Each thing that it needs is a check with a time-out and a remedy."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from sent.infra.telemetry import get_logger
from sent.kit.errors import SentError

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Check:
    """``run`` returns when all is well and raises when not. ``remedy`` is said when its error has none of its own."""

    name: str
    run: Callable[[], Awaitable[None]]
    remedy: str
    timeout: float = 2.0


@dataclass(frozen=True, slots=True)
class CheckResult:
    name: str
    ok: bool
    milliseconds: float
    code: str | None = None
    message: str | None = None

    def as_json(self) -> dict[str, object]:
        shown: dict[str, object] = {"name": self.name, "ok": self.ok, "milliseconds": self.milliseconds}
        return shown if self.ok else {**shown, "code": self.code, "message": self.message}


class Readiness:
    """Runs all checks at once. Whoever asks while they run gets that same answer, so asking often costs little."""

    def __init__(self, checks: Sequence[Check]) -> None:
        self._checks = tuple(checks)
        self._running: asyncio.Task[list[CheckResult]] | None = None

    async def results(self) -> list[CheckResult]:
        if self._running is None:
            self._running = asyncio.create_task(self._run_all(), name="readiness checks")
            self._running.add_done_callback(self._finished)
        return await asyncio.shield(self._running)

    def _finished(self, _task: object) -> None:
        self._running = None

    async def _run_all(self) -> list[CheckResult]:
        return list(await asyncio.gather(*(_run(check) for check in self._checks)))


async def _run(check: Check) -> CheckResult:
    started = time.monotonic()
    code, message = None, None
    try:
        async with asyncio.timeout(check.timeout):
            await check.run()
    except TimeoutError:
        code, message = "http.check_timeout", f"No answer within {check.timeout:g} s. {check.remedy}"
    except SentError as error:
        code, message = error.code, error.message
    except Exception as error:  # whatever a check raises means "not ready"; it is logged and answered
        log.warning("http.check_failed", check=check.name, exc_info=error)
        code, message = "http.check_failed", f"{type(error).__name__}: see the log. {check.remedy}"
    return CheckResult(check.name, code is None, round((time.monotonic() - started) * 1_000, 1), code, message)
