//! Sending digits as telephone events (RFC 4733 §2.5): one packet per tick, three for the end.

use std::collections::VecDeque;

use crate::dtmf::{event_of, EventPayload};

/// Digits that may wait at once.
pub const MAX_DIGITS: usize = 128;
/// −10 dBm0, what telephones send.
const VOLUME: u8 = 10;
/// RFC 4733 §2.5.1.4.
const END_PACKETS: u32 = 3;

/// Why digits cannot be sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DigitsError {
    NotADigit(char),
    TooMany,
    /// Digits last 40 to 6000 ms.
    Duration(u32),
}

impl core::fmt::Display for DigitsError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::NotADigit(c) => write!(f, "{c:?} is none of 0-9 * # A-D"),
            Self::TooMany => write!(f, "more than {MAX_DIGITS} digits wait to be sent"),
            Self::Duration(ms) => write!(f, "a digit lasts 40 to 6000 ms, not {ms}"),
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Queued {
    event: u8,
    duration_ms: u32,
    gap_ms: u32,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Idle,
    Sending { digit: Queued, elapsed_ms: u32 },
    Ending { digit: Queued, left: u32 },
    Gap { left_ms: u32 },
}

/// A packet to send now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EventPacket {
    pub payload: EventPayload,
    /// First packet of the event: set the marker, take a new timestamp. All others of its segment repeat it.
    pub first: bool,
    /// Where the segment begins after the event, in event clock units: an event longer than the duration field can
    /// say goes on in a new segment with a timestamp of its own (RFC 4733 §2.5.1.3).
    pub segment: u32,
}

/// What a tick asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tick {
    /// Nothing to do with digits; audio may be sent.
    Idle,
    Send(EventPacket),
    /// Between two digits: neither.
    Pause,
}

/// The schedule of a leg's digits.
#[derive(Clone, Debug)]
pub struct DtmfSender {
    queue: VecDeque<Queued>,
    state: State,
}

impl Default for DtmfSender {
    fn default() -> Self {
        Self {
            queue: VecDeque::new(),
            state: State::Idle,
        }
    }
}

impl DtmfSender {
    /// Queue `digits`; all or none.
    ///
    /// # Errors
    /// As `DigitsError` says.
    pub fn push(&mut self, digits: &str, duration_ms: u32, gap_ms: u32) -> Result<(), DigitsError> {
        if !(40..=6_000).contains(&duration_ms) {
            return Err(DigitsError::Duration(duration_ms));
        }
        let mut events = Vec::new();
        for digit in digits.chars() {
            let event = event_of(digit).ok_or(DigitsError::NotADigit(digit))?;
            events.push(Queued {
                event,
                duration_ms,
                gap_ms: gap_ms.min(5_000),
            });
        }
        if self.queue.len() + events.len() > MAX_DIGITS {
            return Err(DigitsError::TooMany);
        }
        self.queue.extend(events);
        Ok(())
    }

    #[must_use]
    pub fn is_busy(&self) -> bool {
        !self.queue.is_empty() || !matches!(self.state, State::Idle)
    }

    pub fn clear(&mut self) {
        self.queue.clear();
        self.state = State::Idle;
    }

    /// Advance by `tick_ms`, in units of a clock of `clock_rate`.
    pub fn tick(&mut self, tick_ms: u32, clock_rate: u32) -> Tick {
        if let State::Gap { left_ms } = &mut self.state {
            if *left_ms > 0 {
                *left_ms = left_ms.saturating_sub(tick_ms);
                return Tick::Pause;
            }
            self.state = State::Idle;
        }
        match self.state {
            State::Idle => {
                let Some(digit) = self.queue.pop_front() else {
                    return Tick::Idle;
                };
                self.state = State::Sending {
                    digit,
                    elapsed_ms: tick_ms,
                };
                packet(digit, tick_ms, false, true, clock_rate)
            }
            State::Sending { digit, elapsed_ms } => {
                let elapsed = elapsed_ms + tick_ms;
                if elapsed < digit.duration_ms {
                    self.state = State::Sending {
                        digit,
                        elapsed_ms: elapsed,
                    };
                    packet(digit, elapsed, false, false, clock_rate)
                } else {
                    self.state = State::Ending {
                        digit,
                        left: END_PACKETS - 1,
                    };
                    packet(digit, digit.duration_ms, true, false, clock_rate)
                }
            }
            State::Ending { digit, left } => {
                self.state = if left > 1 {
                    State::Ending {
                        digit,
                        left: left - 1,
                    }
                } else {
                    // The repeated end packets already took two ticks of the gap.
                    let spent = tick_ms * (END_PACKETS - 1);
                    State::Gap {
                        left_ms: digit.gap_ms.saturating_sub(spent),
                    }
                };
                packet(digit, digit.duration_ms, true, false, clock_rate)
            }
            State::Gap { .. } => Tick::Pause,
        }
    }
}

