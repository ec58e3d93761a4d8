//! Recordings read back from their spool file.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use media_core::spool::{Info, Renderer};

use crate::error::Error;
use crate::spool_writer::words;

/// Stereo PCM on the clock of the call.
pub struct SpoolFile {
    info: Info,
    renderer: Renderer<BufReader<File>>,
    path: std::path::PathBuf,
}

impl SpoolFile {
    /// Reads the file once for what it is, then stands at its start.
    ///
    /// # Errors
    /// `BadFile`: not a recording, another key, changed, or not readable.
    pub fn open(path: &Path, key: &[u8; 32], rate: u32) -> Result<Self, Error> {
        let bad = |reason: String| Error::BadFile {
            path: path.to_owned(),
            reason,
        };
        let open = || {
            File::open(path)
                .map(BufReader::new)
                .map_err(|error| bad(words(&error)))
        };
        Ok(Self {
            info: Info::scan(open()?, key).map_err(|error| bad(error.to_string()))?,
            renderer: Renderer::new(open()?, key, rate).map_err(|error| bad(error.to_string()))?,
            path: path.to_owned(),
        })
    }

    #[must_use]
    pub fn info(&self) -> &Info {
        &self.info
    }

    /// Up to `max_frames` frames, left and right in turns; empty at the end.
    ///
    /// # Errors
    /// `BadFile` when the file has changed since it was opened.
    pub fn read(&mut self, max_frames: usize) -> Result<Vec<i16>, Error> {
        self.renderer
            .read(max_frames)
            .map_err(|error| Error::BadFile {
                path: self.path.clone(),
                reason: error.to_string(),
            })
    }
}
