//! Codecs behind one face: payloads in and out, 16-bit mono samples on the other side.

use opus::{Application, Bitrate, Channels};

use crate::emodel::{Impairment, G711_WITHOUT_PLC, G711_WITH_PLC, G729A};
use crate::g711;
use crate::plc::Concealer;
use crate::settings::CodecSettings;

/// Longest audio in one packet: 120 ms (RFC 6716 §2.1.4; the same bound serves the others).
pub const MAX_PACKET_MS: u32 = 120;
/// libopus' effort, 0 to 10. Above 1 the gain on telephone speech is not worth the processor time of hundreds of calls.
const OPUS_COMPLEXITY: i32 = 1;
/// Bit rate for one voice, unless the peer's `maxaveragebitrate` is lower.
const OPUS_BITRATE: i32 = 28_000;
/// Loss that in-band FEC prepares for.
const OPUS_EXPECTED_LOSS_PERCENT: i32 = 10;
const MAX_PAYLOAD: usize = 1_275;

/// What a payload is.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum CodecId {
    Pcmu,
    Pcma,
    Opus,
    /// 16-bit linear PCM, big endian (RFC 3551 §4.5.11); what a stream leg's audio is recorded as.
    L16,
    /// Relayed and recorded, never decoded; the name in upper case.
    Other(Box<str>),
}

impl CodecId {
    #[must_use]
    pub fn from_name(name: &str) -> Self {
        match name.to_ascii_uppercase().as_str() {
            "PCMU" => Self::Pcmu,
            "PCMA" => Self::Pcma,
            "OPUS" => Self::Opus,
            "L16" => Self::L16,
            other => Self::Other(other.into()),
        }
    }

    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Pcmu => "PCMU",
            Self::Pcma => "PCMA",
            Self::Opus => "opus",
            Self::L16 => "L16",
            Self::Other(name) => name,
        }
    }

    /// We have an encoder and a decoder for it.
    #[must_use]
    pub fn is_known(&self) -> bool {
        !matches!(self, Self::Other(_))
    }

    /// For the E-model: the codec's values, and the name under which a quality that comes of them is told. None for a
    /// codec that nothing is known of. Opus has no agreed narrowband values; its losses are concealed at least as well
    /// as G.711's, so it takes those, and says so.
    #[must_use]
    pub fn impairment(&self) -> Option<(Impairment, &'static str)> {
        match self {
            Self::Pcmu | Self::Pcma => Some((G711_WITH_PLC, "G.107, G.711 with concealment")),
            Self::L16 => Some((G711_WITHOUT_PLC, "G.107, L16 taken as G.711")),
            Self::Opus => Some((G711_WITH_PLC, "G.107, Opus taken as G.711 with concealment")),
            Self::Other(name) if &**name == "G729" => Some((G729A, "G.107, G.729A")),
            Self::Other(_) => None,
        }
    }

    /// Audio in a payload, in units of the RTP clock; None when it cannot be told.
    #[must_use]
    pub fn duration(&self, payload: &[u8], clock_rate: u32, channels: u8) -> Option<u32> {
        let units = match self {
            Self::Pcmu | Self::Pcma => payload.len() as u32,
            Self::L16 => payload.len() as u32 / 2 / u32::from(channels.max(1)),
            Self::Opus => opus_duration(payload)?,
            Self::Other(_) => return None,
        };
        (units > 0 && u64::from(units) * 1_000 <= u64::from(clock_rate) * u64::from(MAX_PACKET_MS))
            .then_some(units)
    }
}

/// Duration of an Opus packet in 48 kHz samples (RFC 6716 §3.1).
#[must_use]
pub fn opus_duration(payload: &[u8]) -> Option<u32> {
    let toc = *payload.first()?;
    let frame = match toc >> 3 {
        config @ 0..=11 => [480, 960, 1_920, 2_880][usize::from(config & 3)],
        config @ 12..=15 => [480, 960][usize::from(config & 1)],
        config => [120, 240, 480, 960][usize::from(config & 3)],
    };
    let frames = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => u32::from(*payload.get(1)? & 0x3f),
    };
    let total = frame * frames;
    (1..=5_760).contains(&total).then_some(total)
}