fn packet(digit: Queued, elapsed_ms: u32, end: bool, first: bool, clock_rate: u32) -> Tick {
    const LONGEST: u64 = u16::MAX as u64;
    let units = u64::from(elapsed_ms) * u64::from(clock_rate) / 1_000;
    let segment = units.saturating_sub(1) / LONGEST * LONGEST;
    Tick::Send(EventPacket {
        payload: EventPayload {
            event: digit.event,
            end,
            volume: VOLUME,
            duration: u16::try_from(units - segment).unwrap_or(u16::MAX),
        },
        first,
        segment: u32::try_from(segment).unwrap_or(u32::MAX),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(sender: &mut DtmfSender, ticks: usize) -> Vec<Tick> {
        (0..ticks).map(|_| sender.tick(20, 8_000)).collect()
    }

    #[test]
    fn a_digit_has_one_start_and_three_ends() {
        let mut sender = DtmfSender::default();
        sender.push("5", 100, 60).unwrap();
        let ticks = run(&mut sender, 9);
        let packets: Vec<EventPacket> = ticks
            .iter()
            .filter_map(|tick| match tick {
                Tick::Send(packet) => Some(*packet),
                _ => None,
            })
            .collect();
        assert_eq!(
            packets
                .iter()
                .map(|p| p.payload.duration)
                .collect::<Vec<_>>(),
            [160, 320, 480, 640, 800, 800, 800]
        );
        assert_eq!(packets.iter().filter(|p| p.first).count(), 1);
        assert!(packets[0].first);
        assert_eq!(packets.iter().filter(|p| p.payload.end).count(), 3);
        assert_eq!(ticks[8], Tick::Idle);
        assert!(!sender.is_busy());
    }

    #[test]
    fn a_long_digit_on_a_fast_clock_is_sent_in_segments() {
        let mut sender = DtmfSender::default();
        sender.push("5", 3_000, 60).unwrap();
        let mut last: Option<EventPacket> = None;
        for _ in 0..155 {
            let Tick::Send(packet) = sender.tick(20, 48_000) else {
                continue;
            };
            let so_far = |p: &EventPacket| p.segment + u32::from(p.payload.duration);
            if let Some(last) = last {
                assert!(so_far(&packet) - so_far(&last) <= 960);
            }
            assert_eq!(packet.segment % 65_535, 0);
            last = Some(packet);
        }
        let last = last.unwrap();
        assert!(last.payload.end);
        assert_eq!(
            (last.segment, u32::from(last.payload.duration)),
            (131_070, 144_000 - 131_070)
        );
    }

    #[test]
    fn digits_are_apart_by_the_gap() {
        let mut sender = DtmfSender::default();
        sender.push("1*", 40, 100).unwrap();
        let ticks = run(&mut sender, 30);
        let firsts: Vec<usize> = ticks
            .iter()
            .enumerate()
            .filter_map(|(i, t)| matches!(t, Tick::Send(p) if p.first).then_some(i))
            .collect();
        // 40 ms of digit and 100 ms of gap, in ticks of 20 ms.
        assert_eq!(firsts, [0, 7]);
    }

    #[test]
    fn what_cannot_be_sent_changes_nothing() {
        let mut sender = DtmfSender::default();
        assert_eq!(
            sender.push("12x", 100, 60),
            Err(DigitsError::NotADigit('x'))
        );
        assert_eq!(sender.push("1", 10, 60), Err(DigitsError::Duration(10)));
        assert_eq!(
            sender.push(&"1".repeat(MAX_DIGITS + 1), 100, 60),
            Err(DigitsError::TooMany)
        );
        assert!(!sender.is_busy());
    }
}
