//! A buffer with a steady delay that grows when packets come too late and shrinks in silence.
//!
//! ```text
//!              first packet waited `target`              head is next: play it
//!   FILLING ─────────────────────────────▶ PLAYING ───── head is ahead by a loss: conceal, up to 20 ms a time
//!      ▲                                      │           head is ahead without loss (DTX): silence
//!      └──────────────────────────────────────┘           empty: conceal
//!        empty for 200 ms; a new talk spurt
//!        after silence; a jump of the timestamps
//! ```
//!
//! The delay that this adds without jitter is `MIN_TARGET_MICROS`, 10 ms: the first packet waits so long, the exchange
//! starts its clock at that moment, and every packet behind it that is on time waits as long. It is a margin, not a
//! packet: a packet may come up to 10 ms later than the first one did before anything is missed. On a network with more
//! jitter the first packet that is missed costs one concealed piece, and from then on the margin is 20 ms wider, so a
//! jitter of 20 ms costs 20 ms of concealment once per call and 30 ms of delay. A stall of our own thread is no jitter:
//! it reads what waits in the sockets before it pops.

use std::collections::VecDeque;

use super::{Arrived, JitterBuffer, JitterStatistics, Pop};
use crate::ids::PayloadType;
use crate::sequence::{SequenceUnwrapper, TimestampUnwrapper};
use crate::time::Time;

const PIECE_MS: u32 = 20;
const MIN_TARGET_MICROS: u64 = 10_000;
const MAX_TARGET_MICROS: u64 = 120_000;
const TARGET_STEP_MICROS: u64 = 20_000;
/// The target comes down by half a step after so many pieces without starving (5 s).
const CALM_PIECES: u32 = 250;
/// Above target by a packet: shorten when quiet; by so much: shorten anyway, and sooner.
const SHORTEN_ANYWAY_MICROS: u64 = 60_000;
const ANYWAY_PIECES: u32 = 25;
/// A piece is added when quiet where half of all packets wait less (the sender's clock is slower than ours). A few such
/// waits only show that our thread was late.
const LENGTHEN_MICROS: u64 = 3_000;
/// Pieces over which the shortest wait is taken (2 s).
const WINDOW_PIECES: u32 = 100;
/// More audio than this never waits.
const CEILING_MS: u64 = 400;
/// More packets than this neither, however short.
const MAX_PACKETS: usize = 128;
const MAX_PAYLOAD: usize = 1_500;
/// Packets without audio that are remembered.
const MAX_SKIPPED: usize = 64;
/// Starved for longer: start anew.
const GIVE_UP_MS: u32 = 200;
/// A gap longer than this is not filled but starts anew.
const MAX_GAP_MS: u64 = 300;
/// A jump of sequence numbers beyond this is a sender that started anew.
const MAX_JUMP: u64 = 1_000;

struct Slot {
    sequence: u64,
    timestamp: u64,
    duration: u64,
    marker: bool,
    arrival: Time,
    payload_type: PayloadType,
    payload: Vec<u8>,
}

/// See the module.
pub struct SteadyBuffer {
    clock_rate: u64,
    sequences: SequenceUnwrapper,
    timestamps: TimestampUnwrapper,
    queue: VecDeque<Slot>,
    /// Payload buffers to use again.
    spare: Vec<Vec<u8>>,
    /// What was popped last, lent to the caller.
    current: Vec<u8>,
    next: Option<Next>,
    target: u64,
    starved_ms: u32,
    calm: u32,
    /// Packets that came too late since the last calm.
    late_recently: u32,
    window: Window,
    /// Bit n: the sequence number n + 1 before the next was played.
    played: u128,
    /// Numbers of packets without audio, in the order that they came.
    skipped: VecDeque<u64>,
    statistics: JitterStatistics,
}

/// The waits of the last pieces.
#[derive(Clone, Copy)]
struct Window {
    shortest: u64,
    /// Waits below `LENGTHEN_MICROS`.
    short: u32,
    count: u32,
}

const EMPTY: Window = Window {
    shortest: u64::MAX,
    short: 0,
    count: 0,
};

#[derive(Clone, Copy)]
struct Next {
    sequence: u64,
    timestamp: u64,
}

impl SteadyBuffer {
    #[must_use]
    pub fn new(clock_rate: u32) -> Self {
        Self {
            clock_rate: u64::from(clock_rate.max(1_000)),
            sequences: SequenceUnwrapper::default(),
            timestamps: TimestampUnwrapper::default(),
            queue: VecDeque::new(),
            spare: Vec::new(),
            current: Vec::new(),
            next: None,
            target: MIN_TARGET_MICROS,
            starved_ms: 0,
            calm: 0,
            late_recently: 0,
            window: EMPTY,
            played: 0,
            skipped: VecDeque::new(),
            statistics: JitterStatistics::default(),
        }
    }

    fn units(&self, ms: u32) -> u64 {
        self.clock_rate * u64::from(ms) / 1_000
    }

    fn millis(&self, units: u64) -> u64 {
        units * 1_000 / self.clock_rate
    }

