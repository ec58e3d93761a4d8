//! Sequence numbers and timestamps that wrap, made to count on.

/// Extends 16-bit sequence numbers to 64 bits (RFC 3550 §A.1).
#[derive(Clone, Copy, Debug, Default)]
pub struct SequenceUnwrapper {
    highest: Option<u64>,
}

/// Extends 32-bit timestamps to 64 bits.
#[derive(Clone, Copy, Debug, Default)]
pub struct TimestampUnwrapper {
    highest: Option<u64>,
}

/// Counting starts here, so that packets from before the first one stay above zero.
const SEQUENCE_ORIGIN: u64 = 1 << 16;
const TIMESTAMP_ORIGIN: u64 = 1 << 32;

impl SequenceUnwrapper {
    /// The number extended, next to the highest seen.
    pub fn unwrap(&mut self, sequence: u16) -> u64 {
        let extended = match self.highest {
            None => SEQUENCE_ORIGIN + u64::from(sequence),
            Some(highest) => {
                let step = sequence.wrapping_sub(highest as u16) as i16;
                highest.saturating_add_signed(i64::from(step))
            }
        };
        self.highest = Some(self.highest.map_or(extended, |h| h.max(extended)));
        extended
    }

    /// As `unwrap`, without taking note.
    #[must_use]
    pub fn peek(&self, sequence: u16) -> u64 {
        let mut copy = *self;
        copy.unwrap(sequence)
    }

    #[must_use]
    pub fn highest(&self) -> Option<u64> {
        self.highest
    }
}

impl TimestampUnwrapper {
    /// The timestamp extended, next to the highest seen.
    pub fn unwrap(&mut self, timestamp: u32) -> u64 {
        let extended = match self.highest {
            None => TIMESTAMP_ORIGIN + u64::from(timestamp),
            Some(highest) => {
                let step = timestamp.wrapping_sub(highest as u32) as i32;
                highest.saturating_add_signed(i64::from(step))
            }
        };
        self.highest = Some(self.highest.map_or(extended, |h| h.max(extended)));
        extended
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wraps_and_looks_back() {
        let mut unwrap = SequenceUnwrapper::default();
        let first = unwrap.unwrap(65_534);
        assert_eq!(unwrap.unwrap(65_535), first + 1);
        assert_eq!(unwrap.unwrap(1), first + 3);
        assert_eq!(unwrap.unwrap(0), first + 2);
        assert_eq!(unwrap.unwrap(65_533), first - 1);
        assert_eq!(unwrap.highest(), Some(first + 3));
    }

    #[test]
    fn before_the_first_stays_positive() {
        let mut unwrap = SequenceUnwrapper::default();
        let first = unwrap.unwrap(0);
        assert_eq!(unwrap.unwrap(65_535), first - 1);
        let mut stamps = TimestampUnwrapper::default();
        let first = stamps.unwrap(10);
        assert_eq!(stamps.unwrap(0u32.wrapping_sub(150)), first - 160);
        assert_eq!(stamps.unwrap(170), first + 160);
    }
}
