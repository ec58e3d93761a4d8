//! A recording as a stereo Ogg Opus file, for listening and for keeping.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;

use media_core::ogg::OggOpusWriter;

use crate::error::Error;
use crate::spool_file::SpoolFile;
use crate::spool_writer::{create_spool, words};

/// Opus' own clock, whatever the calls' rates were.
const RATE: u32 = 48_000;
/// Frames in a piece.
const PIECE: usize = RATE as usize;
/// One logical stream in the file, so any number will do; fixed, the same recording gives the same file.
const SERIAL: u32 = 1;

/// Writes `out` whole or not at all; over an existing file.
///
/// # Errors
/// `BadFile`, naming the recording or `out`.
pub fn render_ogg(recording: &Path, key: &[u8; 32], out: &Path) -> Result<(), Error> {
    let spool = SpoolFile::open(recording, key, RATE)?;
    let part = out.with_extension("part");
    // Left over by a process that was killed in the middle.
    let _ = fs::remove_file(&part);
    let done = create_spool(&part)
        .map_err(|error| bad(out, words(&error)))
        .and_then(|file| encode(spool, file, out))
        .and_then(|()| fs::rename(&part, out).map_err(|error| bad(out, words(&error))));
    if done.is_err() {
        // The first error is the one to tell.
        let _ = fs::remove_file(&part);
    }
    done
}

fn encode(mut spool: SpoolFile, file: File, out: &Path) -> Result<(), Error> {
    let codec_error = |error: media_core::ogg::OggError| bad(out, error.to_string());
    let file_error = |error: std::io::Error| bad(out, words(&error));
    let mut file = BufWriter::new(file);
    let mut ogg = OggOpusWriter::new(SERIAL).map_err(codec_error)?;
    loop {
        let stereo = spool.read(PIECE)?;
        if stereo.is_empty() {
            break;
        }
        let octets = ogg.push(&stereo).map_err(codec_error)?;
        file.write_all(&octets).map_err(file_error)?;
    }
    let octets = ogg.finish().map_err(codec_error)?;
    file.write_all(&octets).map_err(file_error)?;
    file.flush().map_err(file_error)
}

fn bad(path: &Path, reason: String) -> Error {
    Error::BadFile {
        path: path.to_owned(),
        reason,
    }
}
