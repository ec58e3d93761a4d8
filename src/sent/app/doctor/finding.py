"""What a check says."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    GOOD = "good"
    WARNING = "warning"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class Finding:
    """``words`` says what was found, ``remedy`` what to do (empty when good)."""

    subject: str
    verdict: Verdict
    words: str
    remedy: str = ""


def good(subject: str, words: str) -> Finding:
    return Finding(subject, Verdict.GOOD, words)


def warning(subject: str, words: str, remedy: str) -> Finding:
    return Finding(subject, Verdict.WARNING, words, remedy)


def broken(subject: str, words: str, remedy: str) -> Finding:
    return Finding(subject, Verdict.BROKEN, words, remedy)