    fn waiting_ms(&self) -> u64 {
        self.millis(self.queue.iter().map(|slot| slot.duration).sum())
    }

    fn recycle(&mut self, mut payload: Vec<u8>) {
        payload.clear();
        if self.spare.len() < MAX_PACKETS {
            self.spare.push(payload);
        }
    }

    fn drop_front(&mut self) {
        if let Some(slot) = self.queue.pop_front() {
            self.statistics.discarded += 1;
            self.recycle(slot.payload);
            if let Some(front) = self.queue.front() {
                let next = Next {
                    sequence: front.sequence,
                    timestamp: front.timestamp,
                };
                if self.next.is_some() {
                    self.advance(next);
                }
            }
        }
    }

    /// Move the place of play, keeping the memory of what was played.
    fn advance(&mut self, to: Next) {
        if let Some(from) = self.next {
            let step = to.sequence.saturating_sub(from.sequence);
            self.played = if step >= 128 { 0 } else { self.played << step };
        }
        self.next = Some(to);
    }

    fn start_anew(&mut self) {
        self.next = None;
        self.starved_ms = 0;
        self.window = EMPTY;
    }

    fn starve(&mut self, next: Next) -> Pop<'_> {
        if self.starved_ms == 0 {
            self.calm = 0;
            // A step above the delay that was too short, not above what earlier moments asked for.
            let needed = self.delay_micros() + TARGET_STEP_MICROS;
            self.target = self.target.max(needed.min(MAX_TARGET_MICROS));
        }
        self.starved_ms += PIECE_MS;
        if self.starved_ms >= GIVE_UP_MS {
            self.start_anew();
            return Pop::Silence { ms: PIECE_MS };
        }
        self.next = Some(Next {
            timestamp: next.timestamp + self.units(PIECE_MS),
            ..next
        });
        self.conceal(PIECE_MS);
        Pop::Conceal {
            ms: PIECE_MS,
            next: None,
        }
    }

    fn delay_micros(&self) -> u64 {
        (self.statistics.delay_ms.max(0.0) * 1_000.0) as u64
    }

    /// Packets that overtake late ones keep the buffer from starving for long, so the delay would never grow to where
    /// the late ones can be played: from the second in a short time on, a piece is put in for each.
    fn grows(&mut self) -> bool {
        let grows = self.late_recently >= 2 && self.delay_micros() < self.target;
        if grows {
            self.late_recently = 1;
        }
        grows
    }

    fn conceal(&mut self, ms: u32) {
        self.statistics.concealed_ms += u64::from(ms);
    }

    /// Lengthen or shorten the delay, by the shortest wait of the window. True: play a piece of silence first.
    fn adjust(&mut self, wait: u64, quiet: bool) -> bool {
        self.window.shortest = self.window.shortest.min(wait);
        self.window.short += u32::from(wait < LENGTHEN_MICROS);
        self.window.count += 1;
        self.calm += 1;
        if self.calm >= CALM_PIECES {
            self.calm = 0;
            self.late_recently = 0;
            self.target = (self.target - TARGET_STEP_MICROS / 2).max(MIN_TARGET_MICROS);
        }
        let Window {
            shortest,
            short,
            count,
        } = self.window;
        let excess = shortest.saturating_sub(self.target);
        let packet = self
            .queue
            .front()
            .map_or(u64::MAX, |slot| slot.duration * 1_000_000 / self.clock_rate);
        let full = count >= WINDOW_PIECES;
        let shorten = count >= ANYWAY_PIECES && excess > SHORTEN_ANYWAY_MICROS
            || full && quiet && excess >= packet;
        if shorten && self.queue.len() > 1 {
            self.drop_front();
            self.window = EMPTY;
        } else if full && quiet && 2 * short >= count {
            self.window = EMPTY;
            return true;
        } else if full && (quiet || count >= 5 * WINDOW_PIECES) {
            self.window = EMPTY;
        }
        false
    }

    fn play_front(&mut self, now: Time, quiet: bool) -> Pop<'_> {
        let wait = self.queue.front().map_or(0, |slot| now.since(slot.arrival));
        if self.adjust(wait, quiet) {
            return Pop::Silence { ms: PIECE_MS };
        }
        let Some(slot) = self.queue.pop_front() else {
            return Pop::Silence { ms: PIECE_MS };
        };
        self.starved_ms = 0;
        self.statistics.delay_ms += (wait as f64 / 1_000.0 - self.statistics.delay_ms) / 16.0;
        self.advance(Next {
            sequence: slot.sequence + 1,
            timestamp: slot.timestamp + slot.duration,
        });
        self.played |= 1;
        let used = core::mem::replace(&mut self.current, slot.payload);
        self.recycle(used);
        Pop::Packet {
            payload_type: slot.payload_type,
            payload: &self.current,
        }
    }
}

