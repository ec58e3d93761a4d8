//! The receiving half of an RTP leg: statistics, digits, and audio decoded when somebody needs it decoded.

use std::sync::Arc;

use crate::codec::{samples, Decoder};
use crate::dtmf::{DtmfReceiver, EventClocks, PressedDigit};
use crate::ids::PayloadType;
use crate::jitter::{Arrived, JitterBuffer, Pop, SteadyBuffer};
use crate::reception::{Arrival, Reception};
use crate::rtp::Header;
use crate::settings::{CodecSettings, RtpSettings};
use crate::time::Time;

/// Softer than this (mean square of samples, about −48 dBm0) nobody hears a piece left out.
const QUIET_POWER: i64 = 10_000;
/// Packets of the same media clock come at least so often while somebody sends.
const FRAME_MS: u32 = 20;

/// What a packet turned out to be.
#[derive(Clone, Debug)]
pub enum Kind {
    Audio(Arc<CodecSettings>),
    /// A telephone event, perhaps completing a digit.
    Event(Option<PressedDigit>),
    Duplicate,
    /// A payload type that was not negotiated (comfort noise from a phone that does not ask), or nothing at all in it.
    Unexpected,
}

/// See the module.
pub struct Receiver {
    codecs: Vec<Arc<CodecSettings>>,
    event_type: Option<PayloadType>,
    event_clock: u32,
    reception: Option<Reception>,
    clock_rate: u32,
    dtmf: DtmfReceiver,
    jitter: Box<dyn JitterBuffer>,
    decoder: Option<(PayloadType, Decoder)>,
    fifo: Vec<i16>,
    quiet: bool,
    buffering: bool,
    last_codec: Option<Arc<CodecSettings>>,
}

impl Default for Receiver {
    fn default() -> Self {
        Self {
            codecs: Vec::new(),
            event_type: None,
            event_clock: 8_000,
            reception: None,
            clock_rate: 8_000,
            dtmf: DtmfReceiver::default(),
            jitter: Box::new(SteadyBuffer::new(8_000)),
            decoder: None,
            fifo: Vec::new(),
            quiet: true,
            buffering: false,
            last_codec: None,
        }
    }
}

impl Receiver {
    pub fn configure(&mut self, settings: &RtpSettings) {
        self.codecs = settings.receive.iter().cloned().map(Arc::new).collect();
        self.event_type = settings.dtmf_receive;
        self.event_clock = settings.dtmf_clock;
        self.stop_buffering();
        self.last_codec = None;
    }

    /// Note a packet of the peer and say what it is.
    pub fn receive(&mut self, header: &Header, payload: &[u8], now: Time) -> Kind {
        let is_event = self.event_type == Some(header.payload_type);
        let codec = self
            .last_codec
            .as_ref()
            .filter(|codec| codec.payload_type == header.payload_type)
            .or_else(|| {
                self.codecs
                    .iter()
                    .find(|codec| codec.payload_type == header.payload_type)
            })
            .cloned();
        if codec.is_none() && !is_event {
            self.pass_over(header, now);
            return Kind::Unexpected;
        }
        if let Some(codec) = &codec {
            if codec.clock_rate != self.clock_rate {
                self.clock_rate = codec.clock_rate;
                self.jitter.reset(self.clock_rate);
            }
        }
        let reception = self
            .reception
            .get_or_insert_with(|| Reception::new(header.ssrc));
        // Some gateways send events as a source of their own beside the audio; that is no new source of audio.
        if is_event && reception.ssrc() != header.ssrc {
            return Kind::Event(self.note_event(header, payload, now));
        }
        if reception.ssrc() != header.ssrc {
            reception.restart(header.ssrc);
            self.jitter.reset(self.clock_rate);
            self.dtmf = DtmfReceiver::default();
        }
        let timestamp = (!is_event).then_some(header.timestamp);
        let arrival = reception.receive(header.sequence, timestamp, self.clock_rate, now);
        if is_event {
            if self.buffering {
                self.jitter.skip(header.sequence);
            }
            // The repeated end packets of an event have numbers of their own, so only the event itself tells doubles.
            return Kind::Event(self.note_event(header, payload, now));
        }
        if arrival == Arrival::Duplicate {
            return Kind::Duplicate;
        }
        match codec.filter(|_| !payload.is_empty()) {
            Some(codec) => {
                if self.last_codec.is_none()
                    || self
                        .last_codec
                        .as_ref()
                        .is_some_and(|last| !Arc::ptr_eq(last, &codec))
                {
                    self.last_codec = Some(codec.clone());
                }
                Kind::Audio(codec)
            }
            None => {
                if self.buffering {
                    self.jitter.skip(header.sequence);
                }
                Kind::Unexpected
            }
        }
    }

    /// The packet is of no use, but it has taken a number, so it is not lost.
    fn pass_over(&mut self, header: &Header, now: Time) {
        let same = |reception: &&mut Reception| reception.ssrc() == header.ssrc;
        if let Some(reception) = self.reception.as_mut().filter(same) {
            reception.receive(header.sequence, None, self.clock_rate, now);
            if self.buffering {
                self.jitter.skip(header.sequence);
            }
        }
    }

