//! WAV files to be played, shared while they play: hold music for a hundred calls is in memory once.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::SystemTime;

use media_core::wav::Wav;

use crate::error::Error;
use crate::spool_writer::words;

/// Announcements, not albums.
const MAX_OCTETS: u64 = 128 * 1024 * 1024;

/// A file that was written anew is read anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    octets: u64,
}

#[derive(Debug)]
struct Entry {
    stamp: Stamp,
    rate: u32,
    samples: Weak<[i16]>,
}

#[derive(Debug, Default)]
pub struct WavFiles {
    playing: Mutex<HashMap<PathBuf, Entry>>,
}

impl WavFiles {
    /// The samples of the first channel and their rate.
    pub fn read(&self, path: &Path) -> Result<(Arc<[i16]>, u32), Error> {
        let bad = |reason: String| Error::BadFile {
            path: path.to_owned(),
            reason,
        };
        let mut file = File::open(path).map_err(|error| bad(words(&error)))?;
        let about = file.metadata().map_err(|error| bad(words(&error)))?;
        if !about.is_file() {
            return Err(bad("not a file".into()));
        }
        let stamp = Stamp {
            modified: about.modified().ok(),
            octets: about.len(),
        };
        if stamp.octets > MAX_OCTETS {
            return Err(bad(format!("larger than {} MiB", MAX_OCTETS >> 20)));
        }
        let mut playing = self.playing.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = playing.get(path).filter(|entry| entry.stamp == stamp) {
            if let Some(samples) = entry.samples.upgrade() {
                return Ok((samples, entry.rate));
            }
        }
        let mut data = Vec::new();
        (&mut file)
            .take(MAX_OCTETS)
            .read_to_end(&mut data)
            .map_err(|error| bad(words(&error)))?;
        let wav = Wav::parse(&data).map_err(|error| bad(error.to_string()))?;
        let samples: Arc<[i16]> = wav.samples.into();
        playing.retain(|_, entry| entry.samples.strong_count() > 0);
        let entry = Entry {
            stamp,
            rate: wav.rate,
            samples: Arc::downgrade(&samples),
        };
        playing.insert(path.to_owned(), entry);
        Ok((samples, wav.rate))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wav(samples: &[i16]) -> Vec<u8> {
        let mut file = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0".to_vec();
        file.extend(16_000_u32.to_le_bytes());
        file.extend(32_000_u32.to_le_bytes());
        file.extend(b"\x02\0\x10\0data");
        file.extend((samples.len() as u32 * 2).to_le_bytes());
        file.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
        file
    }

    #[test]
    fn a_file_is_shared_while_it_plays_and_read_anew_when_it_changed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hold.wav");
        let files = WavFiles::default();
        std::fs::write(&path, wav(&[1, 2, 3])).unwrap();
        let (first, rate) = files.read(&path).unwrap();
        assert_eq!((&first[..], rate), (&[1, 2, 3][..], 16_000));
        assert!(Arc::ptr_eq(&first, &files.read(&path).unwrap().0));
        std::fs::write(&path, wav(&[4, 5, 6, 7])).unwrap();
        assert_eq!(files.read(&path).unwrap().0[..], [4, 5, 6, 7]);
    }

    #[test]
    fn what_cannot_be_played_is_refused_with_the_path_and_the_reason() {
        let folder = tempfile::tempdir().unwrap();
        let files = WavFiles::default();
        let refuse = |name: &str| {
            let error = files.read(&folder.path().join(name)).unwrap_err();
            assert_eq!(error.code(), "media.bad_file");
            assert!(error.to_string().contains(name));
            error.to_string()
        };
        assert!(refuse("absent.wav").contains("No such file or directory"));
        std::fs::write(folder.path().join("text.wav"), "hello, hello, hello").unwrap();
        assert!(refuse("text.wav").contains("not a WAV file"));
        std::fs::create_dir(folder.path().join("folder.wav")).unwrap();
        assert!(refuse("folder.wav").contains("not a file"));
    }
}
