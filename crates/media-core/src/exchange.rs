//! All the legs that one media thread owns, and what joins them.
//!
//! A leg hears one *source*: its playback while one runs, else its bridge partner. Audio reaches it in one of two ways:
//!
//! - **relay**: a packet of the partner whose codec is ours passes at once, undecoded, with our numbers on it;
//! - **clocked**: every 20 ms a frame is pulled from the source (playback, stream, decoded partner) and sent.
//!
//! A conference will be a third kind of source here: its clock pulls every member once, mixes, and pushes to each.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::SocketAddr;

use crate::codec::CodecId;
use crate::dtmf::PressedDigit;
use crate::event::{Channel, Event, Sink};
use crate::ids::{IdMap, LegId, PayloadType, PlaybackId, RecordingHandle, Ssrc};
use crate::playback::Playback;
use crate::random::Random;
use crate::rtp_leg::{Incoming, IncomingKind, RtpLeg};
use crate::settings::RtpSettings;
use crate::spool::{CodecRecord, PacketRecord, Side, SpoolHeader, SpoolWriter};
use crate::stats::LegStatistics;
use crate::stream_buffer::StreamHandle;
use crate::time::Time;

const TICK_MS: u64 = 20;
/// Bounds of a digit that is sent anew, and the pause behind it.
const MIN_DIGIT_MS: u32 = 40;
const MAX_DIGIT_MS: u32 = 6_000;
const DIGIT_GAP_MS: u32 = 60;
/// A clock that is later than this (the machine slept) starts anew instead of catching up.
const MAX_CATCH_UP_MICROS: u64 = 200_000;
/// RTP payload type under which a stream leg's own audio is recorded.
const STREAM_PAYLOAD_TYPE: PayloadType = PayloadType(96);

/// What the shell knows and the core cannot.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// From the operating system's random source: SSRCs, first sequence numbers, RTCP intervals.
    pub seed: u64,
    /// The wall clock at `Time::ZERO`, for the NTP time in sender reports.
    pub unix_micros_at_zero: u64,
}

/// The caller's mistakes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ExchangeError {
    NoSuchLeg(LegId),
    LegExists(LegId),
    NotRtp(LegId),
    RecordingExists(RecordingHandle),
    /// The remedy in words.
    BadSettings(String),
}

