//! The engine as the program sees it: legs, bridges, playbacks and recordings by number.

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use media_core::exchange::{Config as ExchangeConfig, RecordingSetup};
use media_core::ids::{IdMap, LegId, PlaybackId, RecordingHandle};
use media_core::playback::{Playback, ToneStep};
use media_core::settings::RtpSettings;
use media_core::stats::LegStatistics;
use media_core::stream_buffer::StreamHandle;

use crate::counters::Counters;
use crate::error::Error;
use crate::event_queue::EventQueue;
use crate::lateness::{Lateness, LatenessSummary};
use crate::outbox::{EngineEvent, LegSockets, Outbox};
use crate::ports::PortRange;
use crate::registry::{LegKind, Move, Registry};
use crate::spool_writer::{create_spool, words, Ended, RecordingId, SpoolWriter};
use crate::thread::{Clock, MediaThread};
use crate::wav_file::WavFiles;

/// How long the recordings may take to reach the disk when the engine ends.
const FLUSH_PATIENCE: Duration = Duration::from_millis(1_500);

#[derive(Debug, Clone, Copy)]
pub struct Settings {
    pub first_port: u16,
    pub last_port: u16,
    /// None: one per core, at most four.
    pub threads: Option<usize>,
}

/// Where an RTP leg listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocalPorts {
    pub address: IpAddr,
    pub port: u16,
}

#[derive(Debug, Clone, Default)]
pub struct Health {
    pub legs: usize,
    pub sockets: usize,
    pub threads: usize,
    pub recordings: usize,
    pub lateness: LatenessSummary,
    pub counters: Vec<(&'static str, u64)>,
}

pub struct Engine {
    clock: Clock,
    ports: PortRange,
    threads: Vec<MediaThread>,
    lateness: Vec<Arc<Lateness>>,
    counters: Vec<Arc<Counters>>,
    events: Arc<EventQueue<EngineEvent>>,
    spool: SpoolWriter,
    wav_files: WavFiles,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    registry: Registry,
    streams: IdMap<LegId, StreamHandle>,
}

impl Engine {
    /// # Errors
    /// `BadSettings` for a port range without a pair, and what the system says when it gives no thread.
    pub fn start(settings: Settings) -> Result<Self, Error> {
        let ports = PortRange::new(settings.first_port, settings.last_port, random_u64()?).ok_or_else(|| {
            Error::BadSettings(format!(
                "The media port range {} to {} holds no pair of ports; give an even port and at least the next.",
                settings.first_port, settings.last_port
            ))
        })?;
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let count = settings.threads.unwrap_or(cores.min(4)).clamp(1, 64);
        let seeds = (0..count)
            .map(|_| random_u64())
            .collect::<Result<Vec<_>, _>>()?;
        Self::start_threads(ports, &seeds).map_err(|error| {
            Error::BadSettings(format!(
                "The media threads cannot start: {}.",
                words(&error)
            ))
        })
    }

    fn start_threads(ports: PortRange, seeds: &[u64]) -> io::Result<Self> {
        let clock = Clock::start();
        let events = Arc::new(EventQueue::new()?);
        let spool = {
            let events = Arc::clone(&events);
            SpoolWriter::start(Box::new(move |recording, end| {
                let recording = RecordingHandle(recording.0);
                events.push(match end {
                    Ended::Closed => EngineEvent::RecordingClosed { recording },
                    Ended::Failed(error) => EngineEvent::RecordingFailed { recording, error },
                });
            }))?
        };
        let mut engine = Self {
            clock,
            ports,
            threads: Vec::with_capacity(seeds.len()),
            lateness: Vec::new(),
            counters: Vec::new(),
            events,
            spool,
            wav_files: WavFiles::default(),
            state: Mutex::default(),
        };
        for (number, seed) in seeds.iter().enumerate() {
            let counters = Arc::new(Counters::default());
            let outbox = Outbox::new(
                Arc::clone(&engine.events),
                Arc::clone(&counters),
                engine.spool.queue(),
            );
            let config = ExchangeConfig {
                seed: *seed,
                unix_micros_at_zero: unix_time().as_micros() as u64 - clock.now().micros(),
            };
            let thread = MediaThread::start(number, clock, config, outbox)?;
            engine.lateness.push(Arc::clone(&thread.lateness));
            engine.counters.push(counters);
            engine.threads.push(thread);
        }
        Ok(engine)
    }

