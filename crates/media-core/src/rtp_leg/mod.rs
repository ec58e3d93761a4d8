//! One RTP leg: latch, SRTP, RTCP and silence around a receiving and a sending half.

mod control;

use core::ops::Range;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::dtmf::{EventPayload, PressedDigit};
use crate::event::{Channel, Event, Sink};
use crate::ids::LegId;
use crate::latch::{Latch, Verdict};
use crate::random::Random;
use crate::receiver::{Kind, Receiver};
use crate::rtcp;
use crate::rtp::{self, Header};
use crate::sender::Sender;
use crate::settings::{CodecSettings, RtpSettings};
use crate::srtp::{SrtpError, SrtpKey, SrtpReceiver, SrtpSender};
use crate::stats::LegStatistics;
use crate::time::Time;

/// A packet that the leg accepted: what it holds and where its payload lies in the buffer.
pub struct Incoming {
    pub header: Header,
    pub payload: Range<usize>,
    pub kind: IncomingKind,
}

/// What the rest of the engine does with it.
pub enum IncomingKind {
    Audio(Arc<CodecSettings>),
    /// A telephone event, perhaps completing a digit.
    Event(Option<PressedDigit>),
}

/// See the module.
pub struct RtpLeg {
    id: LegId,
    settings: Option<RtpSettings>,
    latch: Latch,
    srtp_in: Option<SrtpReceiver>,
    srtp_out: Option<SrtpSender>,
    pub receiver: Receiver,
    pub sender: Sender,
    random: Random,
    cname: String,
    rtcp_from: Option<SocketAddr>,
    next_report: Option<Time>,
    reported_packets: u64,
    /// When the last RTP packet came, and when the last sign of life: RTP, or RTCP that is no goodbye.
    heard: Time,
    alive: Time,
    silences: usize,
    scratch: Vec<u8>,
    statistics: LegStatistics,
    goodbye: bool,
}

impl RtpLeg {
    #[must_use]
    pub fn new(id: LegId, random: &mut Random, now: Time) -> Self {
        let mut random = Random::new(random.next_u64());
        Self {
            id,
            settings: None,
            latch: Latch::default(),
            srtp_in: None,
            srtp_out: None,
            receiver: Receiver::default(),
            sender: Sender::new(&mut random),
            // A random name tells nobody where we are (RFC 7022 §4.2).
            cname: format!("{:016x}", random.next_u64()),
            random,
            rtcp_from: None,
            next_report: None,
            reported_packets: 0,
            heard: now,
            alive: now,
            silences: 0,
            scratch: Vec::new(),
            statistics: LegStatistics::default(),
            goodbye: false,
        }
    }

    /// Apply a negotiation.
    ///
    /// # Errors
    /// When a key cannot be used; nothing has changed then.
    pub fn configure(
        &mut self,
        settings: RtpSettings,
        now: Time,
        sink: &mut dyn Sink,
    ) -> Result<(), SrtpError> {
        let srtp_in = renew(
            self.srtp_in.as_ref(),
            settings.remote_srtp.as_ref(),
            SrtpReceiver::key,
            SrtpReceiver::new,
        )?;
        let srtp_out = renew(
            self.srtp_out.as_ref(),
            settings.local_srtp.as_ref(),
            SrtpSender::key,
            SrtpSender::new,
        )?;
        if let Some(srtp_in) = srtp_in {
            self.srtp_in = srtp_in;
        }
        if let Some(srtp_out) = srtp_out {
            self.srtp_out = srtp_out;
        }
        if self.latch.configure(settings.remote, &settings.latch_from) {
            self.rtcp_from = None;
            sink.event(Event::Unlatched { leg: self.id });
        }
        let same_receive = self.settings.as_ref().is_some_and(|old| {
            old.receive == settings.receive
                && old.dtmf_receive == settings.dtmf_receive
                && old.dtmf_clock == settings.dtmf_clock
        });
        if !same_receive {
            self.receiver.configure(&settings);
        }
        self.sender.configure(&settings);
        let direction = |settings: &RtpSettings| {
            let RtpSettings {
                may_send,
                may_receive,
                remote,
                ..
            } = *settings;
            (may_send, may_receive, remote)
        };
        // A hold or a resume shows that the peer is there; what it owes us is counted from now.
        if self.settings.as_ref().map(direction) != Some(direction(&settings)) {
            self.heard = now;
            self.alive = now;
            self.silences = 0;
        }
        if self.next_report.is_none() {
            self.next_report = Some(now.plus_micros(rtcp::interval_micros(&mut self.random, true)));
        }
        self.settings = Some(settings);
        Ok(())
    }

