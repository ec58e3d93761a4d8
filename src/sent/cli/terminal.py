"""What the commands share: an event loop, a table, the options that several have."""

from __future__ import annotations

import argparse
import asyncio
import re
import shutil
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from sent.app.local import Local, open_local
from sent.app.settings import read_settings

T = TypeVar("T")

_COLOUR = re.compile(r"\x1b\[\d+m")

GREEN, YELLOW, RED, DIM, BOLD = "32", "33", "31", "2", "1"


def with_local(work: Callable[[Local], Awaitable[T]]) -> T:
    """Run ``work`` on this machine's SENT."""

    async def main() -> T:
        async with open_local(read_settings()) as local:
            return await work(local)

    return asyncio.run(main())


def add_organization(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--organization", metavar="SLUG", help="needed where there are several")


def paint(text: str, code: str) -> str:
    """In colour on a terminal, plain elsewhere."""
    return f"\x1b[{code}m{text}\x1b[0m" if sys.stdout.isatty() else text


def width() -> int:
    return shutil.get_terminal_size((100, 24)).columns


def speaks_unicode() -> bool:
    return (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"


def table(head: Sequence[str], rows: Sequence[Sequence[str]], empty: str) -> str:
    """Columns as wide as their content; ``empty`` says what to do when there are no rows."""
    if not rows:
        return empty
    widths = [max(_columns(row[n]) for row in (head, *rows)) for n in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        padded = (cell + " " * (width - _columns(cell)) for cell, width in zip(cells, widths, strict=True))
        return "  ".join(padded).rstrip()

    return "\n".join([paint(line(head), BOLD), *(line(row) for row in rows)])


def _columns(text: str) -> int:
    """How wide ``text`` is on a terminal: colours take no room."""
    return len(_COLOUR.sub("", text))
