//! The 20 ms clock of legs that need frames, and all other timers.

use std::cmp::Reverse;

use super::{Exchange, Leg, Timer};
use crate::dtmf::PressedDigit;
use crate::event::Sink;
use crate::ids::LegId;
use crate::time::Time;

const TICK_MS: u64 = 20;
/// A clock that is later than this (the machine slept) starts anew instead of catching up.
const MAX_CATCH_UP_MICROS: u64 = 200_000;

impl Exchange {
    /// Whether the leg needs a frame every 20 ms; starts or stops its clock.
    pub(super) fn update_clock(&mut self, leg: LegId, now: Time) {
        let Some(slot) = self.slots.get(&leg) else {
            return;
        };
        let partner = slot.partner.and_then(|id| self.slots.get(&id));
        let from_partner = partner.is_some_and(|partner| match &partner.leg {
            Leg::Stream(_) => true,
            Leg::Rtp(rtp) => rtp.receiver.is_buffering() || matches!(slot.leg, Leg::Stream(_)),
        });
        let digits = matches!(&slot.leg, Leg::Rtp(rtp) if rtp.sender.is_sending_digits());
        let clocked = slot.playback.is_some() || from_partner || digits;
        if let Some(slot) = self.slots.get_mut(&leg) {
            match (clocked, slot.tick) {
                (true, None) => slot.tick = Some(now),
                (false, Some(_)) => {
                    slot.tick = None;
                    if let Leg::Rtp(rtp) = &mut slot.leg {
                        rtp.sender.end_local();
                    }
                }
                (true, Some(_)) | (false, None) => {}
            }
        }
        self.update_timer(leg);
    }

    /// Have the leg's frames begin at `first`, when the first packet that it is to hear has waited long enough; frames
    /// that it hears already move there. Digits keep their beat.
    pub(super) fn start_clock(&mut self, leg: LegId, first: Time, now: Time) {
        if let Some(slot) = self.slots.get_mut(&leg) {
            let digits = matches!(&slot.leg, Leg::Rtp(rtp) if rtp.sender.is_sending_digits());
            if slot.tick.is_none() || !digits {
                slot.tick = Some(first);
            }
        }
        self.update_clock(leg, now);
    }

    /// Put the leg's next moment into the queue, unless it stands there for an earlier one.
    pub(super) fn update_timer(&mut self, leg: LegId) {
        let Some(slot) = self.slots.get_mut(&leg) else {
            return;
        };
        let own = match &slot.leg {
            Leg::Rtp(rtp) => rtp.next_timer(),
            Leg::Stream(_) => None,
        };
        let Some(due) = [own, slot.tick].into_iter().flatten().min() else {
            return;
        };
        if slot.scheduled.is_none_or(|scheduled| due < scheduled) {
            slot.scheduled = Some(due);
            self.timers.push(Reverse((due, Timer::Leg(leg))));
        }
    }

    /// When `handle_timer` is due.
    #[must_use]
    pub fn next_timer(&self) -> Option<Time> {
        self.timers.peek().map(|Reverse((due, _))| *due)
    }

    /// Do all that is due at `now`.
    pub fn handle_timer(&mut self, now: Time, sink: &mut dyn Sink) {
        while self.next_timer().is_some_and(|due| due <= now) {
            let Some(Reverse((due, timer))) = self.timers.pop() else {
                return;
            };
            match timer {
                Timer::Recording(handle) => {
                    if let Some(recording) = self.recordings.get_mut(&handle) {
                        if let Some(chunk) = recording.writer.poll_chunk(now) {
                            sink.chunk(handle, &chunk);
                        }
                        let next = recording
                            .writer
                            .next_timer()
                            .filter(|next| *next > now)
                            .unwrap_or_else(|| now.plus_millis(1_000));
                        self.timers.push(Reverse((next, Timer::Recording(handle))));
                    }
                }
                Timer::Leg(leg) => {
                    let Some(slot) = self.slots.get_mut(&leg) else {
                        continue;
                    };
                    // An entry that was overtaken by an earlier one.
                    if slot.scheduled != Some(due) {
                        continue;
                    }
                    slot.scheduled = None;
                    let unix_micros = self.unix_micros_at_zero.saturating_add(now.micros());
                    let mut ended = None;
                    if let Leg::Rtp(rtp) = &mut slot.leg {
                        ended = rtp.handle_timer(unix_micros, now, sink);
                    }
                    if let Some(tick) = slot.tick.filter(|tick| *tick <= now) {
                        let late = now.since(tick) > MAX_CATCH_UP_MICROS;
                        let tick = if late { now } else { tick };
                        slot.tick = Some(tick.plus_millis(TICK_MS));
                        self.tick(leg, tick, sink);
                        self.update_clock(leg, now);
                    }
                    if let Some(digit) = ended {
                        self.pass_ended_digit(leg, digit, now);
                    }
                    self.update_timer(leg);
                }
            }
        }
    }

