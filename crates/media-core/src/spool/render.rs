//! A spool as stereo sound: each side decoded on its own RTP clock, both placed on the clock that they arrived by.
//!
//! A packet's place is that of its side's anchor plus the RTP time since. The anchor is the first packet's arrival; it
//! is set anew when the source or the timestamps jump, and moved when the sender's clock has drifted from ours, which
//! the least delayed packets of each five seconds show. So silence keeps its length and both sides stay together.

use std::collections::{BTreeMap, VecDeque};
use std::io::Read;

use super::reader::{Reader, SpoolError};
use super::{CodecRecord, PacketRecord, Record};
use crate::codec::Decoder;
use crate::ids::{PayloadType, Ssrc};
use crate::resample::Resampler;
use crate::sequence::{SequenceUnwrapper, TimestampUnwrapper};
use crate::settings::CodecSettings;

/// Packets are put in order within this.
const REORDER_MICROS: u64 = 200_000;
/// Sound is given out when nothing earlier can come any more.
const HORIZON_MICROS: u64 = 1_000_000;
/// A place so much behind the arrival is the sender's doing when all packets at hand agree: it paused without advancing
/// its timestamps. One stalled by the network is followed by others that are less late.
const LATE_MICROS: i64 = 150_000;
/// A place so much before the arrival cannot be the network's doing.
const EARLY_MICROS: i64 = -100_000;
/// And this is a jump of the timestamps, whatever follows.
const JUMP_MICROS: i64 = 700_000;
/// Drift is looked for over so long, and put right when it exceeds a little less than a frame.
const DRIFT_WINDOW_MICROS: u64 = 5_000_000;
const DRIFT_MICROS: i64 = 12_000;
/// Longer losses are silence.
const MAX_CONCEAL_MS: u64 = 60;

struct Held {
    arrival: u64,
    timestamp: u64,
    sequence: u64,
    payload_type: PayloadType,
    payload: Vec<u8>,
    epoch: u64,
}

struct Anchor {
    epoch: u64,
    timestamp: u64,
    /// µs since the start of the recording.
    micros: i64,
    /// Least delay against the anchor in the window that began then.
    least: i64,
    window_start: u64,
}

#[derive(Default)]
struct Track {
    codecs: Vec<CodecRecord>,
    source: Option<Ssrc>,
    sequences: SequenceUnwrapper,
    timestamps: TimestampUnwrapper,
    /// Sources before this one, so that their packets sort first.
    epoch: u64,
    held: BTreeMap<(u64, u64), Held>,
    played: Option<(u64, u64)>,
    anchor: Option<Anchor>,
    decoder: Option<(CodecRecord, Decoder, Resampler)>,
    /// Pieces of sound by their place; never overlapping, in order.
    sound: VecDeque<(u64, Vec<i16>)>,
    /// Where the last piece ends.
    end: u64,
    scratch: Vec<i16>,
}

/// Reads a spool as interleaved stereo at `rate`.
pub struct Renderer<R> {
    reader: Reader<R>,
    rate: u32,
    tracks: [Track; 2],
    /// Frames given out.
    cursor: u64,
    /// Frames that are complete.
    ready: u64,
    front: u64,
    finished: bool,
}

impl<R: Read> Renderer<R> {
    /// # Errors
    /// As `SpoolError` says.
    pub fn new(input: R, key: &[u8; 32], rate: u32) -> Result<Self, SpoolError> {
        Ok(Self {
            reader: Reader::new(input, key)?,
            rate: rate.clamp(8_000, 48_000),
            tracks: [Track::default(), Track::default()],
            cursor: 0,
            ready: 0,
            front: 0,
            finished: false,
        })
    }

    #[must_use]
    pub fn rate(&self) -> u32 {
        self.rate
    }

    /// Up to `max_frames` frames, left and right in turns; empty at the end.
    ///
    /// # Errors
    /// As `SpoolError` says; what came before the damage has been given out then.
    pub fn read(&mut self, max_frames: usize) -> Result<Vec<i16>, SpoolError> {
        while self.cursor == self.ready && !self.finished {
            self.advance()?;
        }
        let frames = (self.ready - self.cursor).min(max_frames as u64) as usize;
        let mut out = vec![0; frames * 2];
        for (side, track) in self.tracks.iter_mut().enumerate() {
            track.copy(self.cursor, &mut out, side);
        }
        self.cursor += frames as u64;
        Ok(out)
    }