    /// # Errors
    /// `NoPorts`, `BadAddress`.
    pub fn open_rtp(&self, address: IpAddr) -> Result<(LegId, LocalPorts), Error> {
        let pair = self.ports.bind(address)?;
        let local = LocalPorts {
            address: pair.address,
            port: pair.port,
        };
        let sockets = LegSockets::new(pair);
        let (leg, thread) = self.new_leg(LegKind::Rtp, None)?;
        let opened = self.threads[thread].call(move |worker| {
            let now = worker.clock.now();
            worker.exchange.open_rtp(leg, now)?;
            worker
                .attach(leg, sockets)
                .map_err(|error| Error::BadAddress(words(&error)))
        });
        match opened {
            Ok(Ok(())) => Ok((leg, local)),
            Ok(Err(error)) => self.give_up(leg, error),
            Err(error) => self.give_up(leg, error.into()),
        }
    }

    /// # Errors
    /// `BadSettings` for a rate that is not served.
    pub fn open_stream(&self, rate: u32, max_buffer_ms: u32) -> Result<LegId, Error> {
        let stream = StreamHandle::new(rate, max_buffer_ms)
            .map_err(|error| Error::BadSettings(error.to_string()))?;
        let (leg, thread) = self.new_leg(LegKind::Stream, Some(stream.clone()))?;
        let opened = self.threads[thread].call(move |worker| {
            let now = worker.clock.now();
            worker.exchange.open_stream(leg, stream, now)
        });
        match opened {
            Ok(Ok(())) => Ok(leg),
            Ok(Err(error)) => self.give_up(leg, error.into()),
            Err(error) => self.give_up(leg, error.into()),
        }
    }

    /// The buffers of a stream leg: writing, reading and clearing need no media thread.
    ///
    /// # Errors
    /// `NoSuchLeg`, also for RTP legs.
    pub fn stream(&self, leg: LegId) -> Result<StreamHandle, Error> {
        self.state()
            .streams
            .get(&leg)
            .cloned()
            .ok_or(Error::NoSuchLeg(leg))
    }

    /// After a mark or a clear: have the media thread report what was reached.
    ///
    /// # Errors
    /// `NoSuchLeg`, `NoAnswer`.
    pub fn stream_touched(&self, leg: LegId) -> Result<(), Error> {
        let thread = self.thread_of(leg)?;
        Ok(thread.cast(move |worker| worker.exchange.stream_touched(leg, &mut worker.outbox))?)
    }

    /// # Errors
    /// `NoSuchLeg`, `BadSettings`, `NoAnswer`.
    pub fn configure(&self, leg: LegId, settings: RtpSettings) -> Result<(), Error> {
        let answer = self.thread_of(leg)?.call(move |worker| {
            let now = worker.clock.now();
            worker
                .exchange
                .configure(leg, settings, now, &mut worker.outbox)
        })?;
        Ok(answer?)
    }

    /// # Errors
    /// `NoSuchLeg`, `NoAnswer`.
    pub fn bridge(&self, a: LegId, b: LegId) -> Result<(), Error> {
        let mut state = self.state();
        let thread = self.bring_together(&mut state, a, b)?;
        let answer = self.threads[thread].call(move |worker| {
            let now = worker.clock.now();
            worker.exchange.bridge(a, b, now)
        })?;
        answer?;
        state.registry.join(a, b);
        Ok(())
    }

    /// # Errors
    /// `NoSuchLeg`, `NoAnswer`.
    pub fn unbridge(&self, leg: LegId) -> Result<(), Error> {
        let mut state = self.state();
        let thread = state.registry.thread_of(leg).ok_or(Error::NoSuchLeg(leg))?;
        let answer = self.threads[thread].call(move |worker| {
            let now = worker.clock.now();
            worker.exchange.unbridge(leg, now)
        })?;
        answer?;
        state.registry.separate(leg);
        Ok(())
    }

    /// # Errors
    /// `BadFile`, `NoSuchLeg`, `NoAnswer`.
    pub fn play_file(&self, leg: LegId, path: &Path, looped: bool) -> Result<PlaybackId, Error> {
        let (samples, rate) = self.wav_files.read(path)?;
        self.play(leg, Playback::pcm(samples, rate, looped))
    }

    /// # Errors
    /// `NoSuchLeg`, `NoAnswer`.
    pub fn play_tone(
        &self,
        leg: LegId,
        steps: Vec<ToneStep>,
        looped: bool,
    ) -> Result<PlaybackId, Error> {
        self.play(leg, Playback::tone(steps, looped))
    }

    fn play(&self, leg: LegId, playback: Playback) -> Result<PlaybackId, Error> {
        let id = PlaybackId(self.state().registry.next_id());
        let answer = self.thread_of(leg)?.call(move |worker| {
            let now = worker.clock.now();
            worker
                .exchange
                .play(leg, id, playback, now, &mut worker.outbox)
        })?;
        answer?;
        Ok(id)
    }