/// The value of `name=value` in an `a=fmtp` line.
fn parameter<'a>(fmtp: &'a str, name: &str) -> Option<&'a str> {
    fmtp.split(';').find_map(|item| {
        let (key, value) = item.split_once('=')?;
        key.trim().eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// Samples in `ms` milliseconds.
#[must_use]
pub fn samples(rate: u32, ms: u32) -> usize {
    (u64::from(rate) * u64::from(ms) / 1_000) as usize
}

/// The rate at which Opus is used for audio that is needed, or given, at `rate`.
#[must_use]
pub fn opus_rate(rate: u32) -> u32 {
    match rate {
        8_000 | 12_000 | 16_000 | 24_000 => rate,
        _ => 48_000,
    }
}

enum DecoderKind {
    Ulaw(Concealer),
    Alaw(Concealer),
    L16 { channels: usize },
    Opus(Box<opus::Decoder>),
}

/// Payloads to samples, at `rate`.
pub struct Decoder {
    kind: DecoderKind,
    rate: u32,
    scratch: Vec<i16>,
}

impl Decoder {
    /// None for a codec that we cannot decode. `wanted_rate` is taken where the codec can choose (Opus).
    #[must_use]
    pub fn new(settings: &CodecSettings, wanted_rate: u32) -> Option<Self> {
        let mut rate = settings.clock_rate;
        let kind = match settings.codec {
            CodecId::Pcmu => DecoderKind::Ulaw(Concealer::default()),
            CodecId::Pcma => DecoderKind::Alaw(Concealer::default()),
            CodecId::L16 => DecoderKind::L16 {
                channels: usize::from(settings.channels.max(1)),
            },
            CodecId::Opus => {
                rate = opus_rate(wanted_rate);
                DecoderKind::Opus(Box::new(opus::Decoder::new(rate, Channels::Mono).ok()?))
            }
            CodecId::Other(_) => return None,
        };
        Some(Self {
            kind,
            rate,
            scratch: Vec::new(),
        })
    }

    #[must_use]
    pub fn rate(&self) -> u32 {
        self.rate
    }

    /// A new decoder would not come closer to `wanted_rate`.
    #[must_use]
    pub fn suits(&self, wanted_rate: u32) -> bool {
        !matches!(self.kind, DecoderKind::Opus(_)) || self.rate == opus_rate(wanted_rate)
    }

    /// Append the payload's samples to `out`; a payload that cannot be decoded is concealed as 20 ms.
    pub fn decode(&mut self, payload: &[u8], out: &mut Vec<i16>) {
        match &mut self.kind {
            DecoderKind::Ulaw(concealer) => {
                let start = out.len();
                out.extend(payload.iter().map(|&code| g711::ulaw_decode(code)));
                concealer.heard(&mut out[start..]);
            }
            DecoderKind::Alaw(concealer) => {
                let start = out.len();
                out.extend(payload.iter().map(|&code| g711::alaw_decode(code)));
                concealer.heard(&mut out[start..]);
            }
            DecoderKind::L16 { channels } => out.extend(
                payload
                    .chunks_exact(2 * *channels)
                    .map(|frame| i16::from_be_bytes([frame[0], frame[1]])),
            ),
            DecoderKind::Opus(_) => {
                if !self.opus_decode(payload, MAX_PACKET_MS, false, out) {
                    self.conceal(20, out);
                }
            }
        }
    }

    /// Make up `ms` milliseconds of lost audio.
    pub fn conceal(&mut self, ms: u32, out: &mut Vec<i16>) {
        let count = samples(self.rate, ms);
        match &mut self.kind {
            DecoderKind::Ulaw(concealer) | DecoderKind::Alaw(concealer) => {
                concealer.conceal(count, out)
            }
            DecoderKind::L16 { .. } => out.resize(out.len() + count, 0),
            DecoderKind::Opus(_) => {
                let start = out.len();
                self.opus_decode(&[], ms, false, out);
                out.resize(start + count, 0);
            }
        }
    }

    /// Recover the last `ms` milliseconds before `next` from its in-band FEC; concealment where it has none.
    pub fn recover(&mut self, next: &[u8], ms: u32, out: &mut Vec<i16>) {
        let start = out.len();
        if matches!(self.kind, DecoderKind::Opus(_)) && self.opus_decode(next, ms, true, out) {
            out.resize(start + samples(self.rate, ms), 0);
        } else {
            self.conceal(ms, out);
        }
    }

    fn opus_decode(&mut self, payload: &[u8], max_ms: u32, fec: bool, out: &mut Vec<i16>) -> bool {
        let DecoderKind::Opus(decoder) = &mut self.kind else {
            return false;
        };
        self.scratch.resize(samples(self.rate, max_ms), 0);
        match decoder.decode(payload, &mut self.scratch, fec) {
            Ok(count) => {
                out.extend_from_slice(&self.scratch[..count]);
                true
            }
            Err(_) => false,
        }
    }
}

enum EncoderKind {
    Ulaw,
    Alaw,
    L16,
    Opus(Box<opus::Encoder>),
}

/// Samples at `rate` to payloads.
pub struct Encoder {
    kind: EncoderKind,
    rate: u32,
    scratch: Vec<u8>,
}

impl Encoder {
    /// None for a codec that we cannot encode. `source_rate` is taken where the codec can choose (Opus).
    #[must_use]
    pub fn new(settings: &CodecSettings, source_rate: u32) -> Option<Self> {
        let mut rate = settings.clock_rate;
        let kind = match settings.codec {
            CodecId::Pcmu => EncoderKind::Ulaw,
            CodecId::Pcma => EncoderKind::Alaw,
            CodecId::L16 => EncoderKind::L16,
            CodecId::Opus => {
                rate = opus_rate(source_rate);
                let mut encoder =
                    opus::Encoder::new(rate, Channels::Mono, Application::Voip).ok()?;
                let flag = |name| parameter(&settings.fmtp, name) == Some("1");
                let limit = parameter(&settings.fmtp, "maxaveragebitrate")
                    .and_then(|text| text.parse::<i32>().ok())
                    .unwrap_or(OPUS_BITRATE)
                    .clamp(6_000, OPUS_BITRATE);
                encoder.set_bitrate(Bitrate::Bits(limit)).ok()?;
                encoder.set_complexity(OPUS_COMPLEXITY).ok()?;
                encoder.set_inband_fec(flag("useinbandfec")).ok()?;
                encoder
                    .set_packet_loss_perc(OPUS_EXPECTED_LOSS_PERCENT)
                    .ok()?;
                encoder.set_dtx(flag("usedtx")).ok()?;
                EncoderKind::Opus(Box::new(encoder))
            }
            CodecId::Other(_) => return None,
        };
        Some(Self {
            kind,
            rate,
            scratch: vec![0; MAX_PAYLOAD],
        })
    }

    #[must_use]
    pub fn rate(&self) -> u32 {
        self.rate
    }

    /// A new encoder would not come closer to `source_rate`.
    #[must_use]
    pub fn suits(&self, source_rate: u32) -> bool {
        !matches!(self.kind, EncoderKind::Opus(_)) || self.rate == opus_rate(source_rate)
    }

    /// Encode one packet's samples (10, 20, 40 or 60 ms) and append the payload to `out`. False: nothing needs to be
    /// sent (DTX), or the codec refused the length.
    pub fn encode(&mut self, samples: &[i16], out: &mut Vec<u8>) -> bool {
        match &mut self.kind {
            EncoderKind::Ulaw => out.extend(samples.iter().map(|&s| g711::ulaw_encode(s))),
            EncoderKind::Alaw => out.extend(samples.iter().map(|&s| g711::alaw_encode(s))),
            EncoderKind::L16 => out.extend(samples.iter().flat_map(|s| s.to_be_bytes())),
            EncoderKind::Opus(encoder) => match encoder.encode(samples, &mut self.scratch) {
                // One or two octets are a frame that needs no transmission (RFC 6716 §2.1.9; opus_encode's manual).
                Ok(len) if len > 2 => out.extend_from_slice(&self.scratch[..len]),
                _ => return false,
            },
        }
        true
    }
}

#[cfg(test)]
#[path = "codec_tests.rs"]
mod tests;
