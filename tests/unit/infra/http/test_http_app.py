import asyncio
import json

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route

from sent.infra.http import Check, build_app
from sent.infra.telemetry import Metrics
from sent.kit.errors import NotFound, Unavailable


async def ask(app: Starlette, path: str, method: str = "GET"):
    """One request straight into the application; no socket."""
    sent: list[dict] = []
    scope = {"type": "http", "method": method, "path": path, "raw_path": path.encode(), "query_string": b"",
             "headers": [], "http_version": "1.1", "scheme": "http", "server": ("x", 80)}  # fmt: skip

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        sent.append(message)

    await app(scope, receive, send)
    body = b"".join(message.get("body", b"") for message in sent[1:])
    return sent[0]["status"], dict(sent[0]["headers"]), body


async def fine():
    return None


def check(name, run, **more):
    return Check(name, run, remedy=f"Start the {name}.", **more)


async def test_the_process_is_alive_whatever_else_is_missing():
    async def away():
        raise Unavailable("db.unavailable", "away")

    status, _, body = await ask(build_app([check("database", away)], Metrics()), "/healthz")
    assert (status, json.loads(body)) == (200, {"status": "ok"})


async def test_ready_when_every_check_is_well():
    status, headers, body = await ask(build_app([check("a", fine), check("b", fine)], Metrics()), "/readyz")
    answer = json.loads(body)
    assert (status, answer["status"]) == (200, "ready")
    assert [(one["name"], one["ok"]) for one in answer["checks"]] == [("a", True), ("b", True)]
    assert headers[b"cache-control"] == b"no-store"


async def test_not_ready_names_what_fails_and_the_remedy():
    async def away():
        raise Unavailable("db.unavailable", "The database does not answer; start it.")

    async def hangs():
        await asyncio.sleep(60)

    async def breaks():
        raise RuntimeError("internal detail")

    checks = [check("database", away), check("media", hangs, timeout=0.01), check("sip", breaks), check("ok", fine)]
    status, _, body = await ask(build_app(checks, Metrics()), "/readyz")
    answer = json.loads(body)
    assert (status, answer["status"]) == (503, "not ready")
    by_name = {one["name"]: one for one in answer["checks"]}
    assert by_name["database"]["code"] == "db.unavailable"
    assert "start it" in by_name["database"]["message"]
    assert by_name["media"]["code"] == "http.check_timeout"
    assert "Start the media." in by_name["media"]["message"]
    assert "Start the sip." in by_name["sip"]["message"]
    assert b"internal detail" not in body
    assert by_name["ok"]["ok"] is True


async def test_many_askers_share_one_run():
    runs = 0

    async def counted():
        nonlocal runs
        runs += 1
        await asyncio.sleep(0.01)

    app = build_app([check("a", counted)], Metrics())
    await asyncio.gather(*(ask(app, "/readyz") for _ in range(20)))
    assert runs == 1
    await ask(app, "/readyz")
    assert runs == 2


async def test_metrics_are_served():
    metrics = Metrics()
    metrics.registrations.of(outcome="ok").inc()
    status, headers, body = await ask(build_app([], metrics), "/metrics")
    assert status == 200
    assert headers[b"content-type"].startswith(b"text/plain; version=0.0.4")
    assert b'sent_registrations_total{outcome="ok"} 1.0' in body


async def missing(_request: Request):
    raise NotFound("call.not_found", "There is no such call.", call_id="x")


async def broken(_request: Request):
    raise RuntimeError("internal detail")


@pytest.mark.parametrize(
    ("path", "method", "status", "code"),
    [
        ("/missing", "GET", 404, "call.not_found"),
        ("/nowhere", "GET", 404, "http.not_found"),
        ("/healthz", "DELETE", 405, "http.method_not_allowed"),
    ],
)
async def test_errors_are_json_with_a_code(path, method, status, code):
    app = build_app([], Metrics(), [Route("/missing", missing)])
    got, _, body = await ask(app, path, method)
    assert (got, json.loads(body)["error"]["code"]) == (status, code)


async def test_the_unexpected_tells_the_log_and_not_the_world():
    app = build_app([], Metrics(), [Route("/broken", broken)])
    with pytest.raises(RuntimeError):  # Starlette answers and raises on, for the server's own log
        await ask(app, "/broken")
