"""**The rule of few labels**: a label takes only the values that are listed where its metric is defined; anything else
counts as ``other``. So nothing that comes from outside (a method, a number, an address, an id) can make the number of
series grow.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Generic, TypeVar

from prometheus_client import Counter, Gauge, Histogram

OTHER = "other"

M = TypeVar("M", Counter, Gauge, Histogram)


class Family(Generic[M]):
    """A metric whose label values are limited. ``of(direction="inbound")`` gives the one to count with."""

    def __init__(self, metric: M, allowed: Mapping[str, Iterable[str]]) -> None:
        self._metric: M = metric
        self._allowed = {label: frozenset(values) for label, values in allowed.items()}

    def of(self, **labels: str) -> M:
        """All labels, by name. A value that is not listed counts as ``other``."""
        if labels.keys() != self._allowed.keys():
            raise ValueError(f"This metric has the labels {sorted(self._allowed)}, not {sorted(labels)}.")
        values = {name: value if value in self._allowed[name] else OTHER for name, value in labels.items()}
        return self._metric.labels(**values)
