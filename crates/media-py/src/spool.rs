//! The reader of recordings.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use media_io::SpoolFile;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::error::{bad_settings, raise};

/// More than a second at any rate in one piece is of no use to a reader.
const MAX_FRAMES: usize = 480_000;

#[pyclass(frozen, module = "sent.media._engine")]
pub struct SpoolReader {
    /// None when closed.
    file: Mutex<Option<SpoolFile>>,
    recording_id: [u8; 16],
    duration_ms: u64,
    truncated: bool,
    started_unix_ms: u64,
}

#[pymethods]
impl SpoolReader {
    #[new]
    fn new(py: Python<'_>, path: PathBuf, key: &[u8], sample_rate: u32) -> PyResult<Self> {
        let key = key_of(key)?;
        if ![8_000, 16_000, 24_000, 48_000].contains(&sample_rate) {
            return Err(bad_settings(
                "A recording is read at 8000, 16000, 24000 or 48000 Hz.",
            ));
        }
        let file = py
            .detach(|| SpoolFile::open(&path, &key, sample_rate))
            .map_err(|error| raise(&error))?;
        let info = *file.info();
        Ok(Self {
            file: Mutex::new(Some(file)),
            recording_id: info.recording_id,
            duration_ms: info.duration_ms,
            truncated: info.truncated,
            started_unix_ms: info.started_unix_ms,
        })
    }

    /// recording id, duration in ms, truncated, start in ms of the Unix epoch
    fn info<'py>(&self, py: Python<'py>) -> (Bound<'py, PyBytes>, u64, bool, u64) {
        let id = PyBytes::new(py, &self.recording_id);
        (id, self.duration_ms, self.truncated, self.started_unix_ms)
    }

    #[pyo3(signature = (max_frames, /))]
    fn read<'py>(&self, py: Python<'py>, max_frames: usize) -> PyResult<Bound<'py, PyBytes>> {
        let frames = py.detach(|| {
            let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
            file.as_mut()
                .map_or(Ok(Vec::new()), |file| file.read(max_frames.min(MAX_FRAMES)))
        });
        let frames = frames.map_err(|error| raise(&error))?;
        let octets: Vec<u8> = frames.into_iter().flat_map(i16::to_le_bytes).collect();
        Ok(PyBytes::new(py, &octets))
    }

    fn close(&self, py: Python<'_>) {
        py.detach(|| {
            drop(
                self.file
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .take(),
            )
        });
    }
}

/// A recording as stereo Ogg Opus; `out` is written whole or not at all.
#[pyfunction]
#[pyo3(signature = (path, key, out, /))]
pub fn render_ogg(py: Python<'_>, path: PathBuf, key: &[u8], out: PathBuf) -> PyResult<()> {
    let key = key_of(key)?;
    py.detach(|| media_io::render_ogg(&path, &key, &out))
        .map_err(|error| raise(&error))
}

fn key_of(key: &[u8]) -> PyResult<[u8; 32]> {
    key.try_into()
        .map_err(|_| bad_settings("A recording's key has 32 octets."))
}
