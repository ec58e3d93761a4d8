//! Telephone events (RFC 4733): the payload, and reading digits from a stream of them.

use crate::time::Time;

/// An event without news for so long has ended, though its end packets were lost.
const END_AFTER_MICROS: u64 = 150_000;
/// Ended events that are remembered, to ignore their late packets.
const REMEMBERED: usize = 8;

/// The four octets of an event (RFC 4733 §2.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EventPayload {
    pub event: u8,
    pub end: bool,
    /// Power in dBm0 without its sign, 0 to 63.
    pub volume: u8,
    /// In timestamp units since the event's timestamp.
    pub duration: u16,
}

impl EventPayload {
    /// None when shorter than four octets. Redundant events behind the first are not read.
    #[must_use]
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let octets: [u8; 4] = payload.get(..4)?.try_into().ok()?;
        Some(Self {
            event: octets[0],
            end: octets[1] & 0x80 != 0,
            volume: octets[1] & 0x3f,
            duration: u16::from_be_bytes([octets[2], octets[3]]),
        })
    }

    #[must_use]
    pub fn to_bytes(self) -> [u8; 4] {
        let duration = self.duration.to_be_bytes();
        let end = if self.end { 0x80 } else { 0 };
        [
            self.event,
            end | (self.volume & 0x3f),
            duration[0],
            duration[1],
        ]
    }
}

/// The digit of an event code 0 to 15 (RFC 4733 §3.2).
#[must_use]
pub fn digit_of(event: u8) -> Option<char> {
    b"0123456789*#ABCD"
        .get(usize::from(event))
        .map(|&d| char::from(d))
}

/// The event code of a digit.
#[must_use]
pub fn event_of(digit: char) -> Option<u8> {
    let position = "0123456789*#ABCD".find(digit.to_ascii_uppercase())?;
    u8::try_from(position).ok()
}

/// A digit that was pressed and released.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PressedDigit {
    pub digit: char,
    pub duration_ms: u32,
}

/// The clocks of an event: they differ where telephone-event/8000 goes beside Opus at 48 kHz.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EventClocks {
    /// Of the duration field: what the negotiation says of telephone-event.
    pub event: u32,
    /// Of the RTP timestamps: the audio's.
    pub audio: u32,
}

impl EventClocks {
    /// A length on the event's clock, on the audio's.
    #[must_use]
    pub fn on_audio_clock(self, units: u32) -> u32 {
        (u64::from(units) * u64::from(self.audio) / u64::from(self.event.max(1))) as u32
    }
}

#[derive(Clone, Copy, Debug)]
struct Running {
    event: u8,
    timestamp: u32,
    duration: u16,
    /// Event clock units of the event's former segments (events longer than 65535 units, RFC 4733 §2.5.1.3).
    before: u64,
    heard: Time,
}

/// Turns event packets into digits: each once, whatever is lost, doubled or reordered.
#[derive(Clone, Debug, Default)]
pub struct DtmfReceiver {
    running: Option<Running>,
    ended: [Option<u32>; REMEMBERED],
    next_ended: usize,
}

impl DtmfReceiver {
    /// An event packet with its RTP timestamp. The digit that it completes: its own, or the one before it whose end
    /// was never seen.
    pub fn receive(
        &mut self,
        timestamp: u32,
        payload: &[u8],
        clocks: EventClocks,
        now: Time,
    ) -> Option<PressedDigit> {
        let packet = EventPayload::parse(payload)?;
        digit_of(packet.event)?;
        if self.ended.contains(&Some(timestamp)) {
            return None;
        }
        let mut completed = None;
        let continued = self
            .running
            .as_ref()
            .and_then(|running| continues(running, &packet, timestamp, clocks));
        match &mut self.running {
            Some(running) if running.timestamp == timestamp => {
                running.duration = running.duration.max(packet.duration);
                running.heard = now;
            }
            Some(running) if (timestamp.wrapping_sub(running.timestamp) as i32) < 0 => return None, // late
            Some(running) if continued.is_some() => {
                let former = running.timestamp;
                running.before = running.before.saturating_add(continued.unwrap_or(0));
                running.timestamp = timestamp;
                running.duration = packet.duration;
                running.heard = now;
                self.remember(former);
            }
            Some(_) | None => {
                completed = self.finish(clocks.event);
                self.running = Some(Running {
                    event: packet.event,
                    timestamp,
                    duration: packet.duration,
                    before: 0,
                    heard: now,
                });
            }
        }
        if packet.end {
            // Two digits can only be complete at once when the first lost all its end packets and the second is seen
            // first by its end; the first wins and the second is reported by its next packet or `poll`.
            if completed.is_none() {
                completed = self.finish(clocks.event);
            }
        }
        completed
    }

