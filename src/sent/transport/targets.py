"""RFC 3263 without I/O: which questions a URI asks, and in which order the answers are tried."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address

from sent.sip.uri import SipUri


@dataclass(frozen=True, slots=True)
class Place:
    """A target without the local side. ``server_name``: what its certificate must be for (the domain of the URI)."""

    transport: str
    address: str
    port: int
    server_name: str = ""


@dataclass(frozen=True, slots=True)
class Srv:
    priority: int
    weight: int
    port: int
    target: str


@dataclass(frozen=True, slots=True)
class Naptr:
    order: int
    preference: int
    flags: str
    service: str
    replacement: str


@dataclass(frozen=True, slots=True)
class Question:
    """``srv``: look these up, (transport, name), each a group by preference. ``host``: when there is no SRV."""

    domain: str
    host: str
    port: int | None
    transport: str | None
    """None: the URI leaves it open, and NAPTR or SRV decide."""
    secure: bool

    @property
    def numeric(self) -> str | None:
        """The host as an address in canonical form, where it is one."""
        try:
            return str(ip_address(self.host))
        except ValueError:
            return None

    @property
    def default_transport(self) -> str:
        return self.transport or ("TLS" if self.secure else "UDP")

    def default_port(self, transport: str) -> int:
        return self.port or (5061 if transport == "TLS" else 5060)


_SERVICES = {"SIP+D2U": "UDP", "SIP+D2T": "TCP", "SIPS+D2T": "TLS"}
_SRV_PREFIX = {"UDP": "_sip._udp.", "TCP": "_sip._tcp.", "TLS": "_sips._tcp."}


def question(uri: SipUri) -> Question:
    """RFC 3263 §4.1 and §4.2, the parts that the URI decides."""
    secure = uri.scheme == "sips"
    named = (uri.params.get("transport") or "").upper() or None
    if secure and named in {None, "TCP"}:
        named = "TLS"
    return Question(uri.host, uri.params.get("maddr") or uri.host, uri.port, named, secure)


def srv_name(transport: str, domain: str) -> str | None:
    prefix = _SRV_PREFIX.get(transport)
    return prefix + domain if prefix is not None else None


def order_naptr(records: Iterable[Naptr], *, secure: bool, transports: Iterable[str]) -> list[tuple[str, str]]:
    """§4.1: (transport, name of the SRV record), best first. Services that we cannot do are left out."""
    able = set(transports)
    wanted = []
    for record in sorted(records, key=lambda record: (record.order, record.preference)):
        transport = _SERVICES.get(record.service.upper())
        if record.flags.lower() != "s" or transport not in able or (secure and transport != "TLS"):
            continue
        wanted.append((transport, record.replacement.rstrip(".")))
    return wanted


def order_srv(records: Sequence[Srv], random: Callable[[], float]) -> list[Srv]:
    """RFC 2782: by priority, and within one by weighted lot, drawn without putting back."""
    if len(records) == 1 and records[0].target in {"", "."}:
        return []  # "the service is decidedly not available at this domain"
    ordered: list[Srv] = []
    for priority in sorted({record.priority for record in records}):
        # Weight 0 first, so that a draw of exactly 0 may find it: "very small chance".
        left = sorted((record for record in records if record.priority == priority), key=lambda record: record.weight)
        while left:
            draw = random() * sum(record.weight for record in left)
            running = 0
            for position, record in enumerate(left):
                running += record.weight
                if running >= draw:
                    ordered.append(left.pop(position))
                    break
    return ordered


def order_by_health(places: Iterable[Place], failed: Callable[[Place], bool]) -> list[Place]:
    """The order stays; what failed a moment ago goes to the end, and doubles go out."""
    unique = dict.fromkeys(places)
    return [place for place in unique if not failed(place)] + [place for place in unique if failed(place)]
