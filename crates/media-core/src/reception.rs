//! What RFC 3550 counts about one received source: loss, duplicates, jitter.

use crate::ids::Ssrc;
use crate::rtcp::ReportBlock;
use crate::sequence::SequenceUnwrapper;
use crate::time::Time;

/// A jump in sequence numbers beyond this is a sender that started anew (RFC 3550 §A.1 takes 3000).
const MAX_JUMP: u64 = 3_000;
/// How far back duplicates are recognised.
const WINDOW: u64 = 128;

/// What a packet is to its source.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Arrival {
    /// The first of this source, or of its new numbering.
    First,
    InOrder,
    Reordered,
    Duplicate,
}

/// The reception state of one source.
#[derive(Clone, Debug)]
pub struct Reception {
    ssrc: Ssrc,
    unwrapper: SequenceUnwrapper,
    base: u64,
    received: u64,
    window: u128,
    transit: Option<i64>,
    /// Sixteen times the jitter in timestamp units (RFC 3550 §A.8).
    jitter: u64,
    expected_prior: u64,
    received_prior: u64,
    /// Middle 32 bits of the NTP time in the last sender report, and when it came.
    last_report: Option<(u32, Time)>,
    /// Lost by sources and numberings before this one.
    lost_before: u64,
    expected_before: u64,
}

impl Reception {
    #[must_use]
    pub fn new(ssrc: Ssrc) -> Self {
        Self {
            ssrc,
            unwrapper: SequenceUnwrapper::default(),
            base: 0,
            received: 0,
            window: 0,
            transit: None,
            jitter: 0,
            expected_prior: 0,
            received_prior: 0,
            last_report: None,
            lost_before: 0,
            expected_before: 0,
        }
    }

    #[must_use]
    pub fn ssrc(&self) -> Ssrc {
        self.ssrc
    }

    /// Go on with another source, keeping the totals.
    pub fn restart(&mut self, ssrc: Ssrc) {
        let fresh = Self {
            lost_before: self.lost(),
            expected_before: self.expected_before + self.expected(),
            ..Self::new(ssrc)
        };
        *self = fresh;
    }

    /// Note a packet. `timestamp` counts at `clock_rate`; None leaves the jitter alone (events repeat their timestamp).
    pub fn receive(
        &mut self,
        sequence: u16,
        timestamp: Option<u32>,
        clock_rate: u32,
        now: Time,
    ) -> Arrival {
        if let Some(highest) = self.unwrapper.highest() {
            let extended = self.unwrapper.peek(sequence);
            if extended.abs_diff(highest) > MAX_JUMP {
                self.restart(self.ssrc);
            }
        }
        let before = self.unwrapper.highest();
        let extended = self.unwrapper.unwrap(sequence);
        let arrival = match before {
            None => {
                self.base = extended;
                self.window = 1;
                Arrival::First
            }
            Some(highest) if extended > highest => {
                let step = extended - highest;
                self.window = if step >= WINDOW {
                    0
                } else {
                    self.window << step
                };
                self.window |= 1;
                Arrival::InOrder
            }
            Some(highest) => {
                let back = highest - extended;
                let bit = if back < WINDOW { 1u128 << back } else { 0 };
                if bit != 0 && self.window & bit != 0 {
                    return Arrival::Duplicate;
                }
                self.window |= bit;
                self.base = self.base.min(extended);
                Arrival::Reordered
            }
        };
        self.received += 1;
        if let Some(timestamp) = timestamp {
            self.note_jitter(timestamp, clock_rate, now);
        }
        arrival
    }

    fn note_jitter(&mut self, timestamp: u32, clock_rate: u32, now: Time) {
        let arrival = (u128::from(now.micros()) * u128::from(clock_rate) / 1_000_000) as u32;
        let transit = i64::from(arrival.wrapping_sub(timestamp));
        if let Some(last) = self.transit {
            // The difference is taken modulo 2³², as timestamps are.
            let difference = u64::from((transit.wrapping_sub(last) as i32).unsigned_abs());
            // A jump of more than a second is a new talk spurt's offset, not jitter.
            if difference < u64::from(clock_rate) {
                self.jitter = self.jitter + difference - ((self.jitter + 8) >> 4).min(self.jitter);
            }
        }
        self.transit = Some(transit);
    }

    /// A sender report came in: `ntp_middle` for the next report block.
    pub fn sender_report(&mut self, ntp_middle: u32, now: Time) {
        self.last_report = Some((ntp_middle, now));
    }

    fn expected(&self) -> u64 {
        self.unwrapper
            .highest()
            .map_or(0, |highest| highest - self.base + 1)
    }

    /// Packets expected so far, over all sources.
    #[must_use]
    pub fn expected_total(&self) -> u64 {
        self.expected_before + self.expected()
    }