    /// The digit whose end packets were all lost, when its time has come.
    pub fn poll(&mut self, clock_rate: u32, now: Time) -> Option<PressedDigit> {
        let running = self.running?;
        (now.since(running.heard) >= END_AFTER_MICROS)
            .then(|| self.finish(clock_rate))
            .flatten()
    }

    /// When `poll` is due.
    #[must_use]
    pub fn next_timer(&self) -> Option<Time> {
        self.running
            .map(|running| running.heard.plus_micros(END_AFTER_MICROS))
    }

    fn finish(&mut self, clock_rate: u32) -> Option<PressedDigit> {
        let running = self.running.take()?;
        self.remember(running.timestamp);
        let units = running.before.saturating_add(u64::from(running.duration));
        let ms = units.saturating_mul(1_000) / u64::from(clock_rate.max(1));
        Some(PressedDigit {
            digit: digit_of(running.event)?,
            duration_ms: u32::try_from(ms).unwrap_or(u32::MAX),
        })
    }

    fn remember(&mut self, timestamp: u32) {
        self.ended[self.next_ended] = Some(timestamp);
        self.next_ended = (self.next_ended + 1) % REMEMBERED;
    }
}

/// The same key, still down: the new segment begins where the longest possible one ended. The event clock units since
/// the one before. Timestamps are the audio's, but some senders count them on the event's clock.
fn continues(
    running: &Running,
    packet: &EventPayload,
    timestamp: u32,
    clocks: EventClocks,
) -> Option<u64> {
    if packet.event != running.event || running.duration < 0xf000 {
        return None;
    }
    let gap = u64::from(timestamp.wrapping_sub(running.timestamp));
    let on_event_clock = gap * u64::from(clocks.event) / u64::from(clocks.audio.max(1));
    [on_event_clock, gap]
        .into_iter()
        .find(|units| (0xf000..=0x1_0000).contains(units))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CLOCKS: EventClocks = EventClocks {
        event: 8_000,
        audio: 8_000,
    };

    fn packet(digit: char, duration: u16, end: bool) -> [u8; 4] {
        EventPayload {
            event: event_of(digit).unwrap(),
            end,
            volume: 10,
            duration,
        }
        .to_bytes()
    }

    fn feed(receiver: &mut DtmfReceiver, packets: &[(u32, [u8; 4])]) -> Vec<PressedDigit> {
        packets
            .iter()
            .enumerate()
            .filter_map(|(i, (ts, payload))| {
                receiver.receive(*ts, payload, CLOCKS, Time::from_millis(20 * i as u64))
            })
            .collect()
    }

    #[test]
    fn codes_and_digits_agree() {
        for code in 0..16 {
            assert_eq!(event_of(digit_of(code).unwrap()), Some(code));
        }
        assert_eq!(event_of('a'), Some(12));
        assert_eq!(digit_of(16), None);
        assert_eq!(event_of('x'), None);
        let payload = EventPayload {
            event: 11,
            end: true,
            volume: 63,
            duration: 0xabcd,
        };
        assert_eq!(EventPayload::parse(&payload.to_bytes()), Some(payload));
    }

    #[test]
    fn three_end_packets_are_one_digit() {
        let mut receiver = DtmfReceiver::default();
        let digits = feed(
            &mut receiver,
            &[
                (1_000, packet('5', 160, false)),
                (1_000, packet('5', 320, false)),
                (1_000, packet('5', 800, true)),
                (1_000, packet('5', 800, true)),
                (1_000, packet('5', 800, true)),
                (1_000, packet('5', 320, false)), // late
            ],
        );
        assert_eq!(
            digits,
            [PressedDigit {
                digit: '5',
                duration_ms: 100
            }]
        );
        assert_eq!(receiver.next_timer(), None);
    }

    #[test]
    fn the_same_digit_twice_is_two() {
        let mut receiver = DtmfReceiver::default();
        let digits = feed(
            &mut receiver,
            &[
                (1_000, packet('1', 800, true)),
                (3_000, packet('1', 800, true)),
            ],
        );
        assert_eq!(digits.len(), 2);
    }

    #[test]
    fn lost_ends_are_noticed_by_the_next_digit_or_by_time() {
        let mut receiver = DtmfReceiver::default();
        let digits = feed(
            &mut receiver,
            &[
                (1_000, packet('1', 400, false)),
                (3_000, packet('2', 160, false)),
            ],
        );
        assert_eq!(
            digits,
            [PressedDigit {
                digit: '1',
                duration_ms: 50
            }]
        );
        assert_eq!(receiver.poll(8_000, Time::from_millis(169)), None);
        let due = receiver.next_timer().unwrap();
        assert_eq!(due, Time::from_millis(170));
        assert_eq!(receiver.poll(8_000, due).unwrap().digit, '2');
        assert_eq!(receiver.poll(8_000, due), None);
    }

    #[test]
    fn a_key_held_for_twenty_seconds_is_one_digit() {
        let mut receiver = DtmfReceiver::default();
        let mut digits = Vec::new();
        let (mut segment, mut within, mut now) = (0u32, 0u32, Time::ZERO);
        for _ in 0..1_000 {
            within += 160;
            if within > 0xffff {
                segment += 0xffff;
                within -= 0xffff;
            }
            now = now.plus_millis(20);
            digits.extend(receiver.receive(
                segment,
                &packet('#', within as u16, false),
                CLOCKS,
                now,
            ));
        }
        digits.extend(receiver.receive(segment, &packet('#', within as u16, true), CLOCKS, now));
        assert_eq!(
            digits,
            [PressedDigit {
                digit: '#',
                duration_ms: 20_000
            }]
        );
    }

    #[test]
    fn durations_are_on_the_event_clock_and_timestamps_on_the_audio_clock() {
        let clocks = EventClocks {
            event: 8_000,
            audio: 48_000,
        };
        let mut receiver = DtmfReceiver::default();
        let (mut segment, mut within, mut now) = (0u32, 0u32, Time::ZERO);
        let mut digits = Vec::new();
        for tick in 1..=500 {
            within += 160;
            if within > 0xffff {
                segment += 6 * 0xffff;
                within -= 0xffff;
            }
            now = now.plus_millis(20);
            let payload = packet('#', within as u16, tick == 500);
            digits.extend(receiver.receive(segment, &payload, clocks, now));
        }
        assert_eq!(
            digits,
            [PressedDigit {
                digit: '#',
                duration_ms: 10_000
            }]
        );
        assert_eq!(clocks.on_audio_clock(800), 4_800);
    }

    #[test]
    fn a_key_that_is_claimed_to_be_down_for_ever_does_not_overflow() {
        let mut receiver = DtmfReceiver::default();
        let mut digits = Vec::new();
        for segment in 0..70_000u32 {
            let timestamp = segment.wrapping_mul(0xffff);
            let payload = packet('1', 0xffff, segment == 69_999);
            digits.extend(receiver.receive(timestamp, &payload, CLOCKS, Time::ZERO));
        }
        assert_eq!(digits.len(), 1);
        assert!(digits[0].duration_ms > 500_000_000, "{digits:?}");
    }

    #[test]
    fn other_events_and_short_payloads_are_not_digits() {
        let mut receiver = DtmfReceiver::default();
        assert_eq!(
            receiver.receive(1, &[16, 0x80, 0, 1], CLOCKS, Time::ZERO),
            None
        );
        assert_eq!(receiver.receive(1, &[1, 0x80, 0], CLOCKS, Time::ZERO), None);
        assert_eq!(receiver.next_timer(), None);
    }

    proptest! {
        /// Whatever the order and the losses, as long as one packet of each digit arrives, each is reported at most once,
        /// and exactly once when nothing is reordered across digits.
        #[test]
        fn each_digit_once(keep in proptest::collection::vec(proptest::collection::vec(any::<bool>(), 8), 1..12)) {
            let mut receiver = DtmfReceiver::default();
            let mut now = Time::ZERO;
            let (mut expected, mut got) = (0, 0);
            for (index, kept) in keep.iter().enumerate() {
                expected += usize::from(kept.iter().any(|k| *k));
                for (step, kept) in kept.iter().enumerate() {
                    now = now.plus_millis(20);
                    let duration = (step.min(5) as u16 + 1) * 160;
                    if *kept {
                        let payload = packet('7', duration, step >= 5);
                        got += usize::from(receiver.receive(index as u32 * 4_000, &payload, CLOCKS, now).is_some());
                    }
                    got += usize::from(receiver.poll(8_000, now).is_some());
                }
                now = now.plus_millis(60);
                got += usize::from(receiver.poll(8_000, now).is_some());
            }
            now = now.plus_millis(200);
            got += usize::from(receiver.poll(8_000, now).is_some());
            prop_assert_eq!(got, expected);
        }
    }
}
