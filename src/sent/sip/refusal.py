"""What a UAS refuses a well-formed request for, in the order of RFC 3261 §8.2: method, target, extensions, content.

Pure: the agent says what it can do (`Abilities`), `refuse` says what to answer, or None to go on.
"""

from __future__ import annotations

from dataclasses import dataclass

from sent.sip.errors import RemoteProtocolError
from sent.sip.header_extras import parse_media_type
from sent.sip.message import Request
from sent.sip.uri import OtherUri

KNOWN_METHODS = frozenset(
    {"ACK", "BYE", "CANCEL", "INFO", "INVITE", "MESSAGE", "NOTIFY", "OPTIONS", "PRACK", "PUBLISH", "REFER"}
    | {"REGISTER", "SUBSCRIBE", "UPDATE"}
)


@dataclass(frozen=True, slots=True)
class Abilities:
    """What this UAS can do. ``extensions`` are option tags in lower case; ``content_types`` ``type/subtype``."""

    methods: tuple[str, ...]
    extensions: tuple[str, ...] = ()
    content_types: tuple[str, ...] = ("application/sdp",)


@dataclass(frozen=True, slots=True)
class Refusal:
    """``headers`` must go into the response: they tell the peer what would do."""

    status: int
    reason: str
    headers: tuple[tuple[str, str], ...] = ()


def unsupported_extensions(request: Request, extensions: tuple[str, ...]) -> list[str]:
    """The option tags in Require that we lack. ACK and CANCEL may not be refused for them (RFC 3261 §8.2.2.3)."""
    if request.method in {"ACK", "CANCEL"}:
        return []
    return sorted(request.require - set(extensions))


def _accepts(request: Request, content_type: str) -> bool:
    """Whether ``content_type`` may stand in our answer (RFC 3261 §20.1). No Accept means SDP is welcome."""
    if not request.headers.has("accept"):
        return True
    wanted = {content_type, content_type.partition("/")[0] + "/*", "*/*"}
    return any(value and parse_media_type(value).name in wanted for value in request.headers.get_all("accept"))


def _body_is_optional(request: Request) -> bool:
    disposition = request.headers.get("content-disposition") or ""
    return "handling=optional" in "".join(disposition.lower().split())


def _refuse_content(request: Request, abilities: Abilities) -> Refusal | None:
    if not request.body or _body_is_optional(request):
        return None
    if request.content_type not in abilities.content_types:
        return Refusal(415, "Unsupported Media Type", (("Accept", ", ".join(abilities.content_types)),))
    if (request.headers.get("content-encoding") or "identity").lower() != "identity":
        return Refusal(415, "Unsupported Media Type", (("Accept-Encoding", "identity"),))
    return None


def refuse(request: Request, abilities: Abilities) -> Refusal | None:
    """The first thing that stands against ``request``, or None. It must have passed `parser.validate`."""
    if request.method not in abilities.methods:
        allow = (("Allow", ", ".join(abilities.methods)),)
        if request.method in KNOWN_METHODS:
            return Refusal(405, "Method Not Allowed", allow)
        return Refusal(501, "Not Implemented", allow)
    if isinstance(request.uri, OtherUri):
        return Refusal(416, "Unsupported URI Scheme")
    missing = unsupported_extensions(request, abilities.extensions)
    if missing:
        return Refusal(420, "Bad Extension", (("Unsupported", ", ".join(missing)),))
    content = _refuse_content(request, abilities)
    if content is not None:
        return content
    try:
        acceptable = request.method != "INVITE" or _accepts(request, "application/sdp")
    except RemoteProtocolError as error:
        return Refusal(error.status, "Bad Request")
    return None if acceptable else Refusal(406, "Not Acceptable")