    /// # Errors
    /// `NoSuchLeg`, `NoAnswer`.
    pub fn stop_playback(&self, leg: LegId) -> Result<(), Error> {
        let answer = self.thread_of(leg)?.call(move |worker| {
            let now = worker.clock.now();
            worker.exchange.stop_playback(leg, now, &mut worker.outbox)
        })?;
        Ok(answer?)
    }

    /// # Errors
    /// `BadSettings` when no telephone-event was negotiated or a digit is none; `NoSuchLeg`, `NoAnswer`.
    pub fn send_digits(
        &self,
        leg: LegId,
        digits: String,
        duration_ms: u32,
        gap_ms: u32,
    ) -> Result<(), Error> {
        let answer = self.thread_of(leg)?.call(move |worker| {
            let now = worker.clock.now();
            worker
                .exchange
                .send_digits(leg, &digits, duration_ms, gap_ms, now)
        })?;
        Ok(answer?)
    }

    /// # Errors
    /// `BadFile` when the file exists or cannot be made; `NoSuchLeg`, `NoAnswer`.
    pub fn start_recording(
        &self,
        path: &Path,
        key: [u8; 32],
        recording_id: [u8; 16],
        left: LegId,
        right: LegId,
    ) -> Result<RecordingHandle, Error> {
        let mut state = self.state();
        let thread = self.bring_together(&mut state, left, right)?;
        let nonce_seed = random()?;
        let bad_file = |error: io::Error| Error::BadFile {
            path: path.to_owned(),
            reason: words(&error),
        };
        let file = create_spool(path).map_err(bad_file)?;
        let handle = RecordingHandle(state.registry.next_id());
        let queue = self.spool.queue();
        queue.open(RecordingId(handle.0), file);
        let setup = RecordingSetup {
            key,
            recording_id,
            nonce_seed,
            started_unix_ms: unix_time().as_millis() as u64,
            left,
            right,
        };
        let answer = self.threads[thread].call(move |worker| {
            let now = worker.clock.now();
            worker
                .exchange
                .start_recording(handle, &setup, now, &mut worker.outbox)
        });
        let refused = match answer {
            Ok(Ok(())) => {
                state.registry.add_recording(handle, left, right);
                return Ok(handle);
            }
            Ok(Err(error)) => error.into(),
            Err(error) => error.into(),
        };
        // A thread that was only late must not go on with it.
        let _ = self.threads[thread].cast(move |worker| worker.exchange.abandon_recording(handle));
        queue.close(RecordingId(handle.0));
        // It is empty, and would be in the way of the next attempt. Where it cannot be removed, that one says so.
        let _ = std::fs::remove_file(path);
        Err(refused)
    }

    /// Waits for nothing: `RecordingClosed` follows when the file is whole and on the disk, or `RecordingFailed`.
    /// Stopping twice is no mistake.
    ///
    /// # Errors
    /// `NoAnswer`.
    pub fn stop_recording(&self, handle: RecordingHandle) -> Result<(), Error> {
        let thread = self.state().registry.remove_recording(handle);
        let Some(thread) = thread else { return Ok(()) };
        let queue = self.spool.queue();
        Ok(self.threads[thread].cast(move |worker| {
            let now = worker.clock.now();
            worker
                .exchange
                .stop_recording(handle, now, &mut worker.outbox);
            queue.close(RecordingId(handle.0));
        })?)
    }

    /// # Errors
    /// `NoSuchLeg`, `NoAnswer`.
    pub fn statistics(&self, leg: LegId) -> Result<LegStatistics, Error> {
        let answer = self.thread_of(leg)?.call(move |worker| {
            let now = worker.clock.now();
            worker.exchange.statistics(leg, now)
        })?;
        answer.ok_or(Error::NoSuchLeg(leg))
    }

    /// The last statistics; empty ones for a leg that is closed already.
    ///
    /// # Errors
    /// `NoAnswer`.
    pub fn close(&self, leg: LegId) -> Result<LegStatistics, Error> {
        let thread = {
            let mut state = self.state();
            state.streams.remove(&leg);
            state.registry.remove(leg)
        };
        let Some(thread) = thread else {
            return Ok(LegStatistics::default());
        };
        let last = self.threads[thread].call(move |worker| {
            let now = worker.clock.now();
            let last = worker.exchange.close(leg, now, &mut worker.outbox);
            drop(worker.detach(leg));
            last
        })?;
        Ok(last.unwrap_or_default())
    }

    /// What happened since the last call, in order. The engine's descriptor is readable when there is something.
    #[must_use]
    pub fn drain_events(&self) -> Vec<EngineEvent> {
        let events = self.events.drain();
        for event in &events {
            if let EngineEvent::RecordingFailed { recording, .. } = event {
                self.abandon(*recording);
            }
        }
        events
    }

