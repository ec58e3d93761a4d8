"""The steps that SIPp scenarios are put together from. Each returns XML; `scenario` joins them.

Square brackets are SIPp's own variables. What a scenario must check beyond the course of messages is read from the
messages afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence

_SERVER = "[remote_ip]:[remote_port]"
_HERE = "[local_ip]:[local_port]"
_CALLER_TAG = "[pid]c[call_number]"
_CALLEE_TAG = "[pid]s[call_number]"


def sdp(*attributes: str, codec: str = "0 PCMU/8000", version: int = 1) -> str:
    number = codec.partition(" ")[0]
    return "\n".join(
        (
            "v=0", f"o=sipp 1 {version} IN IP4 [local_ip]", "s=-", "c=IN IP4 [local_ip]", "t=0 0",
            f"m=audio [auto_media_port] RTP/AVP {number} 101", f"a=rtpmap:{codec}",
            "a=rtpmap:101 telephone-event/8000", *attributes, "",
        )
    )  # fmt: skip


def scenario(*parts: str) -> str:
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<scenario name="test">\n{"".join(parts)}</scenario>\n'


def pause(seconds: float) -> str:
    return f'<pause milliseconds="{seconds * 1000:.0f}"/>\n'


# -- as a caller ------------------------------------------------------------------------------------------------------


def call(
    number: str, user: str, *, offer: str = "", headers: Sequence[str] = (), late: bool = False, from_user: str = ""
) -> str:
    """INVITE, the challenge, INVITE with the credentials. ``late``: without an offer. CSeq 1 and 2."""
    body = "" if late else offer or sdp()
    first = invite(number, user, 1, body, headers, from_user=from_user)
    again = invite(number, user, 2, body, (*headers, "[authentication]"), from_user=from_user)
    return first + final(407, number, auth=True) + again


def invite(
    number: str, user: str, cseq: int, body: str = "", headers: Sequence[str] = (), *, from_user: str = ""
) -> str:
    lines = (
        f"INVITE sip:{number}@{_SERVER} SIP/2.0",
        f"Via: SIP/2.0/[transport] {_HERE};branch=[branch]",
        f"From: <sip:{from_user or user}@[remote_ip]>;tag={_CALLER_TAG}",
        f"To: <sip:{number}@[remote_ip]>",
        "Call-ID: [call_id]",
        f"CSeq: {cseq} INVITE",
        f"Contact: <sip:{user}@{_HERE};transport=[transport]>",
        "Max-Forwards: 70",
        *headers,
    )
    return _send(lines, body)


def provisional(*, required: int | None = None) -> str:
    """Whatever comes before the final answer; with ``required`` that status must be among it."""
    kinds = [f'<recv response="{status}" optional="true"/>\n' for status in (100, 180, 183) if status != required]
    return "".join(kinds) + (f'<recv response="{required}"/>\n' if required else "")


def final(status: int, number: str, *, cseq: int | None = None, auth: bool = False) -> str:
    """A refusal, and its ACK."""
    wanted = f'<recv response="{status}" auth="{str(auth).lower()}"/>\n'
    ack = (
        f"ACK sip:{number}@{_SERVER} SIP/2.0", "[last_Via:]", "[last_From:]", "[last_To:]", "[last_Call-ID:]",
        f"CSeq: {cseq or 1} ACK", "Max-Forwards: 70",
    )  # fmt: skip
    return provisional() + wanted + _send(ack, retransmit=False)


def refused(status: int, number: str) -> str:
    """The final answer to `call`."""
    return final(status, number, cseq=2)


def answered(cseq: int = 2, body: str = "") -> str:
    """200 and ACK; ``body`` is the answer to a late offer."""
    return provisional() + '<recv response="200" rrs="true"/>\n' + inside("ACK", cseq, body, retransmit=False)


def inside(method: str, cseq: int, body: str = "", headers: Sequence[str] = (), *, retransmit: bool = True) -> str:
    """A request of the caller's in the dialog."""
    lines = (
        f"{method} [next_url] SIP/2.0", f"Via: SIP/2.0/[transport] {_HERE};branch=[branch]", "[last_From:]",
        "[last_To:]", "[last_Call-ID:]", f"CSeq: {cseq} {method}", f"Contact: <sip:sipp@{_HERE};transport=[transport]>",
        "Max-Forwards: 70", *headers,
    )  # fmt: skip
    return _send(lines, body, retransmit=retransmit)


def reinvite(cseq: int, body: str, headers: Sequence[str] = ()) -> str:
    return inside("INVITE", cseq, body, headers) + answered(cseq)


def hang_up(cseq: int = 3) -> str:
    return inside("BYE", cseq) + '<recv response="200"/>\n'