    /// Packets lost so far, over all sources.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost_before + self.expected().saturating_sub(self.received)
    }

    #[must_use]
    pub fn jitter_ms(&self, clock_rate: u32) -> f64 {
        (self.jitter >> 4) as f64 * 1_000.0 / f64::from(clock_rate.max(1))
    }

    /// The block for our next report (RFC 3550 §6.4.1, §A.3).
    pub fn report(&mut self, now: Time) -> ReportBlock {
        let expected = self.expected();
        let expected_interval = expected.saturating_sub(self.expected_prior);
        let received_interval = self.received.saturating_sub(self.received_prior);
        self.expected_prior = expected;
        self.received_prior = self.received;
        let lost_interval = expected_interval.saturating_sub(received_interval);
        let fraction = (lost_interval << 8)
            .checked_div(expected_interval)
            .unwrap_or(0);
        let (last_sr, delay) = match self.last_report {
            Some((middle, at)) => (middle, (now.since(at) as u128 * 65_536 / 1_000_000) as u32),
            None => (0, 0),
        };
        ReportBlock {
            ssrc: self.ssrc,
            fraction_lost: fraction.min(255) as u8,
            cumulative_lost: expected.saturating_sub(self.received).min(0x7f_ffff) as i32,
            // Our extended numbers start one cycle up.
            highest_sequence: self
                .unwrapper
                .highest()
                .map_or(0, |highest| highest.saturating_sub(1 << 16))
                as u32,
            jitter: (self.jitter >> 4) as u32,
            last_sr,
            delay_since_last_sr: delay,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn receive(reception: &mut Reception, sequence: u16) -> Arrival {
        reception.receive(sequence, None, 8_000, Time::ZERO)
    }

    #[test]
    fn counts_loss_duplicates_and_reordering_over_the_wrap() {
        let mut reception = Reception::new(Ssrc(1));
        assert_eq!(receive(&mut reception, 65_534), Arrival::First);
        assert_eq!(receive(&mut reception, 65_535), Arrival::InOrder);
        assert_eq!(receive(&mut reception, 2), Arrival::InOrder);
        assert_eq!(reception.lost(), 2);
        assert_eq!(receive(&mut reception, 0), Arrival::Reordered);
        assert_eq!(receive(&mut reception, 0), Arrival::Duplicate);
        assert_eq!(reception.lost(), 1);
        assert_eq!(reception.expected_total(), 5);
        let report = reception.report(Time::ZERO);
        assert_eq!(report.highest_sequence, 0x1_0002);
        assert_eq!(report.cumulative_lost, 1);
        assert_eq!(report.fraction_lost, 51); // 1/5 of 256
        assert_eq!(reception.report(Time::ZERO).fraction_lost, 0);
    }

    #[test]
    fn jitter_follows_the_rfc() {
        let mut reception = Reception::new(Ssrc(1));
        for n in 0..500u32 {
            // Every other packet 10 ms late: |D| is 80 units each time, so J settles near 80.
            let at = Time::from_millis(u64::from(n) * 20 + if n % 2 == 1 { 10 } else { 0 });
            reception.receive(
                n as u16,
                Some(n.wrapping_mul(160).wrapping_sub(1_000)),
                8_000,
                at,
            );
        }
        assert!(
            (reception.jitter_ms(8_000) - 10.0).abs() < 0.7,
            "{}",
            reception.jitter_ms(8_000)
        );
    }

    #[test]
    fn a_new_source_keeps_the_totals() {
        let mut reception = Reception::new(Ssrc(1));
        receive(&mut reception, 10);
        receive(&mut reception, 12);
        reception.restart(Ssrc(2));
        receive(&mut reception, 40_000);
        assert_eq!((reception.lost(), reception.expected_total()), (1, 4));
        // A jump in the same source is a restart as well, not ten thousand lost packets.
        assert_eq!(receive(&mut reception, 50_000), Arrival::First);
        assert_eq!((reception.lost(), reception.expected_total()), (1, 5));
    }

    #[test]
    fn the_delay_since_the_last_report_is_in_its_units() {
        let mut reception = Reception::new(Ssrc(1));
        reception.sender_report(0xabcd_0123, Time::from_millis(1_000));
        let block = reception.report(Time::from_millis(3_500));
        assert_eq!(
            (block.last_sr, block.delay_since_last_sr),
            (0xabcd_0123, 2 * 65_536 + 32_768)
        );
    }

    proptest! {
        #[test]
        fn any_numbers_stay_consistent(sequences in proptest::collection::vec(any::<u16>(), 0..300)) {
            let mut reception = Reception::new(Ssrc(1));
            for sequence in sequences {
                reception.receive(sequence, Some(u32::from(sequence) << 13), 8_000, Time::from_millis(3));
                prop_assert!(reception.lost() <= reception.expected_total());
            }
        }
    }
}