    /// The file is lost, so the core need not go on sealing chunks for it.
    fn abandon(&self, recording: RecordingHandle) {
        let thread = self.state().registry.remove_recording(recording);
        if let Some(thread) = thread.and_then(|thread| self.threads.get(thread)) {
            // A thread that takes no job has nothing to abandon.
            let _ = thread.cast(move |worker| worker.exchange.abandon_recording(recording));
        }
    }

    #[must_use]
    pub fn health(&self) -> Health {
        let state = self.state();
        let mut counters = Counters::sum(self.counters.iter().map(Arc::as_ref));
        counters.push(("events_lost", self.events.lost()));
        let lateness = self.lateness.iter().map(Arc::as_ref);
        Health {
            legs: state.registry.leg_count(),
            sockets: 2 * state.registry.rtp_count(),
            threads: self.threads.len(),
            recordings: state.registry.recording_count(),
            lateness: Lateness::summary(lateness, self.clock.now().micros()),
            counters,
        }
    }

    /// Closes all legs and recordings, ends the threads. Afterwards every call gives `NoAnswer` or `NoSuchLeg`.
    pub fn shut_down(&mut self) {
        let recordings = self.state().registry.recordings();
        for recording in recordings {
            // A thread that takes no job has nothing to stop.
            let _ = self.stop_recording(recording);
        }
        *self.state() = State::default();
        for thread in &mut self.threads {
            thread.shut_down();
        }
        self.threads.clear();
        self.spool.shut_down(FLUSH_PATIENCE);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn thread_of(&self, leg: LegId) -> Result<&MediaThread, Error> {
        let thread = self.state().registry.thread_of(leg);
        thread
            .and_then(|thread| self.threads.get(thread))
            .ok_or(Error::NoSuchLeg(leg))
    }

    fn new_leg(
        &self,
        kind: LegKind,
        stream: Option<StreamHandle>,
    ) -> Result<(LegId, usize), Error> {
        if self.threads.is_empty() {
            return Err(Error::NoAnswer);
        }
        let mut state = self.state();
        let leg = LegId(state.registry.next_id());
        let thread = state.registry.least_loaded(self.threads.len());
        state.registry.add(leg, kind, thread);
        if let Some(stream) = stream {
            state.streams.insert(leg, stream);
        }
        Ok((leg, thread))
    }

    fn give_up<T>(&self, leg: LegId, error: Error) -> Result<T, Error> {
        let mut state = self.state();
        state.registry.remove(leg);
        state.streams.remove(&leg);
        Err(error)
    }

    /// Moves legs so that both are on one thread; which one.
    fn bring_together(&self, state: &mut State, a: LegId, b: LegId) -> Result<usize, Error> {
        for leg in [a, b] {
            state.registry.thread_of(leg).ok_or(Error::NoSuchLeg(leg))?;
        }
        if let Some(moving) = state.registry.bring_together(a, b) {
            self.relocate(&moving)?;
            state.registry.moved(&moving.legs, moving.to);
        }
        state.registry.thread_of(a).ok_or(Error::NoSuchLeg(a))
    }
}

impl Engine {
    /// Legs are taken off one thread with their sockets and put on another; packets wait in the sockets meanwhile.
    fn relocate(&self, moving: &Move) -> Result<(), Error> {
        let legs = moving.legs.clone();
        let parts = self.threads[moving.from].call(move |worker| {
            let now = worker.clock.now();
            let take = |leg: &LegId| (worker.exchange.take(*leg, now), (*leg, worker.detach(*leg)));
            legs.iter().map(take).collect::<Vec<_>>()
        })?;
        let bridges = moving.bridges.clone();
        self.threads[moving.to].call(move |worker| {
            let now = worker.clock.now();
            for (parked, (leg, sockets)) in parts {
                if let Some(parked) = parked {
                    worker.exchange.put(parked, now);
                }
                if let Some(sockets) = sockets {
                    // Watched on one thread, sockets fail to be on the next only when memory is used up.
                    worker
                        .attach(leg, sockets)
                        .map_err(|error| Error::BadAddress(words(&error)))?;
                }
            }
            for (one, other) in bridges {
                worker.exchange.bridge(one, other, now)?;
            }
            Ok(())
        })?
    }
}

impl AsFd for Engine {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.events.as_fd()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.shut_down();
    }
}

fn random<const N: usize>() -> Result<[u8; N], Error> {
    let mut octets = [0_u8; N];
    // Blocks only before the machine has gathered entropy, once after boot.
    match rustix::rand::getrandom(&mut octets, rustix::rand::GetRandomFlags::empty()) {
        Ok(length) if length == N => Ok(octets),
        _ => Err(Error::BadSettings(
            "The system gives no random numbers (getrandom).".into(),
        )),
    }
}

fn random_u64() -> Result<u64, Error> {
    random().map(u64::from_ne_bytes)
}

fn unix_time() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}
