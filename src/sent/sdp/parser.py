"""Read a session description (RFC 8866): tolerant of line ends, missing ``s=`` and ``t=``, and lines that nobody
needs; bounded; strict about what addresses and ports are made of."""

from __future__ import annotations

import re

from sent.sdp.description import Attributes, MediaDescription, Origin, SessionDescription
from sent.sdp.errors import MalformedSdp

MAX_SIZE = 65_536
MAX_LINES = 2_000
MAX_MEDIA = 32

_LINE_END = re.compile(r"\r\n|\r|\n")
_ADDRESS = re.compile(r"[A-Za-z0-9_.:\-]{1,255}").fullmatch
_NUMBER = re.compile(r"[0-9]{1,32}").fullmatch
_PORT = re.compile(r"([0-9]{1,5})(?:/[0-9]{1,5})?").fullmatch
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+\-.^_`{|}~]+").fullmatch
_PROTOCOL = re.compile(r"[A-Za-z0-9!#$%&'*+\-.^_`{|}~/]+").fullmatch
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]").search


def _parse_origin(value: str) -> Origin:
    parts = value.split()
    # Some devices leave the user name out.
    if len(parts) == 5:
        parts.insert(0, "-")
    if len(parts) != 6 or not _NUMBER(parts[1]) or not _NUMBER(parts[2]) or not _ADDRESS(parts[5]):
        raise MalformedSdp("the o= line is malformed")
    return Origin(int(parts[1]), int(parts[2]), parts[5], parts[0])


def _parse_connection(value: str) -> str:
    """The address, without the TTL and count of multicast."""
    parts = value.split()
    if len(parts) != 3 or parts[0].upper() != "IN" or parts[1].upper() not in {"IP4", "IP6"}:
        raise MalformedSdp("a c= line is malformed")
    address = parts[2].partition("/")[0]
    if not _ADDRESS(address) or (":" in address and parts[1].upper() == "IP4"):
        raise MalformedSdp("a c= line holds no address")
    return address


def _parse_media(value: str) -> MediaDescription:
    parts = value.split()
    if len(parts) < 4:
        raise MalformedSdp("an m= line is malformed")
    kind, port_text, protocol, *formats = parts
    port = _PORT(port_text)
    if port is None or int(port[1]) > 65_535:
        raise MalformedSdp("an m= line holds no port")
    if not _TOKEN(kind) or not _PROTOCOL(protocol) or not all(map(_TOKEN, formats)):
        raise MalformedSdp("an m= line is malformed")
    return MediaDescription(kind.lower(), int(port[1]), protocol, tuple(formats))


def _parse_attribute(value: str) -> tuple[str, str | None]:
    name, colon, text = value.partition(":")
    return name.strip(), text.strip() if colon else None


class _Section:
    """What may stand in the session and in each media section alike."""

    def __init__(self) -> None:
        self.address: str | None = None
        self.attributes: list[tuple[str, str | None]] = []
        self.bandwidths: list[str] = []

    def take(self, kind: str, value: str) -> None:
        if kind == "c":
            self.address = self.address or _parse_connection(value)
        elif kind == "a":
            self.attributes.append(_parse_attribute(value))
        elif kind == "b":
            self.bandwidths.append(value)

    def frozen(self) -> tuple[str | None, Attributes, tuple[str, ...]]:
        return self.address, tuple(self.attributes), tuple(self.bandwidths)


def _lines(data: bytes | str) -> list[str]:
    if len(data) > MAX_SIZE:
        raise MalformedSdp("it is too large")
    if isinstance(data, bytes):
        try:
            text = data.decode()
        except UnicodeDecodeError:
            text = data.decode("latin-1")
    else:
        text = data
    if _CONTROL(text):
        raise MalformedSdp("it holds control characters")
    lines = [line.strip(" \t") for line in _LINE_END.split(text)]
    lines = [line for line in lines if line]
    if len(lines) > MAX_LINES:
        raise MalformedSdp("it has too many lines")
    if not lines or lines[0] != "v=0":
        raise MalformedSdp("it does not begin with v=0")
    return lines[1:]


def parse_session(data: bytes | str) -> SessionDescription:
    """Raises `MalformedSdp` and nothing else."""
    origin: Origin | None = None
    name = ""
    times: list[str] = []
    session = section = _Section()
    media: list[tuple[MediaDescription, _Section]] = []
    for line in _lines(data):
        if line[1:2] != "=":
            raise MalformedSdp("a line is not of the form x=…")
        kind, value = line[0], line[2:].strip(" \t")
        if kind == "m":
            if len(media) == MAX_MEDIA:
                raise MalformedSdp("it has too many media lines")
            section = _Section()
            media.append((_parse_media(value), section))
        elif kind == "o" and origin is None:
            origin = _parse_origin(value)
        elif kind == "s":
            name = value
        elif kind == "t":
            times.append(value)
        else:
            section.take(kind, value)
    if origin is None:
        raise MalformedSdp("it has no o= line")
    address, attributes, bandwidths = session.frozen()
    return SessionDescription(
        origin=origin,
        media=tuple(MediaDescription(m.kind, m.port, m.protocol, m.formats, *section.frozen()) for m, section in media),
        address=address,
        attributes=attributes,
        name=name,
        times=tuple(times),
        bandwidths=bandwidths,
    )
