"""The demo carrier's numbers. All are from 555-0100 to 555-0199, which are kept free for fiction."""

from __future__ import annotations

from enum import StrEnum

OWN = "+12025550190"
"""The number that the demo organization has from the carrier; calls to it ring Alice."""
COUNTRY = "US"


class Behaviour(StrEnum):
    ECHO = "echo"
    CHIME = "plays a chime and hangs up"
    CALL_BACK = "hangs up and calls you back"
    BUSY = "is busy"
    DECLINE = "declines"
    NO_ANSWER = "rings and never answers"
    BARRED = "is refused by the carrier, with its reason"
    UNAVAILABLE = "meets a carrier that is out of order"


BEHAVIOURS = {
    "+12025550100": Behaviour.ECHO,
    "+12025550101": Behaviour.CHIME,
    "+12025550102": Behaviour.CALL_BACK,
    "+12025550103": Behaviour.BUSY,
    "+12025550104": Behaviour.DECLINE,
    "+12025550105": Behaviour.NO_ANSWER,
    "+12025550106": Behaviour.BARRED,
    "+12025550107": Behaviour.UNAVAILABLE,
}


def behaviour_of(number: str) -> Behaviour | None:
    """What the carrier does with a call to ``number`` (with or without ``+``); None: it is nobody's number."""
    digits = "".join(c for c in number if c.isdecimal())
    return BEHAVIOURS.get("+" + digits)
