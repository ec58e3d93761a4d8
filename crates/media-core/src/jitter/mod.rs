//! From packets that come when they come to audio that is needed every 20 ms.

mod steady;

pub use steady::SteadyBuffer;

use crate::ids::PayloadType;
use crate::time::Time;

/// A packet of one source on its way in.
#[derive(Clone, Copy, Debug)]
pub struct Arrived<'a> {
    pub sequence: u16,
    pub timestamp: u32,
    /// Audio in the payload, in timestamp units; at least 1.
    pub duration: u32,
    /// First packet of a talk spurt.
    pub marker: bool,
    pub payload_type: PayloadType,
    pub payload: &'a [u8],
}

/// What to play next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pop<'a> {
    Packet {
        payload_type: PayloadType,
        payload: &'a [u8],
    },
    /// Audio is missing; `next` is the packet right behind it, for codecs with in-band FEC.
    Conceal { ms: u32, next: Option<&'a [u8]> },
    /// The sender was silent, or nothing has come yet.
    Silence { ms: u32 },
}

/// Counters since the buffer was made; they survive `reset`.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct JitterStatistics {
    /// How long packets wait to be played, smoothed.
    pub delay_ms: f64,
    /// Came after their place had been played.
    pub late: u64,
    /// Dropped since too many waited, or to shorten the delay.
    pub discarded: u64,
    /// Concealed packets that never came, or came late.
    pub lost: u64,
    pub duplicates: u64,
    pub concealed_ms: u64,
}

/// One source's buffer. The caller resets it when the source or its clock rate changes.
pub trait JitterBuffer: Send {
    fn push(&mut self, packet: &Arrived<'_>, now: Time);

    /// The packet of this number came, but holds no audio (a telephone event): it is not missing.
    fn skip(&mut self, sequence: u16);

    /// The next piece; the caller asks again until it has the 20 ms that it needs. `quiet`: what was played last is so
    /// soft that a piece may be left out or added without being heard.
    fn pop(&mut self, now: Time, quiet: bool) -> Pop<'_>;

    /// Forget all packets; the next one starts anew. Counters stay.
    fn reset(&mut self, clock_rate: u32);

    /// How long the first packet after a `reset` will wait: the clock that pops had better start so much after it.
    fn first_wait_micros(&self) -> u64;

    fn statistics(&self) -> JitterStatistics;
}
