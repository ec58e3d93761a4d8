"""Looks for what a log must not hold."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

_FORBIDDEN = re.compile(
    r"(?:response|nonce|cnonce)=\"?\w+|[Aa]uthorization: ?\w+|password[=:]\S+|a=crypto:\S+", re.ASCII
)
_NUMBER = re.compile(r"(?<![\w.:/-])\+?\d{7,}(?![\w.:-])", re.ASCII)


def secrets_in(log: str, data_dir: Path) -> list[str]:
    """Every digest, key and whole phone number in ``log``, and every password of the database in ``data_dir``."""
    found = [match.group() for match in _FORBIDDEN.finditer(log)]
    passwords = (data_dir / "postgres").glob("*.password")
    found.extend(file.name for file in passwords if file.read_text() in log)
    for line in log.splitlines():
        found.extend(number for text in _texts(line) for number in _NUMBER.findall(text))
    return found


def _texts(line: str) -> Iterator[str]:
    """The values of a JSON line; a line that is none as a whole."""
    try:
        fields = json.loads(line)
    except ValueError:
        yield line
        return
    for name, value in fields.items():
        if name != "timestamp":
            yield str(value)
