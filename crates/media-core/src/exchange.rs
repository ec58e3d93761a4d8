//! All the legs that one media thread owns, and what joins them.

use crate::event::{Channel, Sink};
use crate::ids::{LegId, PlaybackId, RecordingHandle};
use crate::playback::Playback;
use crate::settings::RtpSettings;
use crate::stats::LegStatistics;
use crate::stream_buffer::StreamHandle;
use crate::time::Time;
use std::net::SocketAddr;

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
    NoSuchRecording(RecordingHandle),
    /// The remedy in words.
    BadSettings(String),
}

impl core::fmt::Display for ExchangeError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::NoSuchLeg(leg) => write!(f, "there is no media leg {}", leg.0),
            Self::LegExists(leg) => write!(f, "media leg {} is open already", leg.0),
            Self::NotRtp(leg) => write!(f, "media leg {} is a stream, not RTP", leg.0),
            Self::NoSuchRecording(handle) => write!(f, "there is no recording {}", handle.0),
            Self::BadSettings(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for ExchangeError {}

/// A leg on its way to another thread.
pub struct Parked(());

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

pub struct Exchange {}

impl Exchange {
    pub fn new(_config: Config) -> Self {
        Self {}
    }
    pub fn open_rtp(&mut self, _leg: LegId, _now: Time) -> Result<(), ExchangeError> {
        todo!()
    }
    pub fn open_stream(
        &mut self,
        _leg: LegId,
        _stream: StreamHandle,
        _now: Time,
    ) -> Result<(), ExchangeError> {
        todo!()
    }
    pub fn configure(
        &mut self,
        _leg: LegId,
        _settings: RtpSettings,
        _now: Time,
        _sink: &mut dyn Sink,
    ) -> Result<(), ExchangeError> {
        todo!()
    }
    /// Both hear each other; `a == b` is an echo. Legs leave their former bridge.
    pub fn bridge(&mut self, _a: LegId, _b: LegId, _now: Time) -> Result<(), ExchangeError> {
        todo!()
    }
    pub fn unbridge(&mut self, _leg: LegId, _now: Time) -> Result<(), ExchangeError> {
        todo!()
    }
    pub fn play(
        &mut self,
        _leg: LegId,
        _id: PlaybackId,
        _playback: Playback,
        _now: Time,
        _sink: &mut dyn Sink,
    ) -> Result<(), ExchangeError> {
        todo!()
    }
    pub fn stop_playback(
        &mut self,
        _leg: LegId,
        _now: Time,
        _sink: &mut dyn Sink,
    ) -> Result<(), ExchangeError> {
        todo!()
    }
    pub fn send_digits(
        &mut self,
        _leg: LegId,
        _digits: &str,
        _duration_ms: u32,
        _gap_ms: u32,
        _now: Time,
    ) -> Result<(), ExchangeError> {
        todo!()
    }
    pub fn start_recording(
        &mut self,
        _handle: RecordingHandle,
        _setup: &RecordingSetup,
        _now: Time,
        _sink: &mut dyn Sink,
    ) -> Result<(), ExchangeError> {
        todo!()
    }
    /// Flush; idempotent.
    pub fn stop_recording(&mut self, _handle: RecordingHandle, _now: Time, _sink: &mut dyn Sink) {
        todo!()
    }
    /// One datagram from the leg's socket. `packet` is rewritten in place.
    pub fn receive(
        &mut self,
        _leg: LegId,
        _channel: Channel,
        _packet: &mut [u8],
        _from: SocketAddr,
        _now: Time,
        _sink: &mut dyn Sink,
    ) {
        todo!()
    }
    pub fn next_timer(&self) -> Option<Time> {
        todo!()
    }
    pub fn handle_timer(&mut self, _now: Time, _sink: &mut dyn Sink) {
        todo!()
    }
    pub fn statistics(&self, _leg: LegId, _now: Time) -> Option<LegStatistics> {
        todo!()
    }
    pub fn close(
        &mut self,
        _leg: LegId,
        _now: Time,
        _sink: &mut dyn Sink,
    ) -> Option<LegStatistics> {
        todo!()
    }
    pub fn take(&mut self, _leg: LegId) -> Option<Parked> {
        todo!()
    }
    pub fn put(&mut self, _parked: Parked, _now: Time) {
        todo!()
    }
}
