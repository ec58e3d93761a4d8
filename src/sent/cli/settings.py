"""`sent settings`: the list of variables, with what they are now."""

from __future__ import annotations

import argparse
import os

from sent.app.settings import SETTINGS, read_settings

_SECRET = {"SENT_MASTER_KEY", "SENT_DATABASE_URL"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    del parser


def run(arguments: argparse.Namespace) -> int:
    del arguments
    read_settings()
    for name, meaning in SETTINGS.items():
        value = os.environ.get(name)
        shown = "not set" if value is None else "set" if name in _SECRET else value
        print(f"{name:<19} {shown}\n{'':<19} {meaning}")
    return 0
