//! The two queues of a stream leg: what Python plays into the bridge, and what it hears.
//!
//! Shared between the media thread and its owner, so that writing and clearing take effect at once.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Marks that may wait at once; a mark beyond that is refused.
const MAX_MARKS: usize = 1_024;

/// A stream leg's buffer, shared.
#[derive(Clone, Debug)]
pub struct StreamHandle(Arc<Mutex<StreamBuffer>>);

/// Why a stream cannot be opened or written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StreamError {
    /// Not one of 8000, 16000, 24000, 48000.
    Rate(u32),
    /// More marks wait than are kept.
    TooManyMarks,
}

impl core::fmt::Display for StreamError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Rate(rate) => {
                write!(
                    f,
                    "a stream runs at 8000, 16000, 24000 or 48000 Hz, not {rate}"
                )
            }
            Self::TooManyMarks => write!(f, "more than {MAX_MARKS} marks wait to be reached"),
        }
    }
}

impl std::error::Error for StreamError {}

/// Queues of 16-bit mono samples, each with a bound.
#[derive(Debug)]
pub struct StreamBuffer {
    rate: u32,
    limit: usize,
    playout: VecDeque<i16>,
    /// Samples ever taken from or cleared off `playout`: marks are placed on this count.
    played: u64,
    marks: VecDeque<(u64, String)>,
    reached: Vec<String>,
    heard: VecDeque<i16>,
    overrun: u64,
    readable: bool,
}

impl StreamHandle {
    /// # Errors
    /// `Rate` when the sample rate is not supported.
    pub fn new(rate: u32, max_buffer_ms: u32) -> Result<Self, StreamError> {
        if !matches!(rate, 8_000 | 16_000 | 24_000 | 48_000) {
            return Err(StreamError::Rate(rate));
        }
        // At least one frame each way, at most a minute.
        let limit = (rate as usize / 1_000) * (max_buffer_ms.clamp(20, 60_000) as usize);
        Ok(Self(Arc::new(Mutex::new(StreamBuffer {
            rate,
            limit,
            playout: VecDeque::new(),
            played: 0,
            marks: VecDeque::new(),
            reached: Vec::new(),
            heard: VecDeque::new(),
            overrun: 0,
            readable: false,
        }))))
    }

    /// A panic elsewhere cannot leave the queues inconsistent, so a poisoned lock is used as it is.
    pub(crate) fn lock(&self) -> MutexGuard<'_, StreamBuffer> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[must_use]
    pub fn rate(&self) -> u32 {
        self.lock().rate
    }

    /// Queue little-endian PCM; the octets accepted, always whole samples.
    #[must_use]
    pub fn write(&self, pcm: &[u8]) -> usize {
        let mut buffer = self.lock();
        let room = buffer.limit.saturating_sub(buffer.playout.len());
        let take = room.min(pcm.len() / 2);
        buffer.playout.extend(
            pcm[..take * 2]
                .chunks_exact(2)
                .map(|pair| i16::from_le_bytes([pair[0], pair[1]])),
        );
        take * 2
    }

    /// Up to `max_octets` of what was heard, oldest first.
    #[must_use]
    pub fn read(&self, max_octets: usize) -> Vec<u8> {
        let mut buffer = self.lock();
        let take = (max_octets / 2).min(buffer.heard.len());
        let mut out = Vec::with_capacity(take * 2);
        for sample in buffer.heard.drain(..take) {
            out.extend_from_slice(&sample.to_le_bytes());
        }
        if buffer.heard.is_empty() {
            buffer.readable = false;
        }
        out
    }

    /// Drop all that is queued and not yet played; its marks count as reached, in order.
    pub fn clear(&self) {
        let mut buffer = self.lock();
        buffer.played += buffer.playout.len() as u64;
        buffer.playout.clear();
        buffer.settle_marks();
    }

    /// Report `name` when everything written before has been played (at once when nothing waits).
    ///
    /// # Errors
    /// `TooManyMarks` when the owner sets marks without end.
    pub fn mark(&self, name: &str) -> Result<(), StreamError> {
        let mut buffer = self.lock();
        if buffer.marks.len() + buffer.reached.len() >= MAX_MARKS {
            return Err(StreamError::TooManyMarks);
        }
        let at = buffer.played + buffer.playout.len() as u64;
        buffer.marks.push_back((at, name.to_owned()));
        buffer.settle_marks();
        Ok(())
    }

