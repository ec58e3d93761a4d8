"""A session description (RFC 8866): plain values, and the text that they make. The parser is in `parser`."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

Attributes = tuple[tuple[str, str | None], ...]

UNSPECIFIED = frozenset({"0.0.0.0", "::"})  # noqa: S104 - compared with what peers send, never bound


class Direction(StrEnum):
    """Which way media flows, as the writer of the description sees it (RFC 8866 §6.7)."""

    SENDRECV = "sendrecv"
    SENDONLY = "sendonly"
    RECVONLY = "recvonly"
    INACTIVE = "inactive"

    @property
    def sends(self) -> bool:
        return self in {Direction.SENDRECV, Direction.SENDONLY}

    @property
    def receives(self) -> bool:
        return self in {Direction.SENDRECV, Direction.RECVONLY}

    @property
    def mirrored(self) -> Direction:
        """The same flow, as the other side sees it."""
        return direction_of(sends=self.receives, receives=self.sends)


def direction_of(*, sends: bool, receives: bool) -> Direction:
    if sends:
        return Direction.SENDRECV if receives else Direction.SENDONLY
    return Direction.RECVONLY if receives else Direction.INACTIVE


_DIRECTIONS = {direction.value: direction for direction in Direction}


def find_direction(attributes: Attributes) -> Direction | None:
    """The first direction attribute; None where there is none."""
    return next((_DIRECTIONS[name] for name, _ in attributes if name in _DIRECTIONS), None)


def find_attribute(attributes: Attributes, name: str) -> str | None:
    """The first value; the empty string for an attribute without one, None where it is absent."""
    return next((value or "" for key, value in attributes if key == name), None)


def address_type(address: str) -> str:
    return "IP6" if ":" in address else "IP4"


@dataclass(frozen=True, slots=True)
class Origin:
    """``o=``. ``session_id`` and ``version`` are numbers of any size (RFC 8866 §5.2)."""

    session_id: int
    version: int
    address: str
    username: str = "-"

    def __str__(self) -> str:
        return f"{self.username} {self.session_id} {self.version} IN {address_type(self.address)} {self.address}"


@dataclass(frozen=True, slots=True)
class MediaDescription:
    """One ``m=`` section. Port 0 means that the line is refused or switched off."""

    kind: str
    port: int
    protocol: str
    formats: tuple[str, ...]
    address: str | None = None
    """Its own ``c=``; see `SessionDescription.address_of`."""
    attributes: Attributes = ()
    bandwidths: tuple[str, ...] = ()

    def get(self, name: str) -> str | None:
        return find_attribute(self.attributes, name)

    def get_all(self, name: str) -> list[str]:
        return [value or "" for key, value in self.attributes if key == name]

    def lines(self) -> list[str]:
        lines = [f"m={self.kind} {self.port} {self.protocol} {' '.join(self.formats)}"]
        if self.address is not None:
            lines.append(f"c=IN {address_type(self.address)} {self.address}")
        lines += [f"b={bandwidth}" for bandwidth in self.bandwidths]
        return lines + _attribute_lines(self.attributes)

    def refused(self) -> MediaDescription:
        """The same line with port 0, as an answer refuses it (RFC 3264 §6)."""
        return MediaDescription(self.kind, 0, self.protocol, self.formats)


@dataclass(frozen=True, slots=True)
class SessionDescription:
    origin: Origin
    media: tuple[MediaDescription, ...] = ()
    address: str | None = None
    """The session's ``c=``."""
    attributes: Attributes = ()
    name: str = "-"
    times: tuple[str, ...] = ("0 0",)
    bandwidths: tuple[str, ...] = field(default=())

    def address_of(self, media: MediaDescription) -> str | None:
        return media.address if media.address is not None else self.address

    def direction_of(self, media: MediaDescription) -> Direction:
        """The line's own, else the session's, else sendrecv."""
        return find_direction(media.attributes) or find_direction(self.attributes) or Direction.SENDRECV

    def __str__(self) -> str:
        lines = ["v=0", f"o={self.origin}", f"s={self.name or ' '}"]
        if self.address is not None:
            lines.append(f"c=IN {address_type(self.address)} {self.address}")
        lines += [f"b={bandwidth}" for bandwidth in self.bandwidths]
        lines += [f"t={time}" for time in self.times]
        lines += _attribute_lines(self.attributes)
        for media in self.media:
            lines += media.lines()
        return "\r\n".join(lines) + "\r\n"

    def to_bytes(self) -> bytes:
        return str(self).encode()


def _attribute_lines(attributes: Attributes) -> list[str]:
    return [f"a={name}" if value is None else f"a={name}:{value}" for name, value in attributes]
