"""Organizations, users and devices as the rest of SENT sees them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sent.identity.roles import Role
from sent.infra.db import Actor


class DigestAlgorithm(StrEnum):
    """What a device is challenged with (RFC 7616, RFC 8760). MD5 unless the device is known to do SHA-256."""

    MD5 = "MD5"
    SHA_256 = "SHA-256"


@dataclass(frozen=True, slots=True)
class Organization:
    id: UUID
    name: str
    slug: str
    home_region: str
    """ISO 3166 country (``DE``): how numbers without a country code are read."""
    created_at: datetime


@dataclass(frozen=True, slots=True)
class User:
    id: UUID
    organization_id: UUID
    name: str
    email: str | None
    role: Role
    created_at: datetime
    disabled_at: datetime | None


@dataclass(frozen=True, slots=True)
class Device:
    id: UUID
    organization_id: UUID
    user_id: UUID
    name: str
    sip_username: str
    digest_algorithm: DigestAlgorithm
    created_at: datetime
    disabled_at: datetime | None


@dataclass(frozen=True, slots=True)
class NewSecret:
    """A device with its secret in clear: only to be shown to whoever sets the device up."""

    device: Device
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class DeviceCredential:
    """What the registrar and every INVITE need to know of a SIP user name. ``ha1`` for the realm that was asked for."""

    organization_id: UUID
    user_id: UUID
    user_name: str
    device_id: UUID
    device_name: str
    sip_username: str
    algorithm: DigestAlgorithm
    ha1: dict[DigestAlgorithm, str] = field(repr=False)
    """Lower-case hex of H(user name ":" realm ":" secret), RFC 7616 §3.4.2, for each algorithm."""
    disabled: bool


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks, in which organization, with which role."""

    organization_id: UUID
    actor: Actor
    role: Role

    @classmethod
    def of_command_line(cls, organization_id: UUID, login: str) -> Principal:
        """Whoever can run `sent` on the server has its files, and so is an owner."""
        return cls(organization_id, Actor("cli", login), Role.OWNER)
