//! The sending half of an RTP leg: one source whose numbers and timestamps go on whatever feeds it.

use std::sync::Arc;

use crate::codec::{samples, CodecId, Encoder};
use crate::dtmf::EventClocks;
use crate::dtmf_send::{DtmfSender, Tick};
use crate::ids::{LegId, PayloadType, Ssrc};
use crate::random::Random;
use crate::resample::Resampler;
use crate::rtp::Header;
use crate::sequence::SequenceUnwrapper;
use crate::settings::{CodecSettings, RtpSettings};
use crate::time::Time;

const TICK_MS: u32 = 20;
/// A relayed packet older than this belongs to a source that started anew.
const MAX_REORDER: u64 = 1_000;

/// How a relayed source's numbers become ours.
#[derive(Clone, Debug)]
struct Relay {
    from: (LegId, Ssrc),
    numbers: SequenceUnwrapper,
    first_in: u64,
    first_out: u64,
    timestamp_offset: u32,
}

/// See the module.
pub struct Sender {
    ssrc: Ssrc,
    /// Extended, so that it only grows; the low 16 bits go on the wire.
    next_sequence: u64,
    /// Timestamp, duration and moment of what was sent last.
    last: Option<(u32, u32, Time)>,
    first_timestamp: u32,
    codec: Option<Arc<CodecSettings>>,
    event_type: Option<PayloadType>,
    event_clock: u32,
    packet_ms: u32,
    relay: Option<Relay>,
    /// The next local packet is the first after something else.
    local: bool,
    /// The encoder has left packets out (DTX), so the next is the first of a talk spurt (RFC 3551 §4.1).
    paused: bool,
    encoder: Option<Encoder>,
    resampler: Option<(u32, u32, Resampler)>,
    samples: Vec<i16>,
    dtmf: DtmfSender,
    event_timestamp: u32,
    event_started: Time,
    pub packets: u64,
    pub octets: u64,
}

impl Sender {
    pub fn new(random: &mut Random) -> Self {
        Self {
            ssrc: Ssrc(random.next_u32()),
            // The lower half, so that an SRTP receiver that misses the first packets cannot mistake the rollover
            // counter (RFC 3711 §3.3.1).
            next_sequence: u64::from(random.next_u32() & 0x7fff),
            last: None,
            first_timestamp: random.next_u32(),
            codec: None,
            event_type: None,
            event_clock: 8_000,
            packet_ms: TICK_MS,
            relay: None,
            local: false,
            paused: false,
            encoder: None,
            resampler: None,
            samples: Vec::new(),
            dtmf: DtmfSender::default(),
            event_timestamp: 0,
            event_started: Time::ZERO,
            packets: 0,
            octets: 0,
        }
    }

    pub fn configure(&mut self, settings: &RtpSettings) {
        let asked = settings.packet_ms.clamp(10, 60) / 10 * 10;
        let packet_ms = match (&settings.send.codec, asked) {
            // Opus frames are 10, 20, 40 or 60 ms (RFC 6716 §2.1.4).
            (CodecId::Opus, 30) => 20,
            (CodecId::Opus, 50) => 40,
            (_, asked) => asked,
        };
        let same = self.codec.as_deref() == Some(&settings.send) && self.packet_ms == packet_ms;
        if !same {
            self.codec = Some(Arc::new(settings.send.clone()));
            self.encoder = None;
            self.samples.clear();
            self.local = false;
            self.relay = None;
        }
        self.packet_ms = packet_ms;
        self.event_type = settings.dtmf_send;
        self.event_clock = settings.dtmf_clock;
        if self.event_type.is_none() {
            self.dtmf.clear();
        }
    }

    #[must_use]
    pub fn ssrc(&self) -> Ssrc {
        self.ssrc
    }

    #[must_use]
    pub fn codec(&self) -> Option<&Arc<CodecSettings>> {
        self.codec.as_ref()
    }

    #[must_use]
    pub fn event_type(&self) -> Option<PayloadType> {
        self.event_type
    }

    /// The clocks of the telephone events that we send.
    #[must_use]
    pub fn event_clocks(&self) -> EventClocks {
        EventClocks {
            event: self.event_clock,
            audio: self.clock_rate(),
        }
    }

    pub fn digits(&mut self) -> &mut DtmfSender {
        &mut self.dtmf
    }

    #[must_use]
    pub fn is_sending_digits(&self) -> bool {
        self.dtmf.is_busy()
    }

    /// Rate at which `push` needs no resampling, given a source of `natural` rate.
    #[must_use]
    pub fn preferred_rate(&self, natural: u32) -> u32 {
        match &self.codec {
            Some(codec) if codec.codec != CodecId::Opus => codec.clock_rate,
            _ => natural,
        }
    }

    fn clock_rate(&self) -> u32 {
        self.codec.as_ref().map_or(8_000, |codec| codec.clock_rate)
    }

    /// The RTP timestamp of `now`: where the last one would be by now, never before its end.
    #[must_use]
    pub fn timestamp_at(&self, now: Time) -> u32 {
        match self.last {
            None => self.first_timestamp,
            Some((timestamp, duration, at)) => {
                let elapsed =
                    (u128::from(now.since(at)) * u128::from(self.clock_rate()) / 1_000_000) as u32;
                timestamp.wrapping_add(elapsed.max(duration))
            }
        }
    }

    fn count(&mut self, octets: usize) {
        self.packets += 1;
        self.octets += octets as u64;
    }

