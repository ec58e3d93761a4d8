"""`sent audit verify`: proves that nothing in the audit log was changed or taken out."""

from __future__ import annotations

import argparse
from pathlib import Path

from sent.app.local import Local
from sent.cli.terminal import GREEN, RED, YELLOW, paint, with_local
from sent.infra.audit.key import load_audit_key, load_public_key
from sent.infra.audit.seal import seal
from sent.infra.audit.verify import verify


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True)
    check = actions.add_parser("verify", help="check every block and every row")
    check.add_argument("--key", type=Path, help="the public key (default: the server's own audit.key.pub)")
    actions.add_parser("seal", help="seal what is not yet sealed, without waiting for the server's job")


def run(arguments: argparse.Namespace) -> int:
    return with_local(lambda local: _run(local, arguments))


async def _run(local: Local, arguments: argparse.Namespace) -> int:
    own = local.settings.data_dir / "audit.key"
    if arguments.action == "seal":
        done = await seal(local.database, load_audit_key(own))
        print(f"Sealed {done.rows} rows in {done.blocks} blocks.")
        return 0
    public = load_public_key(arguments.key) if arguments.key else load_audit_key(own).public_key()
    report = await verify(local.database, public)
    print(
        f"{report.blocks} blocks with {report.rows} rows are whole; {report.unsealed_rows} newer rows wait for a seal."
    )
    for warning in report.warnings:
        print(paint(warning, YELLOW))
    if report.problem is not None:
        print(paint(f"NOT WHOLE: {report.problem}", RED))
        return 1
    print(paint("The audit log is whole.", GREEN))
    return 0