    fn note_event(&mut self, header: &Header, payload: &[u8], now: Time) -> Option<PressedDigit> {
        let clocks = self.event_clocks();
        self.dtmf.receive(header.timestamp, payload, clocks, now)
    }

    /// The clocks of the peer's telephone events.
    #[must_use]
    pub fn event_clocks(&self) -> EventClocks {
        EventClocks {
            event: self.event_clock,
            audio: self.clock_rate,
        }
    }

    /// Keep an audio packet for `pull`.
    pub fn buffer(&mut self, header: &Header, codec: &CodecSettings, payload: &[u8], now: Time) {
        let Some(duration) = codec
            .codec
            .duration(payload, codec.clock_rate, codec.channels)
        else {
            return;
        };
        if !self.buffering {
            self.jitter.reset(self.clock_rate);
            self.buffering = true;
        }
        let packet = Arrived {
            sequence: header.sequence,
            timestamp: header.timestamp,
            duration,
            marker: header.marker,
            payload_type: header.payload_type,
            payload,
        };
        self.jitter.push(&packet, now);
    }

    /// Audio packets are kept to be decoded (since the partner cannot take them as they are).
    #[must_use]
    pub fn is_buffering(&self) -> bool {
        self.buffering
    }

    /// What is buffered is no longer wanted.
    pub fn stop_buffering(&mut self) {
        self.buffering = false;
        self.decoder = None;
        self.fifo.clear();
        self.quiet = true;
    }

    /// The next 20 ms appended to `out`, at the rate returned: `wanted` where the codec can choose.
    pub fn pull(&mut self, now: Time, wanted: u32, out: &mut Vec<i16>) -> u32 {
        let mut rate = self
            .decoder
            .as_ref()
            .map_or(wanted, |(_, decoder)| decoder.rate());
        // Every turn adds at least a millisecond, or a packet; the bound only guards against a codec that yields nothing.
        for _ in 0..64 {
            if self.fifo.len() >= samples(rate, FRAME_MS) {
                break;
            }
            match self.jitter.pop(now, self.quiet) {
                Pop::Packet {
                    payload_type,
                    payload,
                } => {
                    let stale = self.decoder.as_ref().is_none_or(|(made_for, decoder)| {
                        *made_for != payload_type || !decoder.suits(wanted)
                    });
                    if stale {
                        let codec = self
                            .codecs
                            .iter()
                            .find(|codec| codec.payload_type == payload_type);
                        self.decoder = codec
                            .and_then(|codec| Some((payload_type, Decoder::new(codec, wanted)?)));
                        let new_rate = self
                            .decoder
                            .as_ref()
                            .map_or(wanted, |(_, decoder)| decoder.rate());
                        if new_rate != rate {
                            rate = new_rate;
                            self.fifo.clear();
                        }
                    }
                    if let Some((_, decoder)) = &mut self.decoder {
                        let start = self.fifo.len();
                        decoder.decode(payload, &mut self.fifo);
                        self.quiet = is_quiet(&self.fifo[start..]);
                    }
                }
                Pop::Conceal { ms, next } => match (&mut self.decoder, next) {
                    (Some((_, decoder)), Some(next)) => decoder.recover(next, ms, &mut self.fifo),
                    (Some((_, decoder)), None) => decoder.conceal(ms, &mut self.fifo),
                    (None, _) => silence(rate, ms, &mut self.fifo),
                },
                Pop::Silence { ms } => {
                    self.quiet = true;
                    silence(rate, ms, &mut self.fifo);
                }
            }
        }
        let frame = samples(rate, FRAME_MS);
        self.fifo.resize(self.fifo.len().max(frame), 0);
        out.extend(self.fifo.drain(..frame));
        rate
    }

    /// A digit whose end was lost.
    pub fn poll_digit(&mut self, now: Time) -> Option<PressedDigit> {
        self.dtmf.poll(self.event_clock, now)
    }

    #[must_use]
    pub fn next_timer(&self) -> Option<Time> {
        self.dtmf.next_timer()
    }

    #[must_use]
    pub fn clock_rate(&self) -> u32 {
        self.clock_rate
    }

    pub fn reception(&mut self) -> Option<&mut Reception> {
        self.reception.as_mut()
    }

    #[must_use]
    pub fn reception_ref(&self) -> Option<&Reception> {
        self.reception.as_ref()
    }

    #[must_use]
    pub fn jitter(&self) -> &dyn JitterBuffer {
        self.jitter.as_ref()
    }

    #[must_use]
    pub fn codecs(&self) -> &[Arc<CodecSettings>] {
        &self.codecs
    }

    #[must_use]
    pub fn last_codec(&self) -> Option<&CodecSettings> {
        self.last_codec.as_deref()
    }
}

fn silence(rate: u32, ms: u32, out: &mut Vec<i16>) {
    out.resize(out.len() + samples(rate, ms), 0);
}

fn is_quiet(piece: &[i16]) -> bool {
    let power: i64 = piece.iter().map(|&s| i64::from(s) * i64::from(s)).sum();
    power < QUIET_POWER * piece.len() as i64
}
