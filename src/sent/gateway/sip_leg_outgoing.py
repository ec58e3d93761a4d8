"""A call that goes out over SIP, to a phone or a carrier: offer, ringing, early media, the first answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sent.calls.ending import Blame, EndCode, Ending
from sent.calls.party import Party
from sent.calls.ports import Answered, LegDetails, Ringing
from sent.gateway.endings import Side, after_ringing, from_failure, from_response, reason_header
from sent.gateway.sip_leg import Line, SipLeg
from sent.media.port import MediaError
from sent.media.session import MediaSession
from sent.sdp.capabilities import Encryption
from sent.sdp.errors import SdpError
from sent.sip.authorization import Login
from sent.sip.events import Accepted, Failed, Progress, SessionEvent
from sent.sip.flow import Target
from sent.sip.header_extras import parse_reason
from sent.sip.header_values import NameAddr
from sent.sip.message import Response
from sent.sip.session import reasons_of
from sent.sip.uri import Uri


@dataclass(frozen=True, slots=True)
class Destination:
    """Where an outgoing leg goes and how it names itself there.

    ``encryptions`` are tried in order: a 488 to one leads to the next. ``identity`` makes From and the headers that go
    with it out of the caller. ``symmetric``: a phone, which is answered where its messages come from.
    """

    uri: Uri
    targets: tuple[Target, ...]
    identity: Callable[[Party], tuple[NameAddr, tuple[tuple[str, str], ...]]]
    encryptions: tuple[Encryption, ...] = (Encryption.NEVER,)
    headers: tuple[tuple[str, str], ...] = ()
    login: Login | None = None
    to: NameAddr | None = None
    symmetric: bool = True


class OutgoingSipLeg(SipLeg):
    def __init__(self, line: Line, party: Party, side: Side, destination: Destination) -> None:
        super().__init__(line, party, side, "callee")
        self._destination = destination
        self._encryptions = list(destination.encryptions)
        self._caller: Party | None = None
        self._offered_to: tuple[str, ...] = ()
        self._rang = False
        first = destination.targets[0]
        self._details = LegDetails(transport=first.transport, remote_address=f"{first.address}:{first.port}")

    def ring(self, caller: Party, codecs: Sequence[str]) -> None:
        if self.over or self._session is not None:
            return
        self._caller = caller
        self._offered_to = tuple(codecs)
        peer = self._destination.targets[0].address
        bind, advertised = self._line.media_addresses(peer)
        addresses = tuple(dict.fromkeys(t.address for t in self._destination.targets))
        encryption = self._encryptions.pop(0)
        self._media = MediaSession(self._line.engine, bind, advertised, addresses, encryption)
        self._call()

    def end(self, ending: Ending) -> None:
        if self.over or self._ending is not None:
            return
        self._ending = ending
        if self._session is None:
            self._finish(ending)
        elif self._answered:
            self._bye(ending)
        else:
            self._session.cancel(self._line.clock(), reason=parse_reason(reason_header(ending)))
            self._line.port.touch()

    def _call(self) -> None:
        assert self._media is not None
        assert self._caller is not None
        to = self._destination
        try:
            offer = self._media.offer(self._offered_to)
        except (SdpError, MediaError) as error:
            self._finish(self._media_failure(error))
            return
        from_, headers = to.identity(self._caller)
        self._session = self._line.port.agent.invite(
            to.uri,
            from_=from_,
            targets=to.targets,
            now=self._line.clock(),
            offer=offer,
            to=to.to,
            headers=(*to.headers, *headers),
            login=to.login,
            call_id=self._details.signalling_id or None,  # of the attempt before, for one ladder
        )
        self._session.symmetric = to.symmetric
        self._session.context = self
        self._note(signalling_id=self._session.call_id)
        self._line.port.touch()

    def _handle_setup(self, event: SessionEvent) -> None:
        match event:
            case Progress(sdp=sdp, status=status):
                self._rang = self._rang or status == 180
                self._progress(sdp)
            case Accepted(sdp=sdp, response=response):
                self._note(
                    user_agent=(response.headers.get("server") or response.headers.get("user-agent") or "")[:200]
                )
                self._accepted(sdp)
            case Failed():
                self._failed(event)
            case _:
                pass  # the other events are those of incoming calls

    def _progress(self, sdp: bytes | None) -> None:
        assert self._media is not None
        if sdp is not None:
            try:
                self._media.accept(sdp)
            except (SdpError, MediaError):
                sdp = None  # the answer itself may still be good; ringing without audio is what is left
            else:
                self._watch_digits()
                self._note_codec()
        self._emit(Ringing(self._leg_id, early_media=sdp is not None))

    def _accepted(self, sdp: bytes | None) -> None:
        assert self._media is not None
        self._answered = True
        try:
            if sdp is not None:
                self._media.accept(sdp)
        except (SdpError, MediaError) as error:
            self.end(self._media_failure(error))
            return
        if self._media.agreed is None:
            blame = Blame.CARRIER if self._side.is_carrier else Blame.CALLEE
            words = f"{self._side.name} answered without saying where to send audio."
            self.end(Ending(EndCode.NO_COMMON_CODEC, words, "system", blame, 488))
            return
        self._watch_digits()
        self._note_codec()
        self._emit(Answered(self._leg_id))

    def _failed(self, failed: Failed) -> None:
        if self._ending is not None:
            self._finish(self._ending)
            return
        if failed.cause != "response" or failed.response is None:
            why = ""
            if failed.cause == "transport":
                why = next(filter(None, map(self._line.port.why_failed, self._destination.targets)), "")
            self._finish_unanswered(from_failure(failed.cause, self._side, why))
            return
        if failed.status in {415, 488, 606} and self._encryptions:
            assert self._media is not None
            self._media.forget_offer()
            self._media.encryption = self._encryptions.pop(0)
            self._call()
            return
        reason, warning = _reason(failed.response), failed.response.headers.get("warning")
        ending = from_response(failed.status, failed.reason, self._side, reason=reason, warning=warning)
        self._finish_unanswered(ending)

    def _finish_unanswered(self, ending: Ending) -> None:
        self._finish(after_ringing(ending) if self._rang else ending)


def _reason(response: Response) -> str | None:
    """Its `Reason` (RFC 3326): the Q.850 one where there are several, none that cannot be read."""
    found = sorted(reasons_of(response), key=lambda reason: reason.protocol.upper() != "Q.850")
    return str(found[0]) if found else None
