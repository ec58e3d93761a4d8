//! All the legs that one media thread owns, and what joins them.
//!
//! A leg hears one *source*: its playback while one runs, else its bridge partner. Audio reaches it in one of two ways:
//!
//! - **relay**: a packet of the partner whose codec is ours passes at once, undecoded, with our numbers on it;
//! - **clocked**: every 20 ms a frame is pulled from the source (playback, stream, decoded partner) and sent.
//!
//! A conference will be a third kind of source here: its clock pulls every member once, mixes, and pushes to each.

mod clock;
mod error;
mod moving;
mod packets;
mod recording;
mod stream_leg;

pub use error::ExchangeError;
pub use moving::Parked;
pub use recording::RecordingSetup;

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::event::{Event, Sink};
use crate::ids::{IdMap, LegId, PlaybackId, RecordingHandle, Ssrc};
use crate::playback::Playback;
use crate::random::Random;
use crate::rtp_leg::RtpLeg;
use crate::settings::{CodecSettings, RtpSettings};
use crate::spool::Side;
use crate::stats::LegStatistics;
use crate::stream_buffer::StreamHandle;
use crate::time::Time;
use recording::Recording;
use stream_leg::StreamLeg;

/// What the shell knows and the core cannot.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// From the operating system's random source: SSRCs, first sequence numbers, RTCP intervals.
    pub seed: u64,
    /// The wall clock at `Time::ZERO`, for the NTP time in sender reports.
    pub unix_micros_at_zero: u64,
}

enum Leg {
    Rtp(Box<RtpLeg>),
    Stream(StreamLeg),
}

struct Slot {
    leg: Leg,
    partner: Option<LegId>,
    playback: Option<(PlaybackId, Playback)>,
    recordings: Vec<(RecordingHandle, Side)>,
    /// The next 20 ms tick, while the leg is clocked.
    tick: Option<Time>,
    /// Where the leg stands in the timer queue.
    scheduled: Option<Time>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    Leg(LegId),
    Recording(RecordingHandle),
}

/// See the module.
pub struct Exchange {
    slots: IdMap<LegId, Slot>,
    recordings: IdMap<RecordingHandle, Recording>,
    timers: BinaryHeap<Reverse<(Time, Timer)>>,
    random: Random,
    unix_micros_at_zero: u64,
    frame: Vec<i16>,
}

