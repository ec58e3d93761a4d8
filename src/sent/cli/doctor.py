"""`sent doctor`."""

from __future__ import annotations

import argparse
import asyncio

from sent.app.doctor.checkup import check_all
from sent.app.doctor.finding import Finding, Verdict
from sent.app.settings import read_settings
from sent.cli.terminal import DIM, GREEN, RED, YELLOW, paint

_MARKS = {
    Verdict.GOOD: ("good", GREEN),
    Verdict.WARNING: ("note", YELLOW),
    Verdict.BROKEN: ("BAD ", RED),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    del parser


def run(arguments: argparse.Namespace) -> int:
    del arguments
    worst = Verdict.GOOD
    for finding in asyncio.run(check_all(read_settings())):
        print(_line(finding))
        if finding.verdict is Verdict.BROKEN:
            worst = Verdict.BROKEN
    print()
    print("Something must be mended; see above." if worst is Verdict.BROKEN else "SENT can work here.")
    return 1 if worst is Verdict.BROKEN else 0


def _line(finding: Finding) -> str:
    mark, colour = _MARKS[finding.verdict]
    text = f"{paint(mark, colour)}  {finding.subject:<14} {finding.words}"
    return text + (paint(f"\n      {'':<14} → {finding.remedy}", DIM) if finding.remedy else "")