    /// A digit without its end: a relayed one ends at the far side by itself.
    fn pass_ended_digit(&mut self, leg: LegId, digit: PressedDigit, now: Time) {
        let partner = self.slots.get(&leg).and_then(|slot| slot.partner);
        if let Some(partner) = partner.filter(|partner| !self.relays(leg, *partner)) {
            self.pass_digit(partner, digit, now);
        }
    }

    /// Pull 20 ms from what the leg hears and give it to the leg.
    fn tick(&mut self, leg: LegId, now: Time, sink: &mut dyn Sink) {
        let mut frame = core::mem::take(&mut self.frame);
        frame.clear();
        let rate = self.pull_for(leg, now, &mut frame, sink);
        if let Some(slot) = self.slots.get_mut(&leg) {
            match &mut slot.leg {
                Leg::Rtp(rtp) => rtp.send_frame(&frame, rate, now, sink),
                Leg::Stream(stream) => stream.hear(leg, &frame, rate, sink),
            }
        }
        self.frame = frame;
    }

    /// Fill `frame` with what `leg` is to hear; its rate.
    fn pull_for(
        &mut self,
        leg: LegId,
        now: Time,
        frame: &mut Vec<i16>,
        sink: &mut dyn Sink,
    ) -> u32 {
        let Some(slot) = self.slots.get_mut(&leg) else {
            return 8_000;
        };
        let partner = slot.partner;
        if let Some((_, playback)) = &mut slot.playback {
            let rate = match &slot.leg {
                Leg::Rtp(rtp) => rtp.sender.preferred_rate(playback.natural_rate()),
                Leg::Stream(stream) => stream.buffer.rate(),
            };
            let length = rate as usize / 50;
            frame.resize(length, 0);
            let count = playback.read(rate, frame);
            if count < length {
                if count == 0 {
                    frame.clear();
                }
                self.end_playback(leg, true, sink);
            }
            return rate;
        }
        let wanted = match &slot.leg {
            Leg::Rtp(rtp) => rtp.sender.preferred_rate(0),
            Leg::Stream(stream) => stream.buffer.rate(),
        };
        let hears_packets = matches!(slot.leg, Leg::Rtp(_));
        let Some(partner_id) = partner else {
            return wanted;
        };
        let Some(source) = self.slots.get_mut(&partner_id) else {
            return wanted;
        };
        match &mut source.leg {
            // Relayed packets pass by themselves; this clock runs for digits.
            Leg::Rtp(rtp) if hears_packets && !rtp.receiver.is_buffering() => wanted,
            Leg::Rtp(rtp) => {
                let rate = if wanted == 0 {
                    rtp.receiver.clock_rate()
                } else {
                    wanted
                };
                rtp.receiver.pull(now, rate, frame)
            }
            Leg::Stream(stream) => {
                let rate = stream.speak(partner_id, frame, sink);
                for (handle, side) in &source.recordings {
                    if let Some(recording) = self.recordings.get_mut(handle) {
                        stream.record(&mut recording.writer, *side, frame, now);
                        if let Some(chunk) = recording.writer.full_chunk() {
                            sink.chunk(*handle, &chunk);
                        }
                    }
                }
                stream.advance(frame.len());
                rate
            }
        }
    }
}
