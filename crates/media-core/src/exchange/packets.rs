//! Packets in, and on to the partner.

use std::net::SocketAddr;

use super::recording::record;
use super::{Exchange, Leg};
use crate::dtmf::PressedDigit;
use crate::event::{Channel, Sink};
use crate::ids::LegId;
use crate::rtp_leg::{Incoming, IncomingKind};
use crate::time::Time;

/// Bounds of a digit that is sent anew, and the pause behind it.
const MIN_DIGIT_MS: u32 = 40;
const MAX_DIGIT_MS: u32 = 6_000;
const DIGIT_GAP_MS: u32 = 60;

impl Exchange {
    /// One datagram from a leg's socket; `packet` is rewritten in place.
    pub fn receive(
        &mut self,
        leg: LegId,
        channel: Channel,
        packet: &mut [u8],
        from: SocketAddr,
        now: Time,
        sink: &mut dyn Sink,
    ) {
        let unix_micros = self.unix_micros(now);
        let Some(slot) = self.slots.get_mut(&leg) else {
            return;
        };
        let Leg::Rtp(rtp) = &mut slot.leg else { return };
        let Some(incoming) = rtp.receive(channel, packet, from, unix_micros, now, sink) else {
            return;
        };
        if matches!(incoming.kind, IncomingKind::Audio(_)) {
            for (handle, side) in &slot.recordings {
                if let Some(recording) = self.recordings.get_mut(handle) {
                    record(&mut recording.writer, *side, &incoming, packet, now);
                    if let Some(chunk) = recording.writer.full_chunk() {
                        sink.chunk(*handle, &chunk);
                    }
                }
            }
        }
        let Some(partner) = slot.partner else {
            self.update_timer(leg);
            return;
        };
        self.pass_on(leg, partner, &incoming, packet, now, sink);
        self.update_timer(leg);
    }

    fn pass_on(
        &mut self,
        leg: LegId,
        partner: LegId,
        incoming: &Incoming,
        packet: &mut [u8],
        now: Time,
        sink: &mut dyn Sink,
    ) {
        let Some(target) = self.slots.get_mut(&partner) else {
            return;
        };
        if target.playback.is_some() {
            return;
        }
        if let Leg::Rtp(rtp) = &mut target.leg {
            if !rtp.may_send() {
                return;
            }
            match &incoming.kind {
                IncomingKind::Event(digit) => {
                    let digit = *digit;
                    if self.relays(leg, partner) {
                        self.forward(leg, partner, incoming, packet, now, sink);
                    } else if let Some(digit) = digit {
                        self.pass_digit(partner, digit, now);
                    }
                    return;
                }
                IncomingKind::Audio(codec)
                    if rtp.sender.codec().is_some_and(|own| own.same_format(codec)) =>
                {
                    self.forward(leg, partner, incoming, packet, now, sink);
                    self.stop_decoding(leg, partner, now);
                    return;
                }
                IncomingKind::Audio(_) => rtp.note_transcoded(),
            }
        }
        let IncomingKind::Audio(codec) = &incoming.kind else {
            return;
        };
        let Some(Leg::Rtp(rtp)) = self.slots.get_mut(&leg).map(|slot| &mut slot.leg) else {
            return;
        };
        let started = !rtp.receiver.is_buffering();
        rtp.receiver.buffer(
            &incoming.header,
            codec,
            &packet[incoming.payload.clone()],
            now,
        );
        if started {
            rtp.note_transcoded();
            let first = now.plus_micros(rtp.receiver.jitter().first_wait_micros());
            self.start_clock(partner, first, now);
        }
    }

    fn forward(
        &mut self,
        leg: LegId,
        partner: LegId,
        incoming: &Incoming,
        packet: &mut [u8],
        now: Time,
        sink: &mut dyn Sink,
    ) {
        if let Some(Leg::Rtp(rtp)) = self.slots.get_mut(&partner).map(|slot| &mut slot.leg) {
            // Digits of our own have the line until they are sent.
            if !rtp.sender.is_sending_digits() {
                rtp.forward(leg, incoming, packet, now, sink);
            }
        }
    }

    /// Events can pass as they are: the audio beside them does, and both streams count on the same clocks.
    pub(super) fn relays(&self, leg: LegId, partner: LegId) -> bool {
        let (Some(Leg::Rtp(from)), Some(Leg::Rtp(to))) = (
            self.slots.get(&leg).map(|slot| &slot.leg),
            self.slots.get(&partner).map(|slot| &slot.leg),
        ) else {
            return false;
        };
        !from.receiver.is_buffering()
            && to.sender.codec().is_some()
            && to.sender.event_clocks() == from.receiver.event_clocks()
    }

    /// Beside transcoded audio, or on another clock, a digit is sent anew, once it is complete.
    pub(super) fn pass_digit(&mut self, partner: LegId, digit: PressedDigit, now: Time) {
        if let Some(Leg::Rtp(rtp)) = self.slots.get_mut(&partner).map(|slot| &mut slot.leg) {
            if rtp.sender.event_type().is_some() {
                let duration = digit.duration_ms.clamp(MIN_DIGIT_MS, MAX_DIGIT_MS);
                // More digits than a person can press are dropped here, as the queue is bounded.
                let _full = rtp.sender.digits().push(
                    digit.digit.encode_utf8(&mut [0; 4]),
                    duration,
                    DIGIT_GAP_MS,
                );
            }
        }
        self.update_clock(partner, now);
    }

    fn stop_decoding(&mut self, leg: LegId, partner: LegId, now: Time) {
        if let Some(Leg::Rtp(rtp)) = self.slots.get_mut(&leg).map(|slot| &mut slot.leg) {
            if rtp.receiver.is_buffering() {
                rtp.receiver.stop_buffering();
                self.update_clock(partner, now);
            }
        }
    }
}