impl JitterBuffer for SteadyBuffer {
    fn push(&mut self, packet: &Arrived<'_>, now: Time) {
        if packet.payload.len() > MAX_PAYLOAD || packet.duration == 0 {
            self.statistics.discarded += 1;
            return;
        }
        if let Some(highest) = self.sequences.highest() {
            if self.sequences.peek(packet.sequence).abs_diff(highest) > MAX_JUMP {
                self.reset(self.clock_rate as u32);
            }
        }
        let sequence = self.sequences.unwrap(packet.sequence);
        let timestamp = self.timestamps.unwrap(packet.timestamp);
        if let Some(next) = self.next {
            if sequence < next.sequence {
                let back = next.sequence - sequence - 1;
                if back < 128 && self.played >> back & 1 == 1 {
                    self.statistics.duplicates += 1;
                } else {
                    self.statistics.late += 1;
                    self.late_recently = self.late_recently.saturating_add(1);
                    self.statistics.discarded += 1;
                }
                return;
            }
        }
        // Almost always at the end, so look from there.
        let mut at = self.queue.len();
        while at > 0 && self.queue[at - 1].sequence > sequence {
            at -= 1;
        }
        if at > 0 && self.queue[at - 1].sequence == sequence {
            self.statistics.duplicates += 1;
            return;
        }
        let mut payload = self.spare.pop().unwrap_or_default();
        payload.extend_from_slice(packet.payload);
        self.queue.insert(
            at,
            Slot {
                sequence,
                timestamp,
                duration: u64::from(packet.duration),
                marker: packet.marker,
                arrival: now,
                payload_type: packet.payload_type,
                payload,
            },
        );
        if self.queue.len() > MAX_PACKETS || self.waiting_ms() > CEILING_MS {
            let keep = self.target / 1_000 + u64::from(PIECE_MS);
            while self.queue.len() > 1 && self.waiting_ms() > keep {
                self.drop_front();
            }
        }
    }

    fn skip(&mut self, sequence: u16) {
        // A number far off is the next audio packet's to judge.
        let far = self
            .sequences
            .highest()
            .is_some_and(|highest| self.sequences.peek(sequence).abs_diff(highest) > MAX_JUMP);
        if far {
            return;
        }
        let number = self.sequences.unwrap(sequence);
        if self.skipped.len() == MAX_SKIPPED {
            self.skipped.pop_front();
        }
        self.skipped.push_back(number);
    }

    fn pop(&mut self, now: Time, quiet: bool) -> Pop<'_> {
        let Some(next) = self.next else {
            let ready = self
                .queue
                .iter()
                .map(|slot| slot.arrival)
                .min()
                .is_some_and(|first| now.since(first) >= self.target);
            if let (true, Some(front)) = (ready, self.queue.front()) {
                self.played = 0;
                self.next = Some(Next {
                    sequence: front.sequence,
                    timestamp: front.timestamp,
                });
                return self.play_front(now, quiet);
            }
            return Pop::Silence { ms: PIECE_MS };
        };
        if self.grows() {
            self.conceal(PIECE_MS);
            return Pop::Conceal {
                ms: PIECE_MS,
                next: None,
            };
        }
        let Some(front) = self.queue.front() else {
            return self.starve(next);
        };
        let without_audio = self
            .skipped
            .iter()
            .filter(|number| (next.sequence..front.sequence).contains(number))
            .count() as u64;
        let missing = (front.sequence - next.sequence).saturating_sub(without_audio);
        let gap = front.timestamp.saturating_sub(next.timestamp);
        let gap_ms = self.millis(gap);
        // The sender's timestamps jumped back: its clock, not the network.
        if gap_ms == 0 {
            self.statistics.lost += missing;
            return self.play_front(now, quiet);
        }
        let spurt = front.marker && missing == 0;
        if gap_ms > MAX_GAP_MS || spurt {
            self.statistics.lost += missing;
            self.start_anew();
            return Pop::Silence { ms: PIECE_MS };
        }
        let ms = gap_ms.min(u64::from(PIECE_MS)) as u32;
        let (front_sequence, adjacent) = (front.sequence, gap <= front.duration);
        let last = u64::from(ms) == gap_ms;
        let timestamp = next.timestamp + self.units(ms);
        if missing == 0 {
            self.next = Some(Next { timestamp, ..next });
            return Pop::Silence { ms };
        }
        if last {
            self.statistics.lost += missing;
            self.advance(Next {
                sequence: front_sequence,
                timestamp,
            });
        } else {
            self.next = Some(Next { timestamp, ..next });
        }
        self.conceal(ms);
        let fec = self
            .queue
            .front()
            .filter(|_| adjacent)
            .map(|slot| slot.payload.as_slice());
        Pop::Conceal { ms, next: fec }
    }

    fn reset(&mut self, clock_rate: u32) {
        while let Some(slot) = self.queue.pop_front() {
            self.recycle(slot.payload);
        }
        self.clock_rate = u64::from(clock_rate.max(1_000));
        self.sequences = SequenceUnwrapper::default();
        self.timestamps = TimestampUnwrapper::default();
        self.played = 0;
        self.skipped.clear();
        self.start_anew();
    }

    fn first_wait_micros(&self) -> u64 {
        self.target
    }

    fn statistics(&self) -> JitterStatistics {
        self.statistics
    }
}

#[cfg(test)]
#[path = "steady_tests.rs"]
mod tests;
