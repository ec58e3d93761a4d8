"""Host and port, as they stand in URIs and Via (RFC 3261 §25.1, RFC 5954)."""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import AddressValueError, IPv6Address

from sent.sip.errors import RemoteProtocolError

# Underscores are no hostname characters, but container and Windows names have them.
_HOSTNAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._\-]{0,253}[A-Za-z0-9_.])?").fullmatch
_DOTTED = re.compile(r"[0-9.]+").fullmatch
_OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_IPV4 = re.compile(rf"(?:{_OCTET}\.){{3}}{_OCTET}").fullmatch
_PORT = re.compile(r"[0-9]{1,5}").fullmatch


@lru_cache(maxsize=256)
def is_ipv6(text: str) -> bool:
    """True for an IPv6 address without brackets. The ``:::`` before an embedded IPv4 address, which the grammar of
    RFC 3261 produced by mistake, counts too (RFC 5118 §4.10)."""
    if ":" not in text or len(text) > 45:
        return False
    try:
        IPv6Address(text.replace(":::", "::", 1) if "." in text else text)
    except AddressValueError:
        return False
    return "%" not in text


@lru_cache(maxsize=256)
def canonical_host(host: str) -> str:
    """One spelling of each host, to compare by: lower case, IPv6 as RFC 5952 writes it."""
    if is_ipv6(host):
        return str(IPv6Address(host.replace(":::", "::", 1)))
    return host.lower().rstrip(".")


def parse_host(text: str) -> str:
    """A host name, IPv4 address or ``[IPv6]`` (brackets are taken off). Raises `RemoteProtocolError`."""
    if text[:1] == "[":
        if text[-1] != "]" or not is_ipv6(text[1:-1]):
            raise RemoteProtocolError("malformed IPv6 reference")
        return text[1:-1].replace(":::", "::")
    if not _HOSTNAME(text) or (_DOTTED(text) and not _IPV4(text)):
        raise RemoteProtocolError("malformed host")
    return text


def parse_port(text: str) -> int:
    """1 to 65535. Raises `RemoteProtocolError`."""
    if not _PORT(text) or not 0 < (port := int(text)) < 65536:
        raise RemoteProtocolError("malformed port")
    return port


def parse_host_port(text: str) -> tuple[str, int | None]:
    """``host[:port]``. Whitespace around the colon must have been dealt with by the caller."""
    if text[:1] == "[":
        end = text.find("]") + 1
        host, colon, port = text[:end], text[end : end + 1], text[end + 1 :]
        if colon not in {"", ":"}:
            raise RemoteProtocolError("malformed IPv6 reference")
    else:
        host, colon, port = text.partition(":")
    return parse_host(host), parse_port(port) if colon else None


def format_host(host: str) -> str:
    """``host`` as it stands in a message: IPv6 in brackets."""
    return f"[{host}]" if ":" in host else host


def format_host_port(host: str, port: int | None) -> str:
    host = format_host(host)
    return host if port is None else f"{host}:{port}"
