"""One server for all interop tests; a new organization for each. A test that fails shows what the server logged."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path

import pytest

from tests.interop.product import House, Product, new_house, running_product

_LOG = pytest.StashKey[tuple[Path, int]]()


@pytest.fixture(scope="session")
def sent_server() -> Iterator[Product]:
    pytest.importorskip("sent.media._engine", reason="the media extension is not built")
    with running_product() as product:
        yield product
        assert product.left_over() == {}, "calls are over, and something of them is still open"


@pytest.fixture(autouse=True)
def _no_error_in_the_log(sent_server: Product, request: pytest.FixtureRequest) -> Iterator[None]:
    """A test that leaves an error in the server's log has failed, whatever its phones saw."""
    start = sent_server.log.stat().st_size
    request.node.stash[_LOG] = (sent_server.log, start)
    yield
    errors = [line for line in _log_since(sent_server.log, start).splitlines() if _is_error(line)]
    assert not errors, "\n".join(errors)


@pytest.fixture
async def house(sent_server: Product) -> AsyncIterator[House]:
    async with new_house(sent_server) as house:
        yield house


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed and _LOG in item.stash:
        log, start = item.stash[_LOG]
        if log.exists():
            report.sections.append(("log of the server", _log_since(log, start)[-20_000:]))
    return report


def _log_since(log: Path, start: int) -> str:
    with log.open("rb") as file:
        file.seek(start)
        return file.read().decode(errors="replace")


def _is_error(line: str) -> bool:
    """What is no JSON was printed past the log, such as a traceback."""
    try:
        return json.loads(line).get("level") in {"error", "critical"}
    except ValueError:
        return bool(line.strip())