    fn frames(&self, micros: u64) -> u64 {
        (u128::from(micros) * u128::from(self.rate) / 1_000_000) as u64
    }

    fn advance(&mut self) -> Result<(), SpoolError> {
        let rate = self.rate;
        match self.reader.next_record()? {
            Some(Record::Codec(codec)) => {
                let track = &mut self.tracks[codec.side.index()];
                let renamed = |known: &CodecRecord| {
                    known.payload_type == codec.payload_type && *known != codec
                };
                if track.codecs.iter().any(renamed) {
                    // What came under this number before meant the codec of before.
                    track.place(u64::MAX, rate);
                }
                track
                    .codecs
                    .retain(|known| known.payload_type != codec.payload_type);
                track.codecs.push(codec);
            }
            Some(Record::Packet(packet)) => {
                self.front = self.front.max(packet.arrival_micros);
                let side = packet.side;
                self.tracks[side.index()].hold(&packet);
                for track in &mut self.tracks {
                    track.place(self.front.saturating_sub(REORDER_MICROS), rate);
                }
                self.ready = self
                    .cursor
                    .max(self.frames(self.front.saturating_sub(HORIZON_MICROS)));
                for track in &mut self.tracks {
                    track.end = track.end.max(self.ready);
                }
            }
            Some(Record::Pause { .. } | Record::Resume { .. }) => {}
            None => {
                for track in &mut self.tracks {
                    track.place(u64::MAX, rate);
                }
                let length = self.frames(self.reader.end_micros().unwrap_or(self.front));
                let ends = self.tracks.iter().map(|track| track.end).max().unwrap_or(0);
                // A side's last packet may reach beyond the end of the recording by its length, no more.
                self.ready = self
                    .cursor
                    .max(length.max(ends.min(length + u64::from(rate) / 10)));
                self.finished = true;
            }
        }
        Ok(())
    }
}

impl Track {
    fn hold(&mut self, packet: &PacketRecord<'_>) {
        if self.source != Some(packet.ssrc) {
            self.source = Some(packet.ssrc);
            self.start_epoch();
        } else if let Some(highest) = self.sequences.highest() {
            if self.sequences.peek(packet.sequence).abs_diff(highest) > 3_000 {
                self.start_epoch();
            }
        }
        let sequence = self.sequences.unwrap(packet.sequence);
        let key = (self.epoch, sequence);
        if self.played.is_some_and(|played| key <= played) {
            return;
        }
        let timestamp = self.timestamps.unwrap(packet.timestamp);
        self.held.entry(key).or_insert_with(|| Held {
            arrival: packet.arrival_micros,
            timestamp,
            sequence,
            payload_type: packet.payload_type,
            payload: packet.payload.to_vec(),
            epoch: key.0,
        });
    }

    fn start_epoch(&mut self) {
        self.epoch += 1;
        self.sequences = SequenceUnwrapper::default();
        self.timestamps = TimestampUnwrapper::default();
    }

    /// Decode and place what arrived before `until`.
    fn place(&mut self, until: u64, rate: u32) {
        while let Some(entry) = self.held.first_entry() {
            // A packet that was overtaken arrived later than those behind it, but cannot be later than `until` for long.
            if entry.get().arrival > until {
                return;
            }
            let (key, packet) = entry.remove_entry();
            let lost = self
                .played
                .filter(|played| played.0 == key.0)
                .map_or(0, |played| packet.sequence - played.1 - 1);
            self.played = Some(key);
            self.play(&packet, lost, rate);
        }
    }

