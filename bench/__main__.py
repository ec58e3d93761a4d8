"""`python -m bench [NAME …]`: run figures, print them, and write bench/results.md from the newest of each."""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import json
import sys
from pathlib import Path

from bench.report import Figure, machine

NAMES = ("boot", "idle", "relay", "transcode", "register", "setup", "cps")
KEPT = Path(__file__).parent / "results"
RESULTS = Path(__file__).parent / "results.md"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(NAMES))
    names = parser.parse_args().names or list(NAMES)
    unknown = sorted(set(names) - set(NAMES))
    if unknown:
        parser.error(f"there is no figure {', '.join(unknown)}; there are {', '.join(NAMES)}")
    KEPT.mkdir(exist_ok=True)
    for name in names:
        figure = importlib.import_module(f"bench.{name}").run()
        print(figure.as_table(), figure.as_json(), sep="\n", flush=True)
        (KEPT / f"{name}.json").write_text(json.dumps(dataclasses.asdict(figure)))
    RESULTS.write_text(_as_markdown([_kept(name) for name in NAMES if (KEPT / f"{name}.json").exists()]))
    return 0


def _kept(name: str) -> Figure:
    return Figure(**json.loads((KEPT / f"{name}.json").read_text()))


def _as_markdown(figures: list[Figure]) -> str:
    lines = [
        "# Figures",
        "",
        f"Written by `make bench` on: {machine()}. Each peer ran in the same run, on the same machine.",
        "",
        "| name | value | peer | ratio | target |",
        "|---|---|---|---|---|",
    ]
    for f in figures:
        peer = f"{f.peer}: {f.peer_value:g} {f.unit}" if f.peer else "none in this run"
        lines.append(f"| {f.name} | {f.value:g} {f.unit} | {peer} | {f.ratio or ''} | {f.target} |")
    for f in figures:
        lines += ["", f"## {f.name}", "", *(f"- {key}: {value}" for key, value in f.details.items())]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
