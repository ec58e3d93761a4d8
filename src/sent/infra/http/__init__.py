"""HTTP: the application that every endpoint hangs on, and the server inside this process.

health.py   the checks of /readyz
app.py      Starlette with /healthz, /readyz, /metrics, and errors as JSON
server.py   uvicorn, bounded, stopped by an event
"""

from sent.infra.http.app import build_app
from sent.infra.http.health import Check
from sent.infra.http.server import HttpError, serve

__all__ = ["Check", "HttpError", "build_app", "serve"]