    #[must_use]
    pub fn may_send(&self) -> bool {
        self.settings.as_ref().is_some_and(|s| s.may_send) && self.latch.remote().is_some()
    }

    pub fn note_transcoded(&mut self) {
        self.statistics.transcoded = true;
    }

    /// A datagram from one of the leg's sockets. Returns audio and events to be passed on.
    pub fn receive(
        &mut self,
        channel: Channel,
        packet: &mut [u8],
        from: SocketAddr,
        unix_micros: u64,
        now: Time,
        sink: &mut dyn Sink,
    ) -> Option<Incoming> {
        let settings = self.settings.as_ref()?;
        let control = channel == Channel::Rtcp || rtp::is_rtcp(packet);
        if control {
            self.receive_control(packet, from, unix_micros, now);
            return None;
        }
        let may_receive = settings.may_receive;
        let mut length = packet.len();
        if let Some(srtp) = &mut self.srtp_in {
            // A stranger's packet is not worth decrypting twice; authentication is the judge here.
            match srtp.unprotect_rtp(packet) {
                Ok(plain) => length = plain,
                Err(_) => {
                    self.statistics.srtp_failures += 1;
                    return None;
                }
            }
        }
        let Ok(parsed) = rtp::Packet::parse(&packet[..length]) else {
            self.statistics.malformed += 1;
            return None;
        };
        match self.latch.judge(from, self.srtp_in.is_some(), now) {
            Verdict::Drop => {
                self.statistics.strangers += 1;
                return None;
            }
            Verdict::Latch => sink.event(Event::Latched {
                leg: self.id,
                remote: from,
            }),
            Verdict::Accept => {}
        }
        self.heard = now;
        self.alive = now;
        if self.silences > 0 {
            self.silences = 0;
            sink.event(Event::MediaResumed { leg: self.id });
        }
        self.statistics.packets_received += 1;
        self.statistics.bytes_received += packet.len() as u64;
        let kind = self.receiver.receive(&parsed.header, parsed.payload, now);
        let kind = match kind {
            Kind::Duplicate => {
                self.statistics.packets_duplicate += 1;
                return None;
            }
            Kind::Unexpected => {
                self.statistics.unexpected += 1;
                return None;
            }
            Kind::Event(digit) => {
                if let Some(digit) = digit.filter(|_| may_receive) {
                    sink.event(digit_event(self.id, digit));
                }
                IncomingKind::Event(digit)
            }
            Kind::Audio(codec) => IncomingKind::Audio(codec),
        };
        may_receive.then(|| Incoming {
            header: parsed.header,
            payload: parsed.payload_range(),
            kind,
        })
    }

    /// Send another leg's packet on: only header fields change. `packet` holds at least twelve octets before `payload`.
    pub fn forward(
        &mut self,
        from: LegId,
        incoming: &Incoming,
        packet: &mut [u8],
        now: Time,
        sink: &mut dyn Sink,
    ) {
        let payload = incoming.payload.clone();
        let (payload_type, duration) = match &incoming.kind {
            IncomingKind::Audio(codec) => {
                let Some(own) = self.sender.codec() else {
                    return;
                };
                let octets = &packet[payload.clone()];
                let known = codec
                    .codec
                    .duration(octets, codec.clock_rate, codec.channels);
                // 20 ms stand in for a codec that cannot be measured.
                (own.payload_type, known.unwrap_or(codec.clock_rate / 50))
            }
            IncomingKind::Event(_) => {
                let Some(event_type) = self.sender.event_type() else {
                    return;
                };
                let Some(event) = EventPayload::parse(&packet[payload.clone()]) else {
                    return;
                };
                let clocks = self.sender.event_clocks();
                (event_type, clocks.on_audio_clock(event.duration.into()))
            }
        };
        let octets = payload.len();
        let header = self
            .sender
            .relay(from, &incoming.header, payload_type, duration, octets, now);
        let (Some(header), Some(start)) = (header, payload.start.checked_sub(rtp::HEADER_LEN))
        else {
            return;
        };
        packet[start..payload.start].copy_from_slice(&header.to_bytes());
        self.transmit(start..payload.end, packet, sink);
    }

    fn transmit(&mut self, range: Range<usize>, packet: &[u8], sink: &mut dyn Sink) {
        let Some(remote) = self.latch.remote() else {
            return;
        };
        let plain = &packet[range];
        transmit(
            self.id,
            self.srtp_out.as_mut(),
            &mut self.scratch,
            &mut self.statistics,
            remote,
            plain,
            sink,
        );
    }

