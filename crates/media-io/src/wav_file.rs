//! WAV files to be played: 16-bit PCM, any rate, the first channel.

use std::path::Path;
use std::sync::Arc;

use crate::error::Error;

/// Announcements, not albums: ten minutes at 48 kHz, 58 MB in memory.
const MAX_SECONDS: u32 = 600;

/// The samples of the first channel and their rate.
pub fn read_wav(path: &Path) -> Result<(Arc<[i16]>, u32), Error> {
    let bad = |reason: String| Error::BadFile {
        path: path.to_owned(),
        reason,
    };
    let mut reader = hound::WavReader::open(path).map_err(|error| bad(words(error)))?;
    let spec = reader.spec();
    if spec.bits_per_sample != 16 || spec.sample_format != hound::SampleFormat::Int {
        return Err(bad("only 16-bit PCM can be played; convert the file".into()));
    }
    if !(8_000..=192_000).contains(&spec.sample_rate) {
        return Err(bad(format!(
            "a rate of {} Hz cannot be played; use 8000 to 192000",
            spec.sample_rate
        )));
    }
    if reader.duration() / spec.sample_rate >= MAX_SECONDS {
        return Err(bad(format!(
            "longer than {MAX_SECONDS} s; use a shorter file"
        )));
    }
    let first = reader.samples::<i16>().step_by(usize::from(spec.channels));
    let samples: Vec<i16> = first
        .collect::<Result<_, _>>()
        .map_err(|error| bad(words(error)))?;
    if samples.is_empty() {
        return Err(bad("there is no audio in it".into()));
    }
    Ok((samples.into(), spec.sample_rate))
}

fn words(error: hound::Error) -> String {
    match error {
        hound::Error::IoError(error) => crate::spool_writer::words(&error),
        hound::Error::FormatError(reason) => {
            format!("not a WAV file that can be played ({reason})")
        }
        other => format!("not a WAV file that can be played ({other})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(path: &Path, channels: u16, bits: u16, samples: &[i16]) {
        let spec = hound::WavSpec {
            channels,
            sample_rate: 16_000,
            bits_per_sample: bits,
            sample_format: hound::SampleFormat::Int,
        };
        let mut writer = hound::WavWriter::create(path, spec).unwrap();
        for sample in samples {
            writer.write_sample(*sample).unwrap();
        }
        writer.finalize().unwrap();
    }

    #[test]
    fn the_first_channel_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("stereo.wav");
        write(&path, 2, 16, &[1, -1, 2, -2, 3, -3]);
        let (samples, rate) = read_wav(&path).unwrap();
        assert_eq!((&samples[..], rate), (&[1, 2, 3][..], 16_000));
    }

    #[test]
    fn what_cannot_be_played_is_refused_with_the_reason() {
        let folder = tempfile::tempdir().unwrap();
        let refuse = |name: &str| {
            let error = read_wav(&folder.path().join(name)).unwrap_err();
            assert_eq!(error.code(), "media.bad_file");
            error.to_string()
        };
        assert!(refuse("absent.wav").contains("No such file or directory"));
        std::fs::write(folder.path().join("text.wav"), "hello, hello, hello").unwrap();
        assert!(refuse("text.wav").contains("not a WAV file"));
        write(&folder.path().join("eight.wav"), 1, 8, &[1, 2]);
        assert!(refuse("eight.wav").contains("16-bit"));
        write(&folder.path().join("empty.wav"), 1, 16, &[]);
        assert!(refuse("empty.wav").contains("no audio"));
    }
}
