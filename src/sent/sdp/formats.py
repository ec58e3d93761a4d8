"""RTP payload formats of a media line: rtpmap, fmtp, and the static payload types of RFC 3551 §6."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from sent.sdp.description import MediaDescription

TELEPHONE_EVENT = "telephone-event"
COMFORT_NOISE = "CN"

_RTPMAP = re.compile(
    r"([0-9]{1,3})[ \t]+([A-Za-z0-9!#$%&'*+\-.^_`{|}~]{1,64})/([0-9]{1,9})(?:/([0-9]{1,3}))?"
).fullmatch
_FMTP = re.compile(r"([0-9]{1,3})[ \t]+([^\x00-\x1f\x7f]*)").fullmatch


@dataclass(frozen=True, slots=True)
class Format:
    """``payload_type`` is the number that the writer of the description wants to receive this format with.

    ``fmtp`` are the parameters as written, after the payload type.
    """

    payload_type: int
    name: str
    clock_rate: int = 8000
    channels: int = 1
    fmtp: str = ""

    @property
    def key(self) -> tuple[str, int, int]:
        """Formats with the same key are the same codec (names have no case)."""
        return self.name.lower(), self.clock_rate, self.channels

    @property
    def rtpmap(self) -> str:
        channels = f"/{self.channels}" if self.channels > 1 else ""
        return f"{self.payload_type} {self.name}/{self.clock_rate}{channels}"

    def numbered(self, payload_type: int) -> Format:
        return replace(self, payload_type=payload_type)


STATIC = {
    fmt.payload_type: fmt
    for fmt in (
        Format(0, "PCMU"),
        Format(3, "GSM"),
        Format(4, "G723"),
        Format(5, "DVI4"),
        Format(6, "DVI4", 16000),
        Format(7, "LPC"),
        Format(8, "PCMA"),
        Format(9, "G722"),
        Format(10, "L16", 44100, 2),
        Format(11, "L16", 44100),
        Format(12, "QCELP"),
        Format(13, COMFORT_NOISE),
        Format(15, "G728"),
        Format(18, "G729"),
    )
}


def formats_of(media: MediaDescription) -> list[Format]:
    """The formats of the m= line in its order. Numbers that nothing explains are left out, and so are repeated ones."""
    named: dict[int, Format] = {}
    for value in media.get_all("rtpmap"):
        match = _RTPMAP(value)
        if match is not None and int(match[1]) < 128 and int(match[1]) not in named:
            # RFC 7587 §7: always two channels; some leave them out.
            channels = 2 if match[2].lower() == "opus" else int(match[4] or 1)
            named[int(match[1])] = Format(int(match[1]), match[2], int(match[3]), channels)
    parameters: dict[int, str] = {}
    for value in media.get_all("fmtp"):
        match = _FMTP(value)
        if match is not None:
            parameters.setdefault(int(match[1]), match[2].strip())
    found: dict[int, Format] = {}
    for text in media.formats:
        if not text.isascii() or not text.isdigit() or len(text) > 3:
            continue
        payload_type = int(text)
        fmt = named.get(payload_type) or STATIC.get(payload_type)
        if fmt is not None and payload_type not in found:
            found[payload_type] = replace(fmt, fmtp=parameters.get(payload_type, ""))
    return list(found.values())


def is_speech(fmt: Format) -> bool:
    """A codec, not an event or comfort noise that goes beside one."""
    return fmt.name.lower() not in {TELEPHONE_EVENT, COMFORT_NOISE.lower(), "red", "ulpfec"}


def events_for(formats: Iterable[Format], clock_rate: int) -> Format | None:
    """The telephone-event (RFC 4733 §2.1) on the codec's clock; else at 8000 Hz, which older peers offer alone."""
    events = {fmt.clock_rate: fmt for fmt in formats if fmt.name.lower() == TELEPHONE_EVENT}
    return events.get(clock_rate) or events.get(8000)


def parse_fmtp(text: str) -> dict[str, str]:
    """``useinbandfec=1;stereo=0`` by lower-case name; a bare parameter has the empty value."""
    found: dict[str, str] = {}
    for part in text.split(";"):
        name, _, value = part.partition("=")
        if name.strip():
            found.setdefault(name.strip().lower(), value.strip())
    return found


def number_from(text: str | None, low: int, high: int) -> int | None:
    """Decimal digits from ``low`` to ``high`` (``ptime`` and its like); None for anything else."""
    text = (text or "").strip()
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        return None
    return int(text) if low <= int(text) <= high else None
