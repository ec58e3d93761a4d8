"""The application. Modules bring their routes; what is here is what every deployment has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from sent.infra.http.health import Check, Readiness
from sent.infra.telemetry import Metrics, get_logger
from sent.infra.telemetry.metrics import CONTENT_TYPE
from sent.kit.errors import SentError

log = get_logger(__name__)

_NO_STORE = {"cache-control": "no-store"}


def build_app(checks: Sequence[Check], metrics: Metrics, routes: Sequence[BaseRoute] = ()) -> Starlette:
    """``/healthz`` (the process answers), ``/readyz`` (it can work: 200, or 503 naming what is missing and the
    remedy), ``/metrics``, and ``routes``. Errors are JSON: ``{"error": {"code", "message", "details"}}``.
    """
    readiness = Readiness(checks)

    async def healthz(_request: Request) -> Response:
        return JSONResponse({"status": "ok"}, headers=_NO_STORE)

    async def readyz(_request: Request) -> Response:
        results = await readiness.results()
        ready = all(result.ok for result in results)
        return JSONResponse(
            {"status": "ready" if ready else "not ready", "checks": [result.as_json() for result in results]},
            status_code=200 if ready else 503,
            headers=_NO_STORE,
        )

    async def exposition(_request: Request) -> Response:
        return Response(metrics.exposition(), media_type=CONTENT_TYPE, headers=_NO_STORE)

    return Starlette(
        routes=[
            Route("/healthz", healthz),
            Route("/readyz", readyz),
            Route("/metrics", exposition),
            *routes,
        ],
        exception_handlers={SentError: _sent_error, HTTPException: _http_error, Exception: _unexpected},
    )


async def _sent_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, SentError)
    details = {name: value if isinstance(value, int | float) else str(value) for name, value in error.details.items()}
    return _error(error.http_status, error.code, error.message, details)


async def _http_error(_request: Request, error: Exception) -> Response:
    """What the router says: no such path, or another method."""
    assert isinstance(error, HTTPException)
    code = {404: "http.not_found", 405: "http.method_not_allowed"}.get(error.status_code, "http.refused")
    return _error(error.status_code, code, error.detail, {}, error.headers)


async def _unexpected(request: Request, error: Exception) -> Response:
    log.error("http.unexpected", path=request.url.path, error=type(error).__name__)  # uvicorn logs the traceback
    return _error(500, "http.unexpected", "Something went wrong on our side. The server's log says what.", {})


def _error(status: int, code: str, message: str, details: Mapping[str, object], headers: object = None) -> Response:
    body = {"error": {"code": code, "message": message, "details": details}}
    return JSONResponse(body, status_code=status, headers={**(headers or {}), **_NO_STORE})  # type: ignore[dict-item]
