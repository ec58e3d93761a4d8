"""The location service of RFC 3261 §10.3, in memory and pure: time is an argument, nothing waits.

A device (one set of credentials) has up to ten bindings; a user has those of all of its devices. The order of
bindings is the callee's preference: q first, then the newest. A binding is replaced by

- the same ``+sip.instance`` and ``reg-id`` (RFC 5626 §6), whatever its Contact says, or
- an equivalent Contact URI (RFC 3261 §19.1.4).

The flow that a REGISTER came over is kept: a phone behind NAT can only be reached through it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from uuid import UUID

from sent.kit.errors import SentError
from sent.sip.flow import Flow

MAX_PER_DEVICE = 10


@dataclass(frozen=True, slots=True)
class ExpiryLimits:
    """Seconds. Shorter wishes get 423 with Min-Expires, longer ones are cut (RFC 3261 §10.3 step 7)."""

    shortest: int = 60
    longest: int = 3600
    default: int = 3600


class BindingError(SentError):
    """A REGISTER that changes nothing. ``status`` is what to answer with, ``headers`` what belongs to it."""

    http_status = 400

    def __init__(self, status: int, words: str, headers: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__("registration.refused", words)
        self.status = status
        self.headers = headers


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose credentials signed the REGISTER."""

    organization_id: UUID
    user_id: UUID
    device_id: UUID


@dataclass(frozen=True, slots=True)
class ContactWish:
    """One Contact of a REGISTER. ``uri`` as received, without angle brackets; ``expires`` None when not given."""

    uri: str
    expires: int | None = None
    q: float = 1.0
    instance: str | None = None
    reg_id: int | None = None


@dataclass(frozen=True, slots=True)
class Registration:
    """What a REGISTER asks. ``contacts`` empty is a query; ``everything`` is ``Contact: *``."""

    owner: Owner
    call_id: str
    cseq: int
    flow: Flow
    contacts: tuple[ContactWish, ...] = ()
    everything: bool = False
    expires: int | None = None
    path: tuple[str, ...] = ()
    user_agent: str = ""


@dataclass(frozen=True, slots=True)
class Binding:
    """``expires_at`` is on the clock of the ``now`` arguments. ``flow`` None: closed, or lost with a restart.

    ``source`` is the transport and address that the REGISTER came from, known even without a flow.
    """

    owner: Owner
    contact: str
    q: float
    call_id: str
    cseq: int
    expires_at: float
    refreshed_at: float
    transport: str
    local: tuple[str, int]
    source: tuple[str, int]
    flow: Flow | None = None
    path: tuple[str, ...] = ()
    instance: str | None = None
    reg_id: int | None = None
    user_agent: str = ""


class ChangeKind(StrEnum):
    ADDED = "added"
    REFRESHED = "refreshed"
    REMOVED = "removed"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class RegistrationChanged:
    """``online`` says whether the user has any binding left after this change."""

    kind: ChangeKind
    binding: Binding
    online: bool