def cancel(number: str) -> str:
    """After `call` and a 180: CANCEL, its 200, the 487 and the ACK."""
    lines = (
        f"CANCEL sip:{number}@{_SERVER} SIP/2.0", "[last_Via:]", "[last_From:]", f"To: <sip:{number}@[remote_ip]>",
        "[last_Call-ID:]", "CSeq: 2 CANCEL", "Max-Forwards: 70",
    )  # fmt: skip
    return _send(lines) + '<recv response="200"/>\n' + final(487, number, cseq=2)


# -- as a callee ------------------------------------------------------------------------------------------------------

_KEEP = "".join(
    f'<ereg regexp=".*" search_in="hdr" header="{name}:" assign_to="{variable}"/>'
    for name, variable in (("Via", "via"), ("From", "from"), ("To", "to"), ("CSeq", "cseq"))
)
_TO_THE_LAST = ("[last_Via:]", "[last_From:]", f"[last_To:];tag={_CALLEE_TAG}", "[last_CSeq:]", "[last_Record-Route:]")
_TO_THE_KEPT = ("Via:[$via]", "From:[$from]", f"To:[$to];tag={_CALLEE_TAG}", "CSeq:[$cseq]")


def rung() -> str:
    """The INVITE comes. Its header fields are kept, for answers that are given after other requests."""
    return (
        f'<recv request="INVITE" rrs="true"><action>{_KEEP}</action></recv>\n'
        '<Reference variables="via,from,to,cseq"/>\n'
    )


def answer(status: str, *headers: str, body: str = "", later: bool = False) -> str:
    """To the INVITE; ``status`` with its phrase. A final answer is followed by the ACK. ``later``: another request came
    in between; then SIPp knows only one Via of the INVITE's, which is enough without a proxy."""
    is_final = not status.startswith("1")
    copied = _TO_THE_KEPT if later else _TO_THE_LAST
    contact = f"Contact: <sip:sipp@{_HERE};transport=[transport]>"
    sent = _send((f"SIP/2.0 {status}", *copied, "[last_Call-ID:]", contact, *headers), body, retransmit=is_final)
    return sent + ('<recv request="ACK"/>\n' if is_final else "")


def take(method: str, *headers: str, body: str = "") -> str:
    """Receive a request in the dialog and answer 200."""
    return f'<recv request="{method}"/>\n' + _send(
        ("SIP/2.0 200 OK", "[last_Via:]", "[last_From:]", "[last_To:]", "[last_Call-ID:]", "[last_CSeq:]",
         f"Contact: <sip:sipp@{_HERE};transport=[transport]>", *headers),
        body, retransmit=False,
    )  # fmt: skip


def cancelled() -> str:
    """CANCEL comes, is answered, and the INVITE with it."""
    return take("CANCEL") + answer("487 Request Terminated", later=True)


def ask(method: str, cseq: int, body: str = "", headers: Sequence[str] = ()) -> str:
    """A request of the callee's in the dialog, and its 200."""
    lines = (
        f"{method} [next_url] SIP/2.0", f"Via: SIP/2.0/[transport] {_HERE};branch=[branch]",
        f"From:[$to];tag={_CALLEE_TAG}", "To:[$from]", "[last_Call-ID:]", f"CSeq: {cseq} {method}",
        f"Contact: <sip:sipp@{_HERE};transport=[transport]>", "Max-Forwards: 70", *headers,
    )  # fmt: skip
    return _send(lines, body) + '<recv response="100" optional="true"/>\n<recv response="200"/>\n'


# -- REGISTER ---------------------------------------------------------------------------------------------------------


def register(user: str, *, contact: str = "", expires: int = 600, status: int = 200) -> str:
    """REGISTER, the challenge, REGISTER with the credentials, answered with ``status``. Without ``contact`` the phone's
    own address; more of them are separated by a comma, and ``*`` is all."""
    contact = contact or f"<sip:{user}@{_HERE};transport=[transport]>"
    return (
        _register(user, 1, contact, expires)
        + '<recv response="401" auth="true"/>\n'
        + _register(user, 2, contact, expires, "[authentication]")
        + f'<recv response="{status}"/>\n'
    )


def _register(user: str, cseq: int, contact: str, expires: int, *headers: str) -> str:
    lines = (
        f"REGISTER sip:{_SERVER} SIP/2.0", f"Via: SIP/2.0/[transport] {_HERE};branch=[branch]",
        f"From: <sip:{user}@[remote_ip]>;tag={_CALLER_TAG}", f"To: <sip:{user}@[remote_ip]>", "Call-ID: [call_id]",
        f"CSeq: {cseq} REGISTER", f"Contact: {contact}", "Max-Forwards: 70", f"Expires: {expires}", *headers,
    )  # fmt: skip
    return _send(lines)


def _send(lines: Sequence[str], body: str = "", *, retransmit: bool = True) -> str:
    fields = "\n".join((*lines, *(("Content-Type: application/sdp",) if body else ()), "Content-Length: [len]"))
    timer = ' retrans="500"' if retransmit else ""
    return f"<send{timer}><![CDATA[\n{fields}\n\n{body}]]></send>\n"