impl core::fmt::Display for ExchangeError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::NoSuchLeg(leg) => write!(f, "there is no media leg {}", leg.0),
            Self::LegExists(leg) => write!(f, "media leg {} is open already", leg.0),
            Self::NotRtp(leg) => write!(f, "media leg {} is a stream, not RTP", leg.0),
            Self::RecordingExists(handle) => write!(f, "recording {} runs already", handle.0),
            Self::BadSettings(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for ExchangeError {}

enum Leg {
    Rtp(Box<RtpLeg>),
    Stream(StreamLeg),
}

struct StreamLeg {
    buffer: StreamHandle,
    ssrc: Ssrc,
    sequence: u16,
    timestamp: u32,
    /// For frames whose rate is not the stream's.
    resampler: Option<(u32, crate::resample::Resampler)>,
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

/// A leg on its way to another thread; it is in no bridge and no recording.
pub struct Parked {
    id: LegId,
    slot: Slot,
}

impl Parked {
    #[must_use]
    pub fn id(&self) -> LegId {
        self.id
    }
}

/// All that a recording needs to start.
pub struct RecordingSetup {
    pub key: [u8; 32],
    pub recording_id: [u8; 16],
    /// Random, from the operating system: no two files may share it under one key.
    pub nonce_seed: [u8; 12],
    pub started_unix_ms: u64,
    pub left: LegId,
    pub right: LegId,
}

struct Recording {
    writer: SpoolWriter,
    legs: [LegId; 2],
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
        self.open(
            leg,
            Leg::Stream(StreamLeg {
                buffer: stream,
                ssrc,
                sequence: 0,
                timestamp: 0,
                resampler: None,
            }),
        )
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

    /// Record what both legs receive. The file's header comes at once through `sink.chunk`.
    ///
    /// # Errors
    /// `NoSuchLeg`, `RecordingExists`.
    pub fn start_recording(
        &mut self,
        handle: RecordingHandle,
        setup: &RecordingSetup,
        now: Time,
        sink: &mut dyn Sink,
    ) -> Result<(), ExchangeError> {
        self.slot(setup.left)?;
        self.slot(setup.right)?;
        if self.recordings.contains_key(&handle) {
            return Err(ExchangeError::RecordingExists(handle));
        }
        let header = SpoolHeader {
            recording_id: setup.recording_id,
            started_unix_ms: setup.started_unix_ms,
        };
        let writer =
            SpoolWriter::new(&header, &setup.key, setup.nonce_seed, now).ok_or_else(|| {
                ExchangeError::BadSettings("the recording key cannot be used".to_owned())
            })?;
        sink.chunk(handle, writer.header());
        let legs = [setup.left, setup.right];
        self.recordings.insert(handle, Recording { writer, legs });
        for (leg, side) in legs.into_iter().zip([Side::Left, Side::Right]) {
            self.slot(leg)?.recordings.push((handle, side));
            self.record_codecs(handle, side, leg, now);
        }
        self.timers
            .push(Reverse((now.plus_millis(1_000), Timer::Recording(handle))));
        Ok(())
    }

    fn record_codecs(&mut self, handle: RecordingHandle, side: Side, leg: LegId, now: Time) {
        let (Some(slot), Some(recording)) =
            (self.slots.get(&leg), self.recordings.get_mut(&handle))
        else {
            return;
        };
        match &slot.leg {
            Leg::Rtp(rtp) => {
                for codec in rtp.receiver.codecs() {
                    let record = CodecRecord {
                        side,
                        payload_type: codec.payload_type,
                        codec: codec.codec.clone(),
                        clock_rate: codec.clock_rate,
                        channels: codec.channels,
                    };
                    recording.writer.push_codec(&record, now);
                }
            }
            Leg::Stream(stream) => {
                let record = CodecRecord {
                    side,
                    payload_type: STREAM_PAYLOAD_TYPE,
                    codec: CodecId::L16,
                    clock_rate: stream.buffer.rate(),
                    channels: 1,
                };
                recording.writer.push_codec(&record, now);
            }
        }
    }

    /// The rest and the end mark come through `sink.chunk`. Idempotent.
    pub fn stop_recording(&mut self, handle: RecordingHandle, now: Time, sink: &mut dyn Sink) {
        let Some(recording) = self.recordings.remove(&handle) else {
            return;
        };
        for leg in recording.legs {
            if let Some(slot) = self.slots.get_mut(&leg) {
                slot.recordings.retain(|(held, _)| *held != handle);
            }
        }
        sink.chunk(handle, &recording.writer.finish(now));
    }

    /// Drop a recording whose file cannot be written any more.
    pub fn abandon_recording(&mut self, handle: RecordingHandle) {
        if let Some(recording) = self.recordings.remove(&handle) {
            for leg in recording.legs {
                if let Some(slot) = self.slots.get_mut(&leg) {
                    slot.recordings.retain(|(held, _)| *held != handle);
                }
            }
        }
    }

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
            self.update_clock(partner, now);
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

    /// Events can pass as they are: the audio beside them does, and both streams count on one clock.
    fn relays(&self, leg: LegId, partner: LegId) -> bool {
        let (Some(Leg::Rtp(from)), Some(Leg::Rtp(to))) = (
            self.slots.get(&leg).map(|slot| &slot.leg),
            self.slots.get(&partner).map(|slot| &slot.leg),
        ) else {
            return false;
        };
        !from.receiver.is_buffering()
            && to
                .sender
                .codec()
                .is_some_and(|codec| codec.clock_rate == from.receiver.clock_rate())
    }

    /// Beside transcoded audio a digit is sent anew, once it is complete.
    fn pass_digit(&mut self, partner: LegId, digit: PressedDigit, now: Time) {
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

    /// Whether the leg needs a frame every 20 ms; starts or stops its clock.
    fn update_clock(&mut self, leg: LegId, now: Time) {
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

    /// Put the leg's next moment into the queue, unless it stands there for an earlier one.
    fn update_timer(&mut self, leg: LegId) {
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
                    }
                }
                stream.advance(frame.len());
                rate
            }
        }
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

    /// Take a leg away, to `put` it into another thread's exchange. None when there is none, or it is being recorded.
    pub fn take(&mut self, leg: LegId, now: Time) -> Option<Parked> {
        if !self.slots.get(&leg)?.recordings.is_empty() {
            return None;
        }
        self.part(leg, now);
        let slot = self.slots.remove(&leg)?;
        Some(Parked { id: leg, slot })
    }

    /// Accept a leg from another thread.
    pub fn put(&mut self, parked: Parked, now: Time) {
        let Parked { id, mut slot } = parked;
        slot.scheduled = None;
        self.slots.insert(id, slot);
        self.update_clock(id, now);
    }
}

impl StreamLeg {
    /// The next 20 ms that the owner wrote; silence where there is none.
    fn speak(&mut self, leg: LegId, frame: &mut Vec<i16>, sink: &mut dyn Sink) -> u32 {
        let (rate, reached) = {
            let mut buffer = self.buffer.lock();
            let rate = buffer.rate();
            frame.clear();
            frame.resize(rate as usize / 50, 0);
            buffer.take(frame);
            (rate, buffer.reached())
        };
        for name in reached {
            sink.event(Event::MarkReached { leg, name });
        }
        rate
    }

    fn hear(&mut self, leg: LegId, frame: &[i16], rate: u32, sink: &mut dyn Sink) {
        let own = self.buffer.rate();
        let tell = if own == rate {
            self.buffer.lock().hear(frame)
        } else {
            if self
                .resampler
                .as_ref()
                .is_none_or(|(from, _)| *from != rate)
            {
                self.resampler = Some((rate, crate::resample::Resampler::new(rate, own)));
            }
            let mut converted = Vec::with_capacity(own as usize / 50 + 1);
            if let Some((_, resampler)) = &mut self.resampler {
                resampler.process(frame, &mut converted);
            }
            self.buffer.lock().hear(&converted)
        };
        if tell {
            sink.event(Event::StreamReadable { leg });
        }
    }

    fn record(&self, writer: &mut SpoolWriter, side: Side, frame: &[i16], now: Time) {
        let payload: Vec<u8> = frame
            .iter()
            .flat_map(|sample| sample.to_be_bytes())
            .collect();
        let record = PacketRecord {
            side,
            arrival_micros: writer.elapsed(now),
            ssrc: self.ssrc,
            timestamp: self.timestamp,
            sequence: self.sequence,
            payload_type: STREAM_PAYLOAD_TYPE,
            payload: &payload,
        };
        writer.push_packet(&record, now);
    }

    fn advance(&mut self, samples: usize) {
        self.sequence = self.sequence.wrapping_add(1);
        self.timestamp = self.timestamp.wrapping_add(samples as u32);
    }
}

fn record(writer: &mut SpoolWriter, side: Side, incoming: &Incoming, packet: &[u8], now: Time) {
    let record = PacketRecord {
        side,
        arrival_micros: writer.elapsed(now),
        ssrc: incoming.header.ssrc,
        timestamp: incoming.header.timestamp,
        sequence: incoming.header.sequence,
        payload_type: incoming.header.payload_type,
        payload: &packet[incoming.payload.clone()],
    };
    writer.push_packet(&record, now);
}

fn check(settings: &RtpSettings) -> Result<(), String> {
    if !(10..=60).contains(&settings.packet_ms) || settings.packet_ms % 10 != 0 {
        return Err(format!(
            "packet_ms is {}; use 10 to 60 in steps of 10",
            settings.packet_ms
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
#[path = "exchange_tests.rs"]
mod tests;