    fn play(&mut self, packet: &Held, lost: u64, rate: u32) {
        let Some(codec) = self
            .codecs
            .iter()
            .find(|codec| codec.payload_type == packet.payload_type)
            .cloned()
        else {
            return;
        };
        let place = self.locate(packet, codec.clock_rate);
        let wanted = (i128::from(place.max(0)) * i128::from(rate) / 1_000_000) as u64;
        if self
            .decoder
            .as_ref()
            .is_none_or(|(made_for, _, _)| *made_for != codec)
        {
            let settings = CodecSettings {
                payload_type: codec.payload_type,
                codec: codec.codec.clone(),
                clock_rate: codec.clock_rate,
                channels: codec.channels,
                fmtp: String::new(),
            };
            self.decoder = Decoder::new(&settings, rate).map(|decoder| {
                let resampler = Resampler::new(decoder.rate(), rate);
                (codec, decoder, resampler)
            });
        }
        let Some((_, decoder, resampler)) = &mut self.decoder else {
            return;
        };
        self.scratch.clear();
        let gap = wanted.saturating_sub(self.end);
        let gap_ms = gap * 1_000 / u64::from(rate);
        let slack = u64::from(rate) / 500;
        let mut start = wanted;
        if lost > 0 && (1..=MAX_CONCEAL_MS).contains(&gap_ms) {
            decoder.recover(&packet.payload, gap_ms as u32, &mut self.scratch);
            start = self.end;
        } else if gap <= slack && wanted + slack >= self.end {
            // Rounding: go on where the last piece ended.
            start = self.end;
        } else if gap > slack {
            *resampler = Resampler::new(decoder.rate(), rate);
        }
        decoder.decode(&packet.payload, &mut self.scratch);
        let mut piece =
            Vec::with_capacity(self.scratch.len() * rate as usize / decoder.rate() as usize + 1);
        resampler.process(&self.scratch, &mut piece);
        // What lies under sound that is there already is left out.
        let covered = self.end.saturating_sub(start).min(piece.len() as u64) as usize;
        piece.drain(..covered);
        let start = start + covered as u64;
        if !piece.is_empty() {
            self.end = start + piece.len() as u64;
            self.sound.push_back((start, piece));
        }
    }

    /// The packet's place in µs since the start of the recording.
    fn locate(&mut self, packet: &Held, clock_rate: u32) -> i64 {
        let arrival = packet.arrival as i64;
        let micros_between = |from: u64, to: u64| {
            ((i128::from(to) - i128::from(from)) * 1_000_000 / i128::from(clock_rate.max(1))) as i64
        };
        if let Some(anchor) = self
            .anchor
            .as_mut()
            .filter(|anchor| anchor.epoch == packet.epoch)
        {
            let place = anchor.micros + micros_between(anchor.timestamp, packet.timestamp);
            let delay = arrival - place;
            let mut followers = self
                .held
                .values()
                .filter(|held| held.epoch == packet.epoch)
                .peekable();
            let paused = delay > LATE_MICROS
                && followers.peek().is_some()
                && followers.all(|held| {
                    let place = anchor.micros + micros_between(anchor.timestamp, held.timestamp);
                    held.arrival as i64 - place > LATE_MICROS
                });
            if (EARLY_MICROS..=JUMP_MICROS).contains(&delay) && !paused {
                anchor.least = anchor.least.min(delay);
                if packet.arrival.saturating_sub(anchor.window_start) >= DRIFT_WINDOW_MICROS {
                    if anchor.least.abs() > DRIFT_MICROS {
                        anchor.micros += anchor.least;
                    }
                    anchor.least = i64::MAX;
                    anchor.window_start = packet.arrival;
                }
                return place;
            }
        }
        // The least delayed of the packets at hand says when this one would have come without delay.
        let micros = self
            .held
            .values()
            .filter(|held| held.epoch == packet.epoch)
            .map(|held| held.arrival as i64 - micros_between(packet.timestamp, held.timestamp))
            .filter(|ideal| (arrival - ideal).unsigned_abs() <= REORDER_MICROS)
            .fold(arrival, i64::min)
            .max(0);
        self.anchor = Some(Anchor {
            epoch: packet.epoch,
            timestamp: packet.timestamp,
            micros,
            least: i64::MAX,
            window_start: packet.arrival,
        });
        micros
    }

    /// Mix the sound from `cursor` on into every other sample of `out`, and forget it.
    fn copy(&mut self, cursor: u64, out: &mut [i16], side: usize) {
        let end = cursor + out.len() as u64 / 2;
        while let Some((start, piece)) = self.sound.front_mut() {
            if *start >= end {
                return;
            }
            let skip = cursor.saturating_sub(*start).min(piece.len() as u64) as usize;
            piece.drain(..skip);
            *start += skip as u64;
            let count = (end.saturating_sub(*start)).min(piece.len() as u64) as usize;
            let at = (*start - cursor.min(*start)) as usize;
            for (index, sample) in piece.drain(..count).enumerate() {
                out[2 * (at + index) + side] = sample;
            }
            *start += count as u64;
            if !piece.is_empty() {
                return;
            }
            self.sound.pop_front();
        }
    }
}
