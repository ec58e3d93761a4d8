//! Reading WAV files: 16-bit PCM, any rate, first channel.

/// Samples of the first channel that a file may hold: 20 minutes at 48 kHz.
pub const MAX_SAMPLES: usize = 20 * 60 * 48_000;

/// Why a file cannot be played.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WavError {
    NotWav,
    Truncated,
    /// Another format than 16-bit PCM: format tag and bits per sample.
    Format {
        tag: u16,
        bits: u16,
    },
    Channels(u16),
    Rate(u32),
    NoData,
    TooLong,
}

impl core::fmt::Display for WavError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::NotWav => f.write_str("not a WAV file (no RIFF/WAVE header)"),
            Self::Truncated => f.write_str("the WAV file ends inside its header"),
            Self::Format { tag, bits } => write!(
                f,
                "WAV format {tag} with {bits} bits; convert it to 16-bit PCM, e.g. sox in.wav -b 16 -e signed out.wav"
            ),
            Self::Channels(n) => write!(f, "the WAV file claims {n} channels; 1 to 8 are supported"),
            Self::Rate(rate) => write!(f, "the WAV file claims {rate} Hz; 4000 to 192000 are supported"),
            Self::NoData => f.write_str("the WAV file holds no audio"),
            Self::TooLong => f.write_str("the WAV file is longer than 20 minutes at 48 kHz"),
        }
    }
}

impl std::error::Error for WavError {}

/// The first channel of a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wav {
    pub rate: u32,
    pub samples: Vec<i16>,
}

fn le16(data: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(data.get(at..at + 2)?.try_into().ok()?))
}

fn le32(data: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(data.get(at..at + 4)?.try_into().ok()?))
}

const PCM: u16 = 1;
const EXTENSIBLE: u16 = 0xfffe;

impl Wav {
    /// A data chunk that claims more than the file holds (a writer that was cut off) is read as far as it goes.
    ///
    /// # Errors
    /// As `WavError` says.
    pub fn parse(data: &[u8]) -> Result<Self, WavError> {
        if data.get(0..4) != Some(b"RIFF") || data.get(8..12) != Some(b"WAVE") {
            return Err(WavError::NotWav);
        }
        let mut at = 12;
        let mut format = None;
        loop {
            let (Some(id), Some(size)) = (data.get(at..at + 4), le32(data, at + 4)) else {
                return Err(if format.is_some() {
                    WavError::NoData
                } else {
                    WavError::Truncated
                });
            };
            let body = at + 8;
            let size = size as usize;
            if id == b"fmt " {
                format = Some(read_format(
                    data.get(body..body + size).ok_or(WavError::Truncated)?,
                )?);
            } else if id == b"data" {
                let (channels, rate) = format.ok_or(WavError::Truncated)?;
                let end = body.saturating_add(size).min(data.len());
                let frame = 2 * usize::from(channels);
                let audio = &data[body..end];
                if audio.len() / frame > MAX_SAMPLES {
                    return Err(WavError::TooLong);
                }
                let samples: Vec<i16> = audio
                    .chunks_exact(frame)
                    .map(|frame| i16::from_le_bytes([frame[0], frame[1]]))
                    .collect();
                if samples.is_empty() {
                    return Err(WavError::NoData);
                }
                return Ok(Self { rate, samples });
            }
            // Chunks are padded to even length.
            at = body.saturating_add(size).saturating_add(size & 1);
        }
    }
}

fn read_format(chunk: &[u8]) -> Result<(u16, u32), WavError> {
    let truncated = WavError::Truncated;
    let mut tag = le16(chunk, 0).ok_or(truncated)?;
    let channels = le16(chunk, 2).ok_or(truncated)?;
    let rate = le32(chunk, 4).ok_or(truncated)?;
    let bits = le16(chunk, 14).ok_or(truncated)?;
    if tag == EXTENSIBLE {
        // The real tag is the first field of the sub-format GUID.
        tag = le16(chunk, 24).ok_or(truncated)?;
    }
    if tag != PCM || bits != 16 {
        return Err(WavError::Format { tag, bits });
    }
    if !(1..=8).contains(&channels) {
        return Err(WavError::Channels(channels));
    }
    if !(4_000..=192_000).contains(&rate) {
        return Err(WavError::Rate(rate));
    }
    Ok((channels, rate))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn file(format: &[u8], data_len: u32, data: &[u8]) -> Vec<u8> {
        let mut out = b"RIFF\0\0\0\0WAVE".to_vec();
        out.extend_from_slice(b"LIST\x03\0\0\0abc\0"); // odd chunk with its padding
        out.extend_from_slice(b"fmt ");
        out.extend_from_slice(&(format.len() as u32).to_le_bytes());
        out.extend_from_slice(format);
        out.extend_from_slice(b"data");
        out.extend_from_slice(&data_len.to_le_bytes());
        out.extend_from_slice(data);
        out
    }

    fn format(tag: u16, channels: u16, rate: u32, bits: u16) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend_from_slice(&tag.to_le_bytes());
        out.extend_from_slice(&channels.to_le_bytes());
        out.extend_from_slice(&rate.to_le_bytes());
        out.extend_from_slice(&(rate * 2).to_le_bytes());
        out.extend_from_slice(&(channels * 2).to_le_bytes());
        out.extend_from_slice(&bits.to_le_bytes());
        out
    }

    #[test]
    fn takes_the_first_channel() {
        let data = [1, 0, 9, 9, 2, 0, 9, 9];
        let wav = Wav::parse(&file(&format(1, 2, 44_100, 16), 8, &data)).unwrap();
        assert_eq!(
            wav,
            Wav {
                rate: 44_100,
                samples: vec![1, 2]
            }
        );
    }

    #[test]
    fn reads_the_extensible_header_and_a_cut_off_file() {
        let mut extensible = format(EXTENSIBLE, 1, 8_000, 16);
        extensible.extend_from_slice(&[22, 0, 16, 0, 4, 0, 0, 0, 1, 0]);
        extensible.extend_from_slice(&[0; 14]);
        let wav = Wav::parse(&file(&extensible, u32::MAX, &[5, 0, 6, 0, 7])).unwrap();
        assert_eq!(wav.samples, [5, 6]);
    }

    #[test]
    fn says_what_is_wrong() {
        assert_eq!(Wav::parse(b"OggS"), Err(WavError::NotWav));
        let float = Wav::parse(&file(&format(3, 1, 8_000, 32), 4, &[0; 4])).unwrap_err();
        assert_eq!(float, WavError::Format { tag: 3, bits: 32 });
        assert!(float.to_string().contains("16-bit PCM"));
        assert_eq!(
            Wav::parse(&file(&format(1, 0, 8_000, 16), 4, &[0; 4])),
            Err(WavError::Channels(0))
        );
        assert_eq!(
            Wav::parse(&file(&format(1, 1, 0, 16), 4, &[0; 4])),
            Err(WavError::Rate(0))
        );
        assert_eq!(
            Wav::parse(&file(&format(1, 1, 8_000, 16), 0, &[])),
            Err(WavError::NoData)
        );
        assert_eq!(
            Wav::parse(b"RIFF\0\0\0\0WAVEfmt "),
            Err(WavError::Truncated)
        );
    }

    proptest! {
        #[test]
        fn any_octets_do_not_panic(tail in proptest::collection::vec(any::<u8>(), 0..120)) {
            let mut data = b"RIFF\0\0\0\0WAVEfmt ".to_vec();
            data.extend(tail);
            let _ = Wav::parse(&data);
        }
    }
}