    /// The header under which a packet of another leg goes out; None when it is older than the relay.
    /// `audio`: its duration is `duration` timestamp units; events repeat their timestamp.
    pub fn relay(
        &mut self,
        from: LegId,
        incoming: &Header,
        payload_type: PayloadType,
        duration: u32,
        octets: usize,
        now: Time,
    ) -> Option<Header> {
        let key = (from, incoming.ssrc);
        let fresh = self.relay.as_ref().is_none_or(|relay| {
            relay.from != key
                || relay.numbers.highest().is_some_and(|highest| {
                    relay.numbers.peek(incoming.sequence).abs_diff(highest) > MAX_REORDER
                })
        });
        if fresh {
            let mut numbers = SequenceUnwrapper::default();
            let first_in = numbers.unwrap(incoming.sequence);
            self.relay = Some(Relay {
                from: key,
                numbers,
                first_in,
                first_out: self.next_sequence,
                timestamp_offset: self.timestamp_at(now).wrapping_sub(incoming.timestamp),
            });
            self.local = false;
            self.samples.clear();
        }
        let relay = self.relay.as_mut()?;
        let number = relay.numbers.unwrap(incoming.sequence);
        let sequence = relay.first_out + number.checked_sub(relay.first_in)?;
        let timestamp = incoming.timestamp.wrapping_add(relay.timestamp_offset);
        self.next_sequence = self.next_sequence.max(sequence + 1);
        let newer = self
            .last
            .is_none_or(|(last, _, _)| timestamp.wrapping_sub(last) as i32 >= 0);
        if newer {
            self.last = Some((timestamp, duration, now));
        }
        self.count(octets);
        Some(Header {
            marker: incoming.marker || fresh,
            payload_type,
            sequence: sequence as u16,
            timestamp,
            ssrc: self.ssrc,
        })
    }

    /// Give 20 ms of audio to send. `emit` gets each packet that is complete.
    pub fn push(
        &mut self,
        frame: &[i16],
        rate: u32,
        now: Time,
        emit: &mut dyn FnMut(&Header, &[u8]),
    ) {
        let Some(codec) = self.codec.clone() else {
            return;
        };
        let stale = self
            .encoder
            .as_ref()
            .is_none_or(|encoder| !encoder.suits(rate));
        if stale {
            self.encoder = Encoder::new(&codec, rate);
            self.samples.clear();
        }
        let Some(encoder) = &mut self.encoder else {
            return;
        };
        let to = encoder.rate();
        if to == rate {
            self.samples.extend_from_slice(frame);
        } else {
            let fits = self
                .resampler
                .as_ref()
                .is_some_and(|(a, b, _)| (*a, *b) == (rate, to));
            if !fits {
                self.resampler = Some((rate, to, Resampler::new(rate, to)));
            }
            if let Some((_, _, resampler)) = &mut self.resampler {
                resampler.process(frame, &mut self.samples);
            }
        }
        let length = samples(to, self.packet_ms);
        let duration = samples(codec.clock_rate, self.packet_ms) as u32;
        while self.samples.len() >= length {
            let mut payload = Vec::with_capacity(length);
            let send = self
                .encoder
                .as_mut()
                .is_some_and(|encoder| encoder.encode(&self.samples[..length], &mut payload));
            self.samples.drain(..length);
            // Within a run of local audio the clock is the audio itself, not the moment of the call.
            let timestamp = match (self.local, self.last) {
                (true, Some((last, duration, _))) => last.wrapping_add(duration),
                _ => self.timestamp_at(now),
            };
            let first = !self.local || self.paused;
            self.local = true;
            self.paused = !send;
            self.relay = None;
            self.last = Some((timestamp, duration, now));
            if send {
                let header = Header {
                    marker: first,
                    payload_type: codec.payload_type,
                    sequence: self.next_sequence as u16,
                    timestamp,
                    ssrc: self.ssrc,
                };
                self.next_sequence += 1;
                self.count(payload.len());
                emit(&header, &payload);
            }
        }
    }

    /// Advance the digits by one tick. True: audio must pause.
    pub fn tick_digits(&mut self, now: Time, emit: &mut dyn FnMut(&Header, &[u8])) -> bool {
        let clocks = self.event_clocks();
        let (Some(event_type), true) = (self.event_type, self.dtmf.is_busy()) else {
            return false;
        };
        match self.dtmf.tick(TICK_MS, clocks.event) {
            Tick::Idle => false,
            Tick::Pause => true,
            Tick::Send(packet) => {
                if packet.first {
                    self.event_timestamp = self.timestamp_at(now);
                    self.event_started = now;
                    self.relay = None;
                    self.local = false;
                    self.samples.clear();
                }
                let segment = clocks.on_audio_clock(packet.segment);
                let header = Header {
                    marker: packet.first,
                    payload_type: event_type,
                    sequence: self.next_sequence as u16,
                    timestamp: self.event_timestamp.wrapping_add(segment),
                    ssrc: self.ssrc,
                };
                self.next_sequence += 1;
                let elapsed =
                    segment.saturating_add(clocks.on_audio_clock(packet.payload.duration.into()));
                self.last = Some((self.event_timestamp, elapsed, self.event_started));
                self.count(4);
                emit(&header, &packet.payload.to_bytes());
                true
            }
        }
    }

    /// Local audio has ended; the next that comes starts a new run.
    pub fn end_local(&mut self) {
        self.local = false;
        self.samples.clear();
    }
}

#[cfg(test)]
#[path = "sender_tests.rs"]
mod tests;