class Bindings:
    """All bindings of this node. `apply` either changes everything that was asked or nothing."""

    def __init__(
        self,
        same_contact: Callable[[str, str], bool],
        limits: ExpiryLimits | None = None,
        per_device: int = MAX_PER_DEVICE,
    ) -> None:
        """``same_contact`` compares two Contact URIs (`sent.sip.uri.equivalent` over parsed ones)."""
        self._same_contact = same_contact
        self._limits = limits or ExpiryLimits()
        self._per_device = per_device
        self._devices: dict[UUID, list[Binding]] = {}
        self._users: dict[UUID, set[UUID]] = {}
        self._flows: dict[Flow, set[UUID]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._devices.values()))

    def apply(self, wish: Registration, now: float) -> list[RegistrationChanged]:
        """Carry out a REGISTER. Raises `BindingError`, and then nothing has changed."""
        current = [b for b in self._of_device(wish.owner.device_id) if b.expires_at > now]
        if wish.everything:
            return self._remove_all(wish, current)
        self._check_order(wish, current)
        changes: list[tuple[ChangeKind, Binding]] = []
        for contact in wish.contacts:
            seconds = self._seconds(contact, wish)
            old = self._match(current, contact)
            if old is not None:
                current.remove(old)
            if seconds == 0:
                if old is not None:
                    changes.append((ChangeKind.REMOVED, old))
                continue
            new = _binding(wish, contact, now + seconds, now)
            current.append(new)
            changes.append((ChangeKind.REFRESHED if old is not None else ChangeKind.ADDED, new))
        while len(current) > self._per_device:
            oldest = min(current, key=lambda b: b.refreshed_at)
            current.remove(oldest)
            changes.append((ChangeKind.REMOVED, oldest))
        return self._commit(wish.owner, current, changes)

    def of_device(self, device_id: UUID, now: float) -> list[Binding]:
        return _preferred(b for b in self._of_device(device_id) if b.expires_at > now)

    def of_user(self, user_id: UUID, now: float) -> list[Binding]:
        """Every live binding of all of this user's devices, best first."""
        devices = self._users.get(user_id, ())
        return _preferred(b for d in devices for b in self._of_device(d) if b.expires_at > now)

    def all(self) -> list[Binding]:
        return [b for bindings in self._devices.values() for b in bindings]

    def expire(self, now: float) -> list[RegistrationChanged]:
        """Drop what ran out. Lookups never return it, so this may be called late."""
        return self._drop(lambda b: b.expires_at <= now, ChangeKind.EXPIRED)

    def flow_closed(self, flow: Flow) -> list[RegistrationChanged]:
        """A stream connection ended (RFC 5626 §7.2).

        A binding stays only where a new connection could reach it: its Contact names the address that it came from.
        The others sit behind a NAT, or behind this connection alone, and would only be rung in vain.
        """
        changes: list[RegistrationChanged] = []
        for device_id in list(self._flows.get(flow, ())):
            bindings = self._of_device(device_id)
            gone = [b for b in bindings if b.flow == flow and only_by_its_flow(b)]
            kept = [replace(b, flow=None) if b.flow == flow else b for b in bindings if b not in gone]
            changes += self._commit(bindings[0].owner, kept, [(ChangeKind.REMOVED, b) for b in gone])
        return changes

    def forget_device(self, device_id: UUID) -> list[RegistrationChanged]:
        """The device was deleted or disabled."""
        return self._drop(lambda b: b.owner.device_id == device_id, ChangeKind.REMOVED)

    def restore(self, bindings: Iterable[Binding]) -> None:
        """Take back what was written behind before a restart. Does not overwrite anything newer."""
        for binding in bindings:
            current = self._of_device(binding.owner.device_id)
            known = any(self._same_contact(b.contact, binding.contact) for b in current)
            if len(current) < self._per_device and not known:
                self._store(binding.owner, [*current, binding])

    def _of_device(self, device_id: UUID) -> list[Binding]:
        return self._devices.get(device_id, [])

    def _remove_all(self, wish: Registration, current: list[Binding]) -> list[RegistrationChanged]:
        if wish.contacts or wish.expires != 0:
            raise BindingError(400, "Contact: * stands alone and with Expires: 0 (RFC 3261 §10.2.2).")
        self._check_order(wish, current)
        return self._commit(wish.owner, [], [(ChangeKind.REMOVED, b) for b in current])

    @staticmethod
    def _check_order(wish: Registration, current: list[Binding]) -> None:
        """RFC 3261 §10.3 step 7: within one Call-ID, only a higher CSeq may change a binding."""
        if not wish.contacts and not wish.everything:
            return
        if any(b.call_id == wish.call_id and b.cseq >= wish.cseq for b in current):
            raise BindingError(400, "This CSeq was already used in this Call-ID; send a higher one.")

    def _seconds(self, contact: ContactWish, wish: Registration) -> int:
        asked = contact.expires if contact.expires is not None else wish.expires
        if asked is None:
            return self._limits.default
        if asked == 0:
            return 0
        if asked < self._limits.shortest:
            shortest = str(self._limits.shortest)
            raise BindingError(423, f"Register for {shortest} seconds or longer.", (("Min-Expires", shortest),))
        return min(asked, self._limits.longest)

    def _match(self, current: list[Binding], contact: ContactWish) -> Binding | None:
        for binding in current:
            if contact.instance and contact.reg_id is not None:
                if (binding.instance, binding.reg_id) == (contact.instance, contact.reg_id):
                    return binding
                if binding.instance and binding.reg_id is not None:
                    continue
            if self._same_contact(binding.contact, contact.uri):
                return binding
        return None

    def _commit(
        self, owner: Owner, bindings: list[Binding], changes: list[tuple[ChangeKind, Binding]]
    ) -> list[RegistrationChanged]:
        self._store(owner, bindings)
        online = any(self._of_device(d) for d in self._users.get(owner.user_id, ()))
        return [RegistrationChanged(kind, binding, online) for kind, binding in changes]

    def _store(self, owner: Owner, bindings: list[Binding]) -> None:
        devices = self._users.setdefault(owner.user_id, set())
        self._index_flows(owner.device_id, self._of_device(owner.device_id), bindings)
        if bindings:
            self._devices[owner.device_id] = bindings
            devices.add(owner.device_id)
            return
        self._devices.pop(owner.device_id, None)
        devices.discard(owner.device_id)
        if not devices:
            del self._users[owner.user_id]

    def _index_flows(self, device_id: UUID, before: list[Binding], after: list[Binding]) -> None:
        flows = {b.flow for b in after if b.flow is not None}
        for flow in {b.flow for b in before if b.flow is not None} - flows:
            self._flows[flow].discard(device_id)
            if not self._flows[flow]:
                del self._flows[flow]
        for flow in flows:
            self._flows.setdefault(flow, set()).add(device_id)

    def _drop(self, gone: Callable[[Binding], bool], kind: ChangeKind) -> list[RegistrationChanged]:
        changes: list[RegistrationChanged] = []
        for bindings in list(self._devices.values()):
            dropped = [b for b in bindings if gone(b)]
            if dropped:
                kept = [b for b in bindings if not gone(b)]
                changes += self._commit(dropped[0].owner, kept, [(kind, b) for b in dropped])
        return changes


def _preferred(bindings: Iterable[Binding]) -> list[Binding]:
    return sorted(bindings, key=lambda b: (-b.q, -b.refreshed_at))


def _binding(wish: Registration, contact: ContactWish, expires_at: float, now: float) -> Binding:
    return Binding(
        owner=wish.owner,
        contact=contact.uri,
        q=contact.q,
        call_id=wish.call_id,
        cseq=wish.cseq,
        expires_at=expires_at,
        refreshed_at=now,
        transport=wish.flow.transport,
        local=wish.flow.local,
        source=wish.flow.remote,
        flow=wish.flow,
        path=wish.path,
        instance=contact.instance,
        reg_id=contact.reg_id,
        user_agent=wish.user_agent,
    )


def only_by_its_flow(binding: Binding) -> bool:
    """Its Contact does not name the address that it came from: it sits behind a NAT."""
    host = binding.source[0]
    bracketed = f"[{host}]" if ":" in host else host
    return f"@{bracketed}" not in binding.contact and f":{bracketed}" not in binding.contact
