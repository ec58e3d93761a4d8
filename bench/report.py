"""A figure: a table for a person, one line of JSON for a program."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Figure:
    """``peer`` is None where none was run beside it; ``ratio`` is ours to the peer's."""

    name: str
    value: float
    unit: str
    target: str
    peer: str | None = None
    peer_value: float | None = None
    details: Mapping[str, object] = field(default_factory=dict)

    @property
    def ratio(self) -> float | None:
        return round(self.value / self.peer_value, 3) if self.peer_value else None

    def as_json(self) -> str:
        return json.dumps(
            {
                "name": self.name,
                "value": self.value,
                "unit": self.unit,
                "peer": self.peer,
                "peer_value": self.peer_value,
                "ratio": self.ratio,
                "target": self.target,
                "machine": machine(),
            }
        )

    def as_table(self) -> str:
        rows = [("value", f"{self.value:g} {self.unit}"), ("target", self.target)]
        if self.peer is None:
            rows.append(("peer", "none in this run"))
        else:
            rows += [("peer", f"{self.peer}: {self.peer_value:g} {self.unit}"), ("ratio", f"{self.ratio}")]
        rows += [(key, str(value)) for key, value in self.details.items()]
        width = max(len(key) for key, _ in rows)
        return "\n".join([self.name, *(f"  {key:<{width}}  {value}" for key, value in rows)])


def machine() -> str:
    """Processor, cores and system, in one line."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    return (
        f"{model}, {os.cpu_count()} cores, {platform.system()} {platform.release()}, Python {platform.python_version()}"
    )
