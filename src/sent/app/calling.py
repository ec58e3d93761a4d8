"""Media, SIP and the calls between them, and what decides where a call goes."""

from __future__ import annotations

import contextlib
import random
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime

from sent.app.addresses import AdvertisedAddresses, address_for_phones
from sent.app.dialplan import Dialplan
from sent.app.settings import Settings
from sent.app.storage import Storage
from sent.app.watching import CountedCalls, count_message
from sent.calls.media_events import MediaEvents
from sent.calls.registry import CallRegistry
from sent.calls.tools import Tools
from sent.gateway.ladder_tap import LadderTap
from sent.gateway.registrar import same_contact
from sent.gateway.requests import OutsideRequests
from sent.gateway.sip_leg import Line
from sent.gateway.sip_server import Trunks
from sent.gateway.targets import SipTargets
from sent.gateway.watched_agent import WatchedAgent
from sent.infra.telemetry import Metrics
from sent.media.engine import RustEngine
from sent.pbx.announcements import find_announcements
from sent.pbx.service import PbxService
from sent.pbx.store import PbxStore
from sent.registrations.bindings import Bindings
from sent.registrations.repository import BindingRepository
from sent.registrations.service import Registrations
from sent.sip.config import AgentConfig, Trace
from sent.transport.addresses import LocalAddresses
from sent.transport.sip_transport import SipTransport
from sent.trunks.directory import DatabaseAccounts, TrunkDirectory
from sent.trunks.limits import TrunkUsage
from sent.trunks.links import TrunkLinks
from sent.trunks.routing import TrunkRouting


@dataclass(frozen=True, slots=True)
class Calling:
    engine: RustEngine
    transport: SipTransport
    line: Line
    registrations: Registrations
    requests: OutsideRequests
    trunks: Trunks
    pbx: PbxService
    calls: CallRegistry


def build_calling(settings: Settings, storage: Storage, metrics: Metrics, ends: contextlib.AsyncExitStack) -> Calling:
    """Nothing listens and nothing is read from the database yet. ``ends`` closes sockets and engine."""
    engine = RustEngine(*settings.rtp_ports, setting="SENT_RTP_PORTS")
    ends.callback(engine.shut_down)
    media_events = MediaEvents()
    engine.listen(media_events.dispatch)
    ladder = LadderTap()

    def trace(message: Trace) -> None:
        ladder.trace(message)
        count_message(metrics, message)

    addresses = AdvertisedAddresses(settings, LocalAddresses())
    agent = WatchedAgent(AgentConfig(advertise=addresses.for_sip, trace=trace), lambda: secrets.token_hex(12))
    transport = SipTransport(agent)
    ends.push_async_callback(transport.close)
    line = Line(
        transport,
        engine,
        media_events,
        lambda peer: addresses.for_media(peer, transport.now()),
        address_for_phones(settings),
    )
    registrations = Registrations(Bindings(same_contact), BindingRepository(storage.database), transport.now)
    requests = OutsideRequests(transport)
    directory = TrunkDirectory(DatabaseAccounts(storage.database, storage.vault))
    trunks = Trunks(directory, TrunkLinks(directory, requests, transport, transport.now, random.random), TrunkUsage())
    announcements = find_announcements(settings.data_dir / "announcements")
    pbx = PbxService(PbxStore(storage.database), announcements, transport.now)
    calls = CallRegistry(
        Tools(
            engine=engine,
            media_events=media_events,
            targets=SipTargets(line, registrations, directory, trunks.links, trunks.usage),
            dialplan=Dialplan(pbx, TrunkRouting(directory, trunks.links)),
            records=storage.records,
            now=lambda: datetime.now(UTC),
            node_id=storage.node,
            recorder=storage.recorder,
            ladder=ladder,
            metrics=CountedCalls(metrics),
        )
    )
    return Calling(engine, transport, line, registrations, requests, trunks, pbx, calls)
