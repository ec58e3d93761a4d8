"""What matters of a SIP message, in a few words for a ladder. Pure, and never fails: a captured message may be cut
short, struck through or malformed, and is drawn all the same."""

from __future__ import annotations

import re
from dataclasses import dataclass

_STATIC = {"0": "PCMU", "8": "PCMA", "9": "G722", "18": "G729"}
_NOTABLE = ("Reason", "Warning", "Retry-After", "Replaces", "Refer-To", "Require", "Unsupported", "Session-Expires")
_COMPACT = {"x": "session-expires", "r": "refer-to", "c": "content-type"}
_REQUEST = re.compile(r"^([A-Z]+) (\S+) SIP/2\.0$")
_STATUS = re.compile(r"^SIP/2\.0 (\d{3}) ?(.*)$")
_USER = re.compile(r"^sips?:([^@;?]+)@|^tel:([^;]+)")
_DIRECTIONS = ("sendonly", "recvonly", "inactive")
_MAX_NOTE = 160


@dataclass(frozen=True, slots=True)
class Summary:
    """``title`` fits on an arrow: ``INVITE 102``, ``180 Ringing``. ``notes`` stand below it."""

    title: str
    notes: tuple[str, ...] = ()
    is_failure: bool = False


def summarize(text: str) -> Summary:
    head, _, body = text.replace("\r\n", "\n").partition("\n\n")
    lines = re.sub(r"\n[ \t]+", " ", head).split("\n")
    headers = _headers(lines[1:])
    request, status = _REQUEST.match(lines[0]), _STATUS.match(lines[0])
    notes = []
    if (sdp := _sdp(body)) is not None:
        notes.append(sdp)
    notes += [f"{name}: {headers[name.lower()]}"[:_MAX_NOTE] for name in _NOTABLE if name.lower() in headers]
    if request:
        user = _USER.match(request[2])
        target = f" {user[1] or user[2]}" if user and request[1] in {"INVITE", "REFER"} else ""
        return Summary(request[1] + target, tuple(notes))
    if status:
        method = headers.get("cseq", "").rpartition(" ")[2]
        of = f" ({method})" if method not in {"INVITE", ""} else ""
        return Summary(f"{status[1]} {status[2]}".rstrip() + of, tuple(notes), is_failure=status[1] >= "300")
    return Summary(printable(lines[0])[:40] or "(empty)", tuple(notes))


def printable(text: str) -> str:
    """A far side's words on a terminal: no control characters."""
    return "".join(c if c.isprintable() else "?" for c in text)


def _headers(lines: list[str]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if colon:
            key = name.strip().lower()
            headers.setdefault(_COMPACT.get(key, key), printable(value.strip()))
    return headers


def _sdp(body: str) -> str | None:
    lines = body.split("\n")
    media = next((line for line in lines if line.startswith("m=audio ")), None)
    if media is None:
        return None
    parts = media[2:].split()
    if len(parts) < 4:
        return "SDP: " + printable(media)[:60]
    names = dict(_STATIC)
    for line in lines:
        if line.startswith("a=rtpmap:"):
            payload, _, codec = line[9:].partition(" ")
            names[payload] = codec.partition("/")[0]
    codecs = [names.get(payload, payload) for payload in parts[3:]]
    words = " ".join(c for c in codecs if c.lower() not in {"telephone-event", "cn"})
    address = next((line.split()[-1] for line in lines if line.startswith("c=") and line.split()), "")
    words += f", {address}:{parts[1]}" if address else f", port {parts[1]}"
    words += ", SRTP" if "SAVP" in parts[2] else ""
    direction = next((d for d in _DIRECTIONS if f"a={d}" in (line.strip() for line in lines)), "")
    return "SDP " + printable(words) + (f", {direction}" if direction else "")