    /// Milliseconds of audio that wait to be played.
    #[must_use]
    pub fn queued_ms(&self) -> u32 {
        let buffer = self.lock();
        (buffer.playout.len() as u64 * 1_000 / u64::from(buffer.rate)) as u32
    }
}

impl StreamBuffer {
    fn settle_marks(&mut self) {
        while self.marks.front().is_some_and(|(at, _)| *at <= self.played) {
            if let Some((_, name)) = self.marks.pop_front() {
                self.reached.push(name);
            }
        }
    }

    /// Fill `out` with the next samples; how many there were (the rest is left as it is).
    pub(crate) fn take(&mut self, out: &mut [i16]) -> usize {
        let count = out.len().min(self.playout.len());
        for (slot, sample) in out.iter_mut().zip(self.playout.drain(..count)) {
            *slot = sample;
        }
        self.played += count as u64;
        self.settle_marks();
        count
    }

    /// Marks reached since the last call.
    pub(crate) fn reached(&mut self) -> Vec<String> {
        core::mem::take(&mut self.reached)
    }

    /// Add what was heard; true when the reader should be told (once until it has read all).
    pub(crate) fn hear(&mut self, samples: &[i16]) -> bool {
        self.heard.extend(samples);
        if let Some(excess) = self.heard.len().checked_sub(self.limit) {
            self.heard.drain(..excess);
            self.overrun += 2 * excess as u64;
        }
        let tell = !self.readable && !self.heard.is_empty();
        self.readable |= tell;
        tell
    }

    pub(crate) fn overrun(&self) -> u64 {
        self.overrun
    }

    pub(crate) fn rate(&self) -> u32 {
        self.rate
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pcm(samples: impl IntoIterator<Item = i16>) -> Vec<u8> {
        samples.into_iter().flat_map(i16::to_le_bytes).collect()
    }

    #[test]
    fn write_is_bounded_and_says_what_it_took() {
        let stream = StreamHandle::new(8_000, 20).unwrap();
        assert_eq!(stream.write(&pcm(0..200)), 320);
        assert_eq!(stream.write(&pcm(0..1)), 0);
        assert_eq!(stream.queued_ms(), 20);
    }

    #[test]
    fn marks_are_reached_exactly_when_played() {
        let stream = StreamHandle::new(8_000, 100).unwrap();
        let _ = stream.write(&pcm(0..160));
        stream.mark("a").unwrap();
        let _ = stream.write(&pcm(0..160));
        stream.mark("b").unwrap();
        let mut out = [0; 159];
        assert_eq!(stream.lock().take(&mut out), 159);
        assert!(stream.lock().reached().is_empty());
        assert_eq!(stream.lock().take(&mut out[..1]), 1);
        assert_eq!(stream.lock().reached(), ["a"]);
        stream.clear();
        assert_eq!(stream.lock().reached(), ["b"]);
        stream.mark("c").unwrap();
        assert_eq!(stream.lock().reached(), ["c"]);
    }

    #[test]
    fn clear_drops_only_what_is_queued() {
        let stream = StreamHandle::new(8_000, 100).unwrap();
        let _ = stream.write(&pcm(0..100));
        stream.clear();
        let _ = stream.write(&pcm([7]));
        let mut out = [0; 4];
        assert_eq!(stream.lock().take(&mut out), 1);
        assert_eq!(out[0], 7);
    }

    #[test]
    fn oldest_heard_is_lost_first_and_counted() {
        let stream = StreamHandle::new(8_000, 20).unwrap();
        assert!(stream.lock().hear(&[1; 160]));
        assert!(!stream.lock().hear(&[2; 10]), "told once only");
        assert_eq!(stream.lock().overrun(), 20);
        let read = stream.read(10_000);
        assert_eq!(read.len(), 320);
        assert_eq!(read[0], 1);
        assert_eq!(read[319 - 1], 2);
        assert!(
            stream.lock().hear(&[3]),
            "told again after it was read empty"
        );
    }

    #[test]
    fn rates_and_marks_are_bounded() {
        assert_eq!(
            StreamHandle::new(44_100, 20).unwrap_err(),
            StreamError::Rate(44_100)
        );
        let stream = StreamHandle::new(8_000, 20).unwrap();
        let _ = stream.write(&pcm([1]));
        for _ in 0..MAX_MARKS {
            stream.mark("x").unwrap();
        }
        assert_eq!(stream.mark("x"), Err(StreamError::TooManyMarks));
    }
}
