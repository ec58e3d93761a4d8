//! The engine object.

use std::os::fd::{AsFd, AsRawFd};
use std::path::PathBuf;
use std::sync::{PoisonError, RwLock};

use media_core::ids::{LegId, RecordingHandle};
use media_core::playback::ToneStep;
use media_core::stats::LegStatistics;
use media_io::Error;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::convert::{address, event, EventTuple, SettingsDict};
use crate::error::{bad_settings, raise};

#[pyclass(frozen, module = "sent.media._engine")]
pub struct Engine {
    /// None after the shut-down.
    inner: RwLock<Option<media_io::Engine>>,
}

impl Engine {
    /// Without the GIL: most calls wait for a media thread, and that thread waits for nobody.
    fn with<T: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&media_io::Engine) -> Result<T, Error> + Send,
    ) -> PyResult<T> {
        py.detach(|| {
            let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
            inner.as_ref().map_or(Err(Error::NoAnswer), work)
        })
        .map_err(|error| raise(&error))
    }
}

#[pymethods]
impl Engine {
    #[new]
    #[pyo3(signature = (first_port, last_port, threads=None))]
    fn new(
        py: Python<'_>,
        first_port: u16,
        last_port: u16,
        threads: Option<usize>,
    ) -> PyResult<Self> {
        let settings = media_io::Settings {
            first_port,
            last_port,
            threads,
        };
        let engine = py
            .detach(|| media_io::Engine::start(settings))
            .map_err(|error| raise(&error))?;
        Ok(Self {
            inner: RwLock::new(Some(engine)),
        })
    }

    fn fileno(&self, py: Python<'_>) -> PyResult<i32> {
        self.with(py, |engine| Ok(engine.as_fd().as_raw_fd()))
    }

    fn drain_events(&self, py: Python<'_>) -> PyResult<Vec<EventTuple>> {
        self.with(py, |engine| {
            Ok(engine
                .drain_events()
                .into_iter()
                .filter_map(event)
                .collect())
        })
    }

    #[pyo3(signature = (bind_address, /))]
    fn open_rtp(&self, py: Python<'_>, bind_address: &str) -> PyResult<(u64, String, u16)> {
        let bind_address = address(bind_address)?;
        let (leg, local) = self.with(py, |engine| engine.open_rtp(bind_address))?;
        Ok((leg.0, local.address.to_string(), local.port))
    }

    #[pyo3(signature = (sample_rate, max_buffer_ms, /))]
    fn open_stream(&self, py: Python<'_>, sample_rate: u32, max_buffer_ms: u32) -> PyResult<u64> {
        Ok(self
            .with(py, |engine| engine.open_stream(sample_rate, max_buffer_ms))?
            .0)
    }

    #[pyo3(signature = (leg, settings, /))]
    fn configure(&self, py: Python<'_>, leg: u64, settings: SettingsDict) -> PyResult<()> {
        let settings = settings.into_core()?;
        self.with(py, |engine| engine.configure(LegId(leg), settings))
    }

    #[pyo3(signature = (leg, pcm, /))]
    fn stream_write(&self, py: Python<'_>, leg: u64, pcm: &[u8]) -> PyResult<usize> {
        self.with(py, |engine| Ok(engine.stream(LegId(leg))?.write(pcm)))
    }

