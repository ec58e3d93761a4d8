"""The settings that somebody sets, read from ``SENT_…`` variables. Each has a default that works.

`SETTINGS` is the one list: the documentation and ``sent doctor`` print it.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sent.kit.errors import BadInput

SETTINGS: Mapping[str, str] = {
    "SENT_DATA_DIR": "where the database, recordings and keys lie (default ~/.local/share/sent; as root /var/lib/sent)",
    "SENT_BIND": "the address that phones and browsers reach; 0.0.0.0 opens SENT to the network (default 127.0.0.1)",
    "SENT_ADVERTISE": "the address written into SIP and SDP behind NAT (default: the one that routes to the peer)",
    "SENT_SIP_PORT": "SIP over UDP and TCP (default 5060)",
    "SENT_SIP_TLS_PORT": "SIP over TLS (default 5061)",
    "SENT_HTTP_PORT": "health and metrics (default 8000)",
    "SENT_RTP_PORTS": "port range for audio (default 20000-29999)",
    "SENT_DATABASE_URL": "an external PostgreSQL 15 or newer, as its owner (default: an embedded one)",
    "SENT_STORE_URL": "where recordings are kept: a folder, s3://, gs:// or az:// (default: inside SENT_DATA_DIR)",
    "SENT_MASTER_KEY": "base64 of 32 octets that protects all keys (default: a file made at the first start)",
    "SENT_TLS_CERT": "PEM certificate chain for SIP over TLS (default: self-signed, made at the first start)",
    "SENT_TLS_KEY": "its private key",
    "SENT_LOG": "json or text (default: text on a terminal, else json)",
}


def default_data_dir() -> Path:
    """The user's own data folder; for root a system folder, since PostgreSQL runs as one who may not enter /root."""
    return Path("/var/lib/sent") if os.geteuid() == 0 else Path("~/.local/share/sent").expanduser()


@dataclass(frozen=True, slots=True)
class Settings:
    data_dir: Path = field(default_factory=default_data_dir)
    bind: str = "127.0.0.1"
    advertise: str | None = None
    sip_port: int = 5060
    sip_tls_port: int = 5061
    http_port: int = 8000
    rtp_ports: tuple[int, int] = (20_000, 29_999)
    database_url: str | None = None
    store_url: str | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None
    log: str | None = None

    @property
    def is_loopback(self) -> bool:
        return ipaddress.ip_address(self.bind).is_loopback


def read_settings(environment: Mapping[str, str] | None = None) -> Settings:
    """Settings from ``environment`` (the process's by default). Raises `BadInput` naming variable and remedy."""
    env = os.environ if environment is None else environment
    unknown = sorted(name for name in env if name.startswith("SENT_") and name not in SETTINGS)
    unknown = [name for name in unknown if not name.startswith("SENT_TEST_")]
    if unknown:
        raise BadInput(
            "settings.unknown",
            f"There is no setting {', '.join(unknown)}. The settings are: {', '.join(SETTINGS)}.",
        )
    cert, key = _path(env, "SENT_TLS_CERT"), _path(env, "SENT_TLS_KEY")
    if (cert is None) != (key is None):
        raise BadInput("settings.tls_pair", "Set SENT_TLS_CERT and SENT_TLS_KEY together, or neither.")
    log = env.get("SENT_LOG") or None
    if log not in (None, "json", "text"):
        raise BadInput("settings.log", f"SENT_LOG is {log!r}; it must be json or text.")
    return Settings(
        data_dir=_path(env, "SENT_DATA_DIR") or default_data_dir(),
        bind=_address(env, "SENT_BIND") or "127.0.0.1",
        advertise=_address(env, "SENT_ADVERTISE"),
        sip_port=_port(env, "SENT_SIP_PORT", 5060),
        sip_tls_port=_port(env, "SENT_SIP_TLS_PORT", 5061),
        http_port=_port(env, "SENT_HTTP_PORT", 8000),
        rtp_ports=_port_range(env, "SENT_RTP_PORTS", (20_000, 29_999)),
        database_url=env.get("SENT_DATABASE_URL") or None,
        store_url=_store(env),
        tls_cert=cert,
        tls_key=key,
        log=log,
    )


def _path(env: Mapping[str, str], name: str) -> Path | None:
    value = env.get(name)
    return Path(value).expanduser().absolute() if value else None


def _store(env: Mapping[str, str]) -> str | None:
    value = env.get("SENT_STORE_URL") or None
    if value is not None and "://" in value and not value.startswith(("s3://", "gs://", "az://")):
        raise BadInput(
            "settings.store",
            "SENT_STORE_URL must be a folder, s3://bucket/prefix, gs://bucket/prefix or az://container/prefix.",
        )
    return value


def _address(env: Mapping[str, str], name: str) -> str | None:
    value = env.get(name)
    if not value:
        return None
    try:
        return str(ipaddress.ip_address(value))
    except ValueError:
        raise BadInput(
            "settings.address", f"{name} is {value!r}; it must be an IP address such as 192.0.2.10 or 0.0.0.0."
        ) from None


def _port(env: Mapping[str, str], name: str, default: int) -> int:
    value = env.get(name)
    if not value:
        return default
    if not value.isdecimal() or not 0 < int(value) < 65_536:
        raise BadInput("settings.port", f"{name} is {value!r}; it must be a port from 1 to 65535.")
    return int(value)


def _port_range(env: Mapping[str, str], name: str, default: tuple[int, int]) -> tuple[int, int]:
    value = env.get(name)
    if not value:
        return default
    low, _, high = value.partition("-")
    if not (low.isdecimal() and high.isdecimal()) or not 1024 <= int(low) < int(high) < 65_536:
        raise BadInput("settings.port_range", f"{name} is {value!r}; write it like 20000-29999, from 1024 up.")
    return int(low), int(high)
