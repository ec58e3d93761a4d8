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
#[path = "dtmf_tests.rs"]
mod tests;