    #[pyo3(signature = (leg, max_octets, /))]
    fn stream_read<'py>(
        &self,
        py: Python<'py>,
        leg: u64,
        max_octets: usize,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let heard = self.with(py, |engine| Ok(engine.stream(LegId(leg))?.read(max_octets)))?;
        Ok(PyBytes::new(py, &heard))
    }

    #[pyo3(signature = (leg, /))]
    fn stream_clear(&self, py: Python<'_>, leg: u64) -> PyResult<()> {
        self.with(py, |engine| {
            engine.stream(LegId(leg))?.clear();
            engine.stream_touched(LegId(leg))
        })
    }

    #[pyo3(signature = (leg, name, /))]
    fn stream_mark(&self, py: Python<'_>, leg: u64, name: &str) -> PyResult<()> {
        self.with(py, |engine| {
            let marked = engine.stream(LegId(leg))?.mark(name);
            marked.map_err(|error| Error::BadSettings(error.to_string()))?;
            engine.stream_touched(LegId(leg))
        })
    }

    #[pyo3(signature = (a, b, /))]
    fn bridge(&self, py: Python<'_>, a: u64, b: u64) -> PyResult<()> {
        self.with(py, |engine| engine.bridge(LegId(a), LegId(b)))
    }

    #[pyo3(signature = (leg, /))]
    fn unbridge(&self, py: Python<'_>, leg: u64) -> PyResult<()> {
        self.with(py, |engine| engine.unbridge(LegId(leg)))
    }

    #[pyo3(signature = (leg, path, loop_, /))]
    fn play_file(&self, py: Python<'_>, leg: u64, path: PathBuf, loop_: bool) -> PyResult<u64> {
        Ok(self
            .with(py, |engine| engine.play_file(LegId(leg), &path, loop_))?
            .0)
    }

    #[pyo3(signature = (leg, steps, loop_, /))]
    fn play_tone(
        &self,
        py: Python<'_>,
        leg: u64,
        steps: Vec<(Vec<f64>, u32, f64)>,
        loop_: bool,
    ) -> PyResult<u64> {
        let step = |(frequencies, ms, level_dbm0)| ToneStep {
            frequencies,
            ms,
            level_dbm0,
        };
        let steps = steps.into_iter().map(step).collect();
        Ok(self
            .with(py, |engine| engine.play_tone(LegId(leg), steps, loop_))?
            .0)
    }

    #[pyo3(signature = (leg, /))]
    fn stop_playback(&self, py: Python<'_>, leg: u64) -> PyResult<()> {
        self.with(py, |engine| engine.stop_playback(LegId(leg)))
    }

    #[pyo3(signature = (leg, digits, duration_ms, gap_ms, /))]
    fn send_digits(
        &self,
        py: Python<'_>,
        leg: u64,
        digits: String,
        duration_ms: u32,
        gap_ms: u32,
    ) -> PyResult<()> {
        self.with(py, |engine| {
            engine.send_digits(LegId(leg), digits, duration_ms, gap_ms)
        })
    }

    #[pyo3(signature = (path, key, recording_id, left, right, /))]
    fn start_recording(
        &self,
        py: Python<'_>,
        path: PathBuf,
        key: &[u8],
        recording_id: &[u8],
        left: u64,
        right: u64,
    ) -> PyResult<u64> {
        let key = key
            .try_into()
            .map_err(|_| bad_settings("A recording's key has 32 octets."))?;
        let id = recording_id
            .try_into()
            .map_err(|_| bad_settings("A recording's id has 16 octets."))?;
        Ok(self
            .with(py, |engine| {
                engine.start_recording(&path, key, id, LegId(left), LegId(right))
            })?
            .0)
    }

    #[pyo3(signature = (recording, /))]
    fn stop_recording(&self, py: Python<'_>, recording: u64) -> PyResult<()> {
        self.with(py, |engine| {
            engine.stop_recording(RecordingHandle(recording))
        })
    }

    #[pyo3(signature = (leg, /))]
    fn statistics(&self, py: Python<'_>, leg: u64) -> PyResult<Statistics> {
        Ok(Statistics::new(
            self.with(py, |engine| engine.statistics(LegId(leg)))?,
        ))
    }

    #[pyo3(signature = (leg, /))]
    fn close(&self, py: Python<'_>, leg: u64) -> PyResult<Statistics> {
        Ok(Statistics::new(
            self.with(py, |engine| engine.close(LegId(leg)))?,
        ))
    }

    fn health(&self, py: Python<'_>) -> PyResult<Health> {
        let health = self.with(py, |engine| Ok(engine.health()))?;
        Ok(Health {
            legs: health.legs,
            sockets: health.sockets,
            threads: health.threads,
            recordings: health.recordings,
            late_p50_ms: health.lateness.p50_ms,
            late_p99_ms: health.lateness.p99_ms,
            late_max_ms: health.lateness.max_ms,
            counters: health
                .counters
                .into_iter()
                .map(|(name, count)| (name.to_owned(), count))
                .collect(),
        })
    }

    fn shut_down(&self, py: Python<'_>) {
        py.detach(|| {
            drop(
                self.inner
                    .write()
                    .unwrap_or_else(PoisonError::into_inner)
                    .take(),
            )
        });
    }
}

#[pyclass(frozen, get_all, module = "sent.media._engine")]
pub struct Health {
    legs: usize,
    sockets: usize,
    threads: usize,
    recordings: usize,
    late_p50_ms: f64,
    late_p99_ms: f64,
    late_max_ms: f64,
    counters: Vec<(String, u64)>,
}

#[pyclass(frozen, get_all, module = "sent.media._engine")]
pub struct Statistics {
    packets_sent: u64,
    packets_received: u64,
    bytes_sent: u64,
    bytes_received: u64,
    packets_lost: u64,
    packets_discarded: u64,
    concealed_ms: u64,
    loss_percent: f64,
    remote_loss_percent: f64,
    jitter_ms: f64,
    round_trip_ms: Option<f64>,
    buffer_delay_ms: f64,
    r_factor: Option<f64>,
    mos: Option<f64>,
    model: Option<&'static str>,
    strangers: u64,
    srtp_failures: u64,
    malformed: u64,
    unexpected: u64,
    remote: Option<(String, u16)>,
    transcoded: bool,
}

impl Statistics {
    fn new(core: LegStatistics) -> Self {
        Self {
            packets_sent: core.packets_sent,
            packets_received: core.packets_received,
            bytes_sent: core.bytes_sent,
            bytes_received: core.bytes_received,
            packets_lost: core.packets_lost,
            packets_discarded: core.packets_discarded,
            concealed_ms: core.concealed_ms,
            loss_percent: core.loss_percent,
            remote_loss_percent: core.remote_loss_percent,
            jitter_ms: core.jitter_ms,
            round_trip_ms: core.round_trip_ms,
            buffer_delay_ms: core.buffer_delay_ms,
            r_factor: core.r_factor,
            mos: core.mos,
            model: core.model,
            strangers: core.strangers,
            srtp_failures: core.srtp_failures,
            malformed: core.malformed,
            unexpected: core.unexpected,
            remote: core
                .remote
                .map(|remote| (remote.ip().to_string(), remote.port())),
            transcoded: core.transcoded,
        }
    }
}
