"""Finding the session description in a message."""

from __future__ import annotations

from sent.sip.header_extras import parse_media_type
from sent.sip.message import Message

SDP = "application/sdp"


def sdp_of(message: Message) -> bytes | None:
    """The SDP body, also out of ``multipart/mixed`` (RFC 5621), which carriers use to send ISUP beside it."""
    if not message.body:
        return None
    kind = message.content_type
    if kind == SDP:
        return message.body
    if kind is not None and kind.startswith("multipart/"):
        return _sdp_part(message)
    return None


def _sdp_part(message: Message) -> bytes | None:
    boundary = parse_media_type(message.headers.get("Content-Type") or "").params.get("boundary")
    if not boundary:
        return None
    for part in message.body.split(b"--" + boundary.encode())[1:]:
        head, blank, body = part.lstrip(b"\r\n").partition(b"\r\n\r\n")
        if not blank:
            continue
        for line in head.split(b"\r\n"):
            name, _, value = line.partition(b":")
            if name.strip().lower() in {b"content-type", b"c"} and value.strip().lower().startswith(SDP.encode()):
                return body.removesuffix(b"\r\n") + b"\r\n"
    return None