impl Exchange {
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self {
            slots: IdMap::default(),
            recordings: IdMap::default(),
            timers: BinaryHeap::new(),
            random: Random::new(config.seed),
            unix_micros_at_zero: config.unix_micros_at_zero,
            frame: Vec::new(),
        }
    }

    /// Legs that are open.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    #[must_use]
    pub fn recordings(&self) -> usize {
        self.recordings.len()
    }

    /// # Errors
    /// `LegExists`.
    pub fn open_rtp(&mut self, leg: LegId, now: Time) -> Result<(), ExchangeError> {
        let rtp = RtpLeg::new(leg, &mut self.random, now);
        self.open(leg, Leg::Rtp(Box::new(rtp)))
    }

    /// # Errors
    /// `LegExists`.
    pub fn open_stream(
        &mut self,
        leg: LegId,
        stream: StreamHandle,
        _now: Time,
    ) -> Result<(), ExchangeError> {
        let ssrc = Ssrc(self.random.next_u32());
        self.open(leg, Leg::Stream(StreamLeg::new(stream, ssrc)))
    }

    fn open(&mut self, id: LegId, leg: Leg) -> Result<(), ExchangeError> {
        if self.slots.contains_key(&id) {
            return Err(ExchangeError::LegExists(id));
        }
        self.slots.insert(
            id,
            Slot {
                leg,
                partner: None,
                playback: None,
                recordings: Vec::new(),
                tick: None,
                scheduled: None,
            },
        );
        Ok(())
    }

    fn slot(&mut self, leg: LegId) -> Result<&mut Slot, ExchangeError> {
        self.slots
            .get_mut(&leg)
            .ok_or(ExchangeError::NoSuchLeg(leg))
    }

    fn rtp(&mut self, leg: LegId) -> Result<&mut RtpLeg, ExchangeError> {
        match &mut self.slot(leg)?.leg {
            Leg::Rtp(rtp) => Ok(rtp),
            Leg::Stream(_) => Err(ExchangeError::NotRtp(leg)),
        }
    }

    fn unix_micros(&self, now: Time) -> u64 {
        self.unix_micros_at_zero.saturating_add(now.micros())
    }

    /// Apply a negotiation.
    ///
    /// # Errors
    /// `BadSettings` with the remedy; the leg goes on as it was.
    pub fn configure(
        &mut self,
        leg: LegId,
        settings: RtpSettings,
        now: Time,
        sink: &mut dyn Sink,
    ) -> Result<(), ExchangeError> {
        check(&settings).map_err(ExchangeError::BadSettings)?;
        self.rtp(leg)?
            .configure(settings, now, sink)
            .map_err(|error| ExchangeError::BadSettings(error.to_string()))?;
        let recordings = self.slot(leg)?.recordings.clone();
        for (handle, side) in recordings {
            self.record_codecs(handle, side, leg, now);
        }
        self.update_clock(leg, now);
        Ok(())
    }

    /// Both hear each other; `a == b` is an echo. Legs leave the bridge that they were in.
    ///
    /// # Errors
    /// `NoSuchLeg`; nothing has changed then.
    pub fn bridge(&mut self, a: LegId, b: LegId, now: Time) -> Result<(), ExchangeError> {
        self.slot(a)?;
        self.slot(b)?;
        self.part(a, now);
        self.part(b, now);
        self.slot(a)?.partner = Some(b);
        self.slot(b)?.partner = Some(a);
        self.update_clock(a, now);
        self.update_clock(b, now);
        Ok(())
    }

    /// # Errors
    /// `NoSuchLeg`.
    pub fn unbridge(&mut self, leg: LegId, now: Time) -> Result<(), ExchangeError> {
        self.slot(leg)?;
        self.part(leg, now);
        Ok(())
    }

    fn part(&mut self, leg: LegId, now: Time) {
        let partner = self
            .slots
            .get_mut(&leg)
            .and_then(|slot| slot.partner.take());
        let Some(partner) = partner else { return };
        if let Some(slot) = self.slots.get_mut(&partner) {
            slot.partner = None;
        }
        for id in [leg, partner] {
            if let Some(Leg::Rtp(rtp)) = self.slots.get_mut(&id).map(|slot| &mut slot.leg) {
                rtp.receiver.stop_buffering();
            }
            self.update_clock(id, now);
        }
    }

    /// Play to a leg instead of its bridge. A playback that runs ends, not completed.
    ///
    /// # Errors
    /// `NoSuchLeg`.
    pub fn play(
        &mut self,
        leg: LegId,
        id: PlaybackId,
        playback: Playback,
        now: Time,
        sink: &mut dyn Sink,
    ) -> Result<(), ExchangeError> {
        self.slot(leg)?;
        self.end_playback(leg, false, sink);
        self.slot(leg)?.playback = Some((id, playback));
        // What the partner says meanwhile is not heard later.
        self.stop_hearing_partner(leg);
        self.update_clock(leg, now);
        Ok(())
    }

    /// # Errors
    /// `NoSuchLeg`.
    pub fn stop_playback(
        &mut self,
        leg: LegId,
        now: Time,
        sink: &mut dyn Sink,
    ) -> Result<(), ExchangeError> {
        self.slot(leg)?;
        self.end_playback(leg, false, sink);
        self.update_clock(leg, now);
        Ok(())
    }

    fn stop_hearing_partner(&mut self, leg: LegId) {
        let partner = self.slots.get(&leg).and_then(|slot| slot.partner);
        if let Some(Leg::Rtp(rtp)) = partner
            .and_then(|id| self.slots.get_mut(&id))
            .map(|slot| &mut slot.leg)
        {
            rtp.receiver.stop_buffering();
        }
    }

    fn end_playback(&mut self, leg: LegId, completed: bool, sink: &mut dyn Sink) {
        if let Some((playback, _)) = self
            .slots
            .get_mut(&leg)
            .and_then(|slot| slot.playback.take())
        {
            sink.event(Event::PlaybackEnded {
                leg,
                playback,
                completed,
            });
        }
    }

    /// Call after `clear` or `mark` on a stream's buffer: marks that count as reached by that are reported at once,
    /// also while no bridge plays the stream.
    pub fn stream_touched(&mut self, leg: LegId, sink: &mut dyn Sink) {
        if let Some(Leg::Stream(stream)) = self.slots.get(&leg).map(|slot| &slot.leg) {
            let reached = stream.buffer.lock().reached();
            for name in reached {
                sink.event(Event::MarkReached { leg, name });
            }
        }
    }

    /// # Errors
    /// `BadSettings` when telephone-event was not negotiated or the digits cannot be sent; none is sent then.
    pub fn send_digits(
        &mut self,
        leg: LegId,
        digits: &str,
        duration_ms: u32,
        gap_ms: u32,
        now: Time,
    ) -> Result<(), ExchangeError> {
        let rtp = self.rtp(leg)?;
        if rtp.sender.event_type().is_none() {
            let text =
                "telephone-event was not negotiated with this peer; send the digits as SIP INFO";
            return Err(ExchangeError::BadSettings(text.to_owned()));
        }
        rtp.sender
            .digits()
            .push(digits, duration_ms, gap_ms)
            .map_err(|error| ExchangeError::BadSettings(error.to_string()))?;
        self.update_clock(leg, now);
        Ok(())
    }

    /// None when there is no such leg.
    #[must_use]
    pub fn statistics(&self, leg: LegId, _now: Time) -> Option<LegStatistics> {
        Some(match &self.slots.get(&leg)?.leg {
            Leg::Rtp(rtp) => rtp.statistics(),
            Leg::Stream(stream) => LegStatistics {
                stream_overrun_bytes: stream.buffer.lock().overrun(),
                ..LegStatistics::default()
            },
        })
    }

    /// Take the leg out of its bridge, end its playback, say goodbye. Its recordings go on with the other side.
    pub fn close(&mut self, leg: LegId, now: Time, sink: &mut dyn Sink) -> Option<LegStatistics> {
        let statistics = self.statistics(leg, now)?;
        self.part(leg, now);
        self.end_playback(leg, false, sink);
        let unix_micros = self.unix_micros(now);
        if let Some(Slot {
            leg: Leg::Rtp(mut rtp),
            ..
        }) = self.slots.remove(&leg)
        {
            rtp.close(unix_micros, now, sink);
        }
        Some(statistics)
    }
}

fn check(settings: &RtpSettings) -> Result<(), String> {
    if !(10..=60).contains(&settings.packet_ms) || settings.packet_ms % 10 != 0 {
        return Err(format!(
            "packet_ms is {}; use 10 to 60 in steps of 10",
            settings.packet_ms
        ));
    }
    let clash = |codec: &&CodecSettings| Some(codec.payload_type) == settings.dtmf_receive;
    if let Some(codec) = settings.receive.iter().find(clash) {
        return Err(format!(
            "payload type {} means both {} and telephone-event; give each its own",
            codec.payload_type.0,
            codec.codec.name()
        ));
    }
    if !(1_000..=192_000).contains(&settings.dtmf_clock) {
        return Err(format!(
            "telephone-event has clock rate {}",
            settings.dtmf_clock
        ));
    }
    for codec in settings.receive.iter().chain([&settings.send]) {
        if !(4_000..=192_000).contains(&codec.clock_rate) {
            return Err(format!(
                "codec {} has clock rate {}",
                codec.codec.name(),
                codec.clock_rate
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
