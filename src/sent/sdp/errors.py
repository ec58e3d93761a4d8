"""Errors of SDP and its negotiation.

SdpError
├── MalformedSdp    400  the peer's description cannot be read
└── NoCommonCodec   488  it can be read, and nothing in it fits: names the media line and what was missing
"""

from __future__ import annotations

from sent.kit.errors import SentError


class SdpError(SentError):
    """Base. ``status`` is the SIP status to answer with, ``reason`` says in words what is wrong."""

    status = 400

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(code, reason)
        self.reason = reason


class MalformedSdp(SdpError):
    http_status = 400

    def __init__(self, reason: str) -> None:
        super().__init__("sdp.malformed", f"The peer sent a malformed session description: {reason}")


class NoCommonCodec(SdpError):
    """Goes to the peer as 488 with a ``Warning`` of code ``warning`` (RFC 3261 §20.43: 302 incompatible transport
    protocol, 304 media type not available, 305 incompatible media format, 370 for the rest) and text ``reason``."""

    status = 488
    http_status = 409

    def __init__(self, reason: str, warning: int) -> None:
        super().__init__("sdp.no_common_codec", reason)
        self.warning = warning
