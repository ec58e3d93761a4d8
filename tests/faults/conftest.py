"""One server for all faults that leave it whole, one of its own for each of the others, and an engine for the phones."""

from __future__ import annotations

from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path

import pytest

from sent.media.engine import RustEngine
from tests.faults.phones import phone_engine
from tests.faults.serving import Server, serving
from tests.interop.product import House, new_house

_LOG = pytest.StashKey[Path]()


@pytest.fixture(scope="session")
def shared_server() -> Iterator[Server]:
    """For tests that leave it running, whole, and without a call."""
    with serving() as server:
        yield server


@pytest.fixture
def own_server() -> Iterator[Server]:
    """For tests that stop or kill it."""
    with serving() as server:
        yield server


@pytest.fixture
async def house(shared_server: Server, request: pytest.FixtureRequest) -> AsyncIterator[House]:
    request.node.stash[_LOG] = shared_server.log
    async with new_house(shared_server.product) as house:
        yield house


@pytest.fixture
async def own_house(own_server: Server, request: pytest.FixtureRequest) -> AsyncIterator[House]:
    request.node.stash[_LOG] = own_server.log
    async with new_house(own_server.product) as house:
        yield house


@pytest.fixture
async def engine() -> AsyncIterator[RustEngine]:
    async with phone_engine() as engine:
        yield engine


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed and _LOG in item.stash and item.stash[_LOG].exists():
        report.sections.append(("log of the server", item.stash[_LOG].read_text(errors="replace")[-20_000:]))
    return report
