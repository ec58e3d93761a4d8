"""`sent COMMAND …`: finds the command's file, runs it, turns errors into one sentence and an exit code.

Exit codes: 0 done, 1 it could not be done (the sentence says why and what to do), 2 wrong usage, 130 Ctrl-C.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from typing import Protocol, cast

from sent.kit.errors import SentError

COMMANDS = {
    "serve": "start SENT",
    "demo": "start SENT with a demo organization and a demo carrier",
    "dial": "call a number from this terminal, play and record files",
    "calls": "list calls, live and past; show why one ended and its SIP ladder; hang one up",
    "recordings": "list recordings; export one as a stereo file; switch recording on or off",
    "trunk": "connect a carrier; list carriers, change their limits, remove one",
    "number": "say which extension a carrier's number rings",
    "user": "add and list the people of an organization",
    "device": "add a phone and show its SIP credentials",
    "extension": "say what a dialled number does",
    "organization": "add and list organizations",
    "audit": "verify that the audit log is whole",
    "doctor": "check ports, media address, database, clock, certificates and codecs",
    "settings": "list the settings",
}


class Command(Protocol):
    def add_arguments(self, parser: argparse.ArgumentParser) -> None: ...

    def run(self, arguments: argparse.Namespace) -> int: ...


def main(argv: Sequence[str] | None = None) -> int:
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words[0] in ("-h", "--help", "help"):
        print(_overview())
        return 0
    name = words[0]
    if name in ("-V", "--version"):
        from importlib.metadata import version

        print(f"sent {version('sent')}")
        return 0
    if name not in COMMANDS:
        print(f"sent: there is no command {name!r}.\n\n{_overview()}", file=sys.stderr)
        return 2
    command = cast(Command, importlib.import_module(f"sent.cli.{name}"))
    what = COMMANDS[name]
    parser = argparse.ArgumentParser(prog=f"sent {name}", description=f"{what[0].upper()}{what[1:]}.")
    command.add_arguments(parser)
    arguments = parser.parse_args(words[1:])
    try:
        return command.run(arguments)
    except SentError as error:
        print(f"sent: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader of a pipe (`| head`) is gone: nobody is left to tell, and Python's own flush must not try.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        if error.filename is None:
            raise
        print(f"sent: {error.filename} cannot be used: {error.strerror}.", file=sys.stderr)
        return 1


def _overview() -> str:
    width = max(map(len, COMMANDS))
    rows = "\n".join(f"  {name:<{width}}  {what}" for name, what in COMMANDS.items())
    return f"usage: sent COMMAND [ARGUMENTS]\n\n{rows}\n\n`sent COMMAND --help` explains one."


if __name__ == "__main__":
    sys.exit(main())
