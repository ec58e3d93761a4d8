"""Tries a trunk step by step while it is being set up, and says at each step what is wrong and what to do.

settings ─ address (DNS) ─ answer (OPTIONS) ─ login (REGISTER, and back) or source addresses
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from sent.kit.errors import BadInput, SentError
from sent.sip.flow import Target
from sent.sip.message import Response
from sent.trunks import requests
from sent.trunks.directory import Account
from sent.trunks.health import Sign, sign_of
from sent.trunks.models import TrunkMode
from sent.trunks.ports import NoAnswer, SipRequests, TargetResolver
from sent.trunks.rules import comes_from
from sent.trunks.service import check

_TRIAL_EXPIRES = 120


@dataclass(frozen=True, slots=True)
class ValidationStep:
    """``words`` is a sentence; where ``ok`` is False it names the remedy, and no step follows."""

    name: str
    ok: bool
    words: str


async def validate(account: Account, sip: SipRequests, resolver: TargetResolver) -> AsyncIterator[ValidationStep]:
    """Yield each step as it is done, up to the first that failed. A silent carrier takes up to a minute per step."""
    trunk = account.trunk
    try:
        check(trunk, account.password)
    except BadInput as error:
        yield ValidationStep("settings", False, error.message)
        return
    yield ValidationStep("settings", True, "The settings are complete.")
    try:
        targets = await resolver.resolve(requests.next_hop(trunk))
    except SentError as error:
        yield ValidationStep("address", False, f"{error.message} Check the spelling of the domain or proxy.")
        return
    if not targets:
        words = f"{trunk.proxy or trunk.domain} has no address that this machine can reach over {trunk.transport}."
        yield ValidationStep("address", False, words)
        return
    where = ", ".join(f"{t.transport} {t.address}:{t.port}" for t in targets)
    yield ValidationStep("address", True, f"The carrier is at {where}.")
    answer = await _options(account, targets, sip)
    yield answer
    if not answer.ok:
        return
    yield await _login(account, targets, sip) if trunk.mode is TrunkMode.REGISTER else _sources(account, targets)


async def _options(account: Account, targets: Sequence[Target], sip: SipRequests) -> ValidationStep:
    try:
        response = await sip.send(requests.options_request(account.trunk), targets, requests.login_of(account))
    except NoAnswer as error:
        remedy = f"Check the transport ({account.trunk.transport}), the port, and that no firewall is in between."
        return ValidationStep("answer", False, f"{error.message} {remedy}")
    if sign_of(response.status) is Sign.FAILED:
        return ValidationStep("answer", False, f"The carrier is out of service: {_said(response)}. Try again later.")
    return ValidationStep("answer", True, f"The carrier answers ({_said(response)}).")


async def _login(account: Account, targets: Sequence[Target], sip: SipRequests) -> ValidationStep:
    """With a Contact of its own, so that a registration that is up is not touched."""
    trunk, login = account.trunk, requests.login_of(account)
    call_id = sip.new_token()
    contact = sip.contact_for(targets[0], sip.new_token())
    expires = _TRIAL_EXPIRES
    try:
        response = await sip.send(requests.register_request(trunk, call_id, 1, contact, expires), targets, login)
        wanted = requests.min_expires(response)
        if response.status == 423 and wanted is not None:
            expires, cseq = wanted, response.cseq.number + 1
            response = await sip.send(requests.register_request(trunk, call_id, cseq, contact, expires), targets, login)
        if 200 <= response.status < 300:
            cseq = response.cseq.number + 1
            await sip.send(requests.register_request(trunk, call_id, cseq, contact, 0), targets, login)
    except NoAnswer as error:
        return ValidationStep("login", False, f"The carrier answers OPTIONS but not REGISTER: {error.message}")
    if 200 <= response.status < 300:
        return ValidationStep("login", True, f"The carrier accepts the login as {trunk.username}.")
    remedies = {
        401: "Check the user name and password; some carriers want a separate authentication name.",
        403: "The account may be blocked, or this machine's address not allowed; ask the carrier.",
        404: "The carrier does not know this user name or domain.",
        407: "Check the user name and password; some carriers want a separate authentication name.",
    }
    remedy = remedies.get(response.status, "Ask the carrier what it means.")
    return ValidationStep("login", False, f"The carrier answered {_said(response)}. {remedy}")


def _sources(account: Account, targets: Sequence[Target]) -> ValidationStep:
    ours = targets[0].local[0]
    told = f"The carrier must send calls to {ours} (or to the public address in front of it)"
    outside = [t.address for t in targets if not comes_from(account.trunk.sources, t.address)]
    if outside:
        words = f"{told}. Calls from {', '.join(outside)} would be refused: that is no source of this trunk."
        return ValidationStep("sources", True, words)
    return ValidationStep("sources", True, f"{told}; its addresses are sources of this trunk.")


def _said(response: Response) -> str:
    phrase = "".join(c for c in response.reason if c.isprintable())[:80]
    return f"{response.status} {phrase}".strip()