    /// Send 20 ms of audio made here; digits that wait go first and replace it.
    pub fn send_frame(&mut self, frame: &[i16], rate: u32, now: Time, sink: &mut dyn Sink) {
        let Some(remote) = self
            .latch
            .remote()
            .filter(|_| self.settings.as_ref().is_some_and(|s| s.may_send))
        else {
            return;
        };
        let (id, scratch, statistics, srtp) = (
            self.id,
            &mut self.scratch,
            &mut self.statistics,
            &mut self.srtp_out,
        );
        let mut packet = Vec::with_capacity(256);
        let mut emit = |header: &Header, payload: &[u8]| {
            header.write(payload, &mut packet);
            transmit(
                id,
                srtp.as_mut(),
                scratch,
                statistics,
                remote,
                &packet,
                sink,
            );
        };
        if !self.sender.tick_digits(now, &mut emit) && !frame.is_empty() {
            self.sender.push(frame, rate, now, &mut emit);
        }
    }

    /// Reports, silences and lost ends of digits that are due; the digit that ended so.
    pub fn handle_timer(
        &mut self,
        unix_micros: u64,
        now: Time,
        sink: &mut dyn Sink,
    ) -> Option<PressedDigit> {
        if self.next_report.is_some_and(|due| due <= now) {
            self.send_report(false, unix_micros, now, sink);
            self.next_report =
                Some(now.plus_micros(rtcp::interval_micros(&mut self.random, false)));
        }
        if let Some(due) = self.silence_due() {
            if due <= now {
                if let Some(&ms) = self
                    .settings
                    .as_ref()
                    .and_then(|s| s.silence_ms.get(self.silences))
                {
                    self.silences += 1;
                    sink.event(Event::Silence { leg: self.id, ms });
                }
            }
        }
        if self.latch.loosen(now) {
            sink.event(Event::Unlatched { leg: self.id });
        }
        let digit = self.receiver.poll_digit(now)?;
        if !self.settings.as_ref().is_some_and(|s| s.may_receive) {
            return None;
        }
        sink.event(digit_event(self.id, digit));
        Some(digit)
    }

    fn silence_due(&self) -> Option<Time> {
        let settings = self.settings.as_ref().filter(|s| s.may_receive)?;
        let ms = settings.silence_ms.get(self.silences)?;
        // The last threshold takes the peer for gone; one that still sends reports is muted or holds, but is there.
        let last = self.silences + 1 == settings.silence_ms.len();
        let since = if last { self.alive } else { self.heard };
        Some(since.plus_millis(u64::from(*ms)))
    }

    #[must_use]
    pub fn next_timer(&self) -> Option<Time> {
        [
            self.next_report,
            self.silence_due(),
            self.receiver.next_timer(),
            self.latch.quiet_at(),
        ]
        .into_iter()
        .flatten()
        .min()
    }
}

fn digit_event(leg: LegId, digit: PressedDigit) -> Event {
    Event::Digit {
        leg,
        digit: digit.digit,
        duration_ms: digit.duration_ms,
    }
}

fn transmit(
    id: LegId,
    srtp: Option<&mut SrtpSender>,
    scratch: &mut Vec<u8>,
    statistics: &mut LegStatistics,
    remote: SocketAddr,
    plain: &[u8],
    sink: &mut dyn Sink,
) {
    let wire = match srtp {
        None => plain,
        Some(srtp) => match srtp.protect_rtp(plain, scratch) {
            Ok(()) => scratch.as_slice(),
            Err(_) => {
                statistics.srtp_failures += 1;
                return;
            }
        },
    };
    statistics.bytes_sent += wire.len() as u64;
    sink.send(id, Channel::Rtp, remote, wire);
}

/// What to put in place of `current`; None keeps it. A context whose key stays the same must live on, with its rollover
/// counter and replay window.
fn renew<T>(
    current: Option<&T>,
    wanted: Option<&SrtpKey>,
    key: impl Fn(&T) -> &SrtpKey,
    make: impl Fn(SrtpKey) -> Result<T, SrtpError>,
) -> Result<Option<Option<T>>, SrtpError> {
    match wanted {
        None => Ok(Some(None)),
        Some(wanted) if current.is_some_and(|held| key(held) == wanted) => Ok(None),
        Some(wanted) => make(wanted.clone()).map(|made| Some(Some(made))),
    }
}
