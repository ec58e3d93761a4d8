"""The audio files that announcements play: those that ship, and those in the administrator's folder."""

from __future__ import annotations

import re
from pathlib import Path

ASSETS = Path(__file__).parent / "assets"
WELCOME = "welcome"
"""The announcement that ships: a short chime melody."""

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


def find_announcements(folder: Path | None = None) -> dict[str, Path]:
    """WAV files by name without ending; one in ``folder`` replaces the shipped one of the same name. Reads the disk."""
    found: dict[str, Path] = {}
    for place in (ASSETS, folder):
        if place is not None and place.is_dir():
            found |= {file.stem: file for file in sorted(place.glob("*.wav")) if _NAME.fullmatch(file.stem)}
    return found
