"""What the database needs to be told."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class DatabaseSettings:
    """``url`` is the owner's (``SENT_DATABASE_URL``). Without it an embedded server runs in ``data_dir``."""

    url: str | None = None
    data_dir: Path = Path("var/postgres")
    pool_size: int = 10
    """Connections at most. Each costs the server about 5 MB."""
