//! Ogg Opus (RFC 3533, RFC 7845): stereo sound in, the octets of an `.ogg` file out.

use opus::{Application, Bitrate, Channels, Encoder};

/// 20 ms at 48 kHz.
const FRAME: usize = 960;
/// Packets per page: one second, the most that RFC 7845 §6 advises.
const PACKETS_PER_PAGE: usize = 50;
const BITRATE: i32 = 48_000;
const MAX_PACKET: usize = 1_275 * 3;

const CONTINUES: u8 = 0;
const FIRST_PAGE: u8 = 2;
const LAST_PAGE: u8 = 4;

/// The encoder refused; does not happen with these settings.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OggError(pub String);

impl core::fmt::Display for OggError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "the recording cannot be encoded as Opus: {}", self.0)
    }
}

impl std::error::Error for OggError {}

impl From<opus::Error> for OggError {
    fn from(error: opus::Error) -> Self {
        Self(error.to_string())
    }
}

/// Encodes 48 kHz stereo and packs it into pages.
pub struct OggOpusWriter {
    encoder: Encoder,
    serial: u32,
    page: u32,
    pending: Vec<i16>,
    packets: Vec<Vec<u8>>,
    /// Samples encoded so far.
    granule: u64,
    /// Samples given so far.
    given: u64,
    pre_skip: u16,
    out: Vec<u8>,
}

impl OggOpusWriter {
    /// `serial` tells streams of one file apart; any number.
    ///
    /// # Errors
    /// `OggError`.
    pub fn new(serial: u32) -> Result<Self, OggError> {
        let mut encoder = Encoder::new(48_000, Channels::Stereo, Application::Audio)?;
        encoder.set_bitrate(Bitrate::Bits(BITRATE))?;
        encoder.set_complexity(5)?;
        let pre_skip = u16::try_from(encoder.get_lookahead()?).unwrap_or(312);
        let mut writer = Self {
            encoder,
            serial,
            page: 0,
            pending: Vec::new(),
            packets: Vec::new(),
            granule: 0,
            given: 0,
            pre_skip,
            out: Vec::new(),
        };
        let mut head = b"OpusHead".to_vec();
        head.extend_from_slice(&[1, 2]);
        head.extend_from_slice(&pre_skip.to_le_bytes());
        head.extend_from_slice(&48_000u32.to_le_bytes());
        head.extend_from_slice(&[0, 0, 0]);
        writer.write_page(FIRST_PAGE, 0, &[head]);
        let vendor = b"SENT";
        let mut tags = b"OpusTags".to_vec();
        tags.extend_from_slice(&(vendor.len() as u32).to_le_bytes());
        tags.extend_from_slice(vendor);
        tags.extend_from_slice(&0u32.to_le_bytes());
        writer.write_page(CONTINUES, 0, &[tags]);
        Ok(writer)
    }

    /// Give interleaved stereo at 48 kHz; the octets that are complete.
    ///
    /// # Errors
    /// `OggError`.
    pub fn push(&mut self, stereo: &[i16]) -> Result<Vec<u8>, OggError> {
        self.given += stereo.len() as u64 / 2;
        self.pending.extend_from_slice(stereo);
        self.encode_pending()?;
        Ok(core::mem::take(&mut self.out))
    }

    /// The last page.
    ///
    /// # Errors
    /// `OggError`.
    pub fn finish(mut self) -> Result<Vec<u8>, OggError> {
        // The decoder drops the first `pre_skip` samples, so as many more must be encoded, and whole frames of them.
        let total = self.given + u64::from(self.pre_skip);
        let missing = (total - self.granule).next_multiple_of(FRAME as u64) as usize;
        self.pending.resize(2 * missing, 0);
        self.encode_pending()?;
        // The last granule position cuts the padding off (RFC 7845 §4.4).
        let packets = core::mem::take(&mut self.packets);
        self.write_page(LAST_PAGE, total, &packets);
        Ok(self.out)
    }

    fn encode_pending(&mut self) -> Result<(), OggError> {
        let mut at = 0;
        while self.pending.len() - at >= 2 * FRAME {
            // The last page holds at least one packet, so a page is closed only when another packet follows.
            let lacing: usize = self
                .packets
                .iter()
                .map(|packet| packet.len() / 255 + 1)
                .sum();
            if self.packets.len() >= PACKETS_PER_PAGE || lacing + MAX_PACKET / 255 + 1 > 255 {
                let packets = core::mem::take(&mut self.packets);
                self.write_page(CONTINUES, self.granule, &packets);
            }
            let mut packet = vec![0; MAX_PACKET];
            let length = self
                .encoder
                .encode(&self.pending[at..at + 2 * FRAME], &mut packet)?;
            packet.truncate(length);
            self.packets.push(packet);
            self.granule += FRAME as u64;
            at += 2 * FRAME;
        }
        self.pending.drain(..at);
        Ok(())
    }

    fn write_page(&mut self, flags: u8, granule: u64, packets: &[Vec<u8>]) {
        let mut lacing = Vec::new();
        for packet in packets {
            lacing.resize(lacing.len() + packet.len() / 255, 255);
            lacing.push((packet.len() % 255) as u8);
        }
        debug_assert!(lacing.len() <= 255);
        let start = self.out.len();
        self.out.extend_from_slice(b"OggS\0");
        self.out.push(flags);
        self.out.extend_from_slice(&granule.to_le_bytes());
        self.out.extend_from_slice(&self.serial.to_le_bytes());
        self.out.extend_from_slice(&self.page.to_le_bytes());
        self.out.extend_from_slice(&[0; 4]);
        self.out.push(lacing.len() as u8);
        self.out.extend_from_slice(&lacing);
        for packet in packets {
            self.out.extend_from_slice(packet);
        }
        let checksum = crc(&self.out[start..]);
        self.out[start + 22..start + 26].copy_from_slice(&checksum.to_le_bytes());
        self.page += 1;
    }
}

const fn crc_table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let mut value = (index as u32) << 24;
        let mut bit = 0;
        while bit < 8 {
            value = (value << 1)
                ^ if value & 0x8000_0000 != 0 {
                    0x04c1_1db7
                } else {
                    0
                };
            bit += 1;
        }
        table[index] = value;
        index += 1;
    }
    table
}

static CRC: [u32; 256] = crc_table();

/// RFC 3533 §6: polynomial 0x04c11db7, no reflection, no inversion.
fn crc(data: &[u8]) -> u32 {
    data.iter().fold(0, |sum, &octet| {
        (sum << 8) ^ CRC[((sum >> 24) as u8 ^ octet) as usize]
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{goertzel_dbm0, sine};

    struct Page {
        flags: u8,
        granule: u64,
        packets: Vec<Vec<u8>>,
    }

    fn pages(mut data: &[u8]) -> Vec<Page> {
        let mut out = Vec::new();
        while !data.is_empty() {
            assert_eq!(&data[..5], b"OggS\0");
            assert_eq!(
                u32::from_le_bytes(data[18..22].try_into().unwrap()),
                out.len() as u32
            );
            let count = usize::from(data[26]);
            let lacing = &data[27..27 + count];
            let length = 27 + count + lacing.iter().map(|&l| usize::from(l)).sum::<usize>();
            let mut checked = data[..length].to_vec();
            checked[22..26].fill(0);
            assert_eq!(crc(&checked).to_le_bytes(), data[22..26]);
            let mut packets = vec![Vec::new()];
            let mut at = 27 + count;
            for &value in lacing {
                let end = at + usize::from(value);
                packets
                    .last_mut()
                    .unwrap()
                    .extend_from_slice(&data[at..end]);
                at = end;
                if value < 255 {
                    packets.push(Vec::new());
                }
            }
            packets.pop();
            out.push(Page {
                flags: data[5],
                granule: u64::from_le_bytes(data[6..14].try_into().unwrap()),
                packets,
            });
            data = &data[length..];
        }
        out
    }

    #[test]
    fn the_checksum_is_that_of_the_rfc() {
        // The check value of CRC-32/MPEG-2's polynomial with initial value 0 and no inversion.
        assert_eq!(crc(b"123456789"), 0x89a1_897f);
    }

    #[test]
    fn a_file_holds_exactly_what_was_given() {
        for samples in [48_000 * 3 + 17, 500, 0, 960 * 50, 960 * 50 - 312] {
            let mut writer = OggOpusWriter::new(7).unwrap();
            let left = sine(48_000, 500.0, -10.0, samples);
            let right = sine(48_000, 1_200.0, -16.0, samples);
            let stereo: Vec<i16> = left
                .iter()
                .zip(&right)
                .flat_map(|(l, r)| [*l, *r])
                .collect();
            let mut file = Vec::new();
            for part in stereo.chunks(2 * 777) {
                file.extend(writer.push(part).unwrap());
            }
            file.extend(writer.finish().unwrap());
            let pages = pages(&file);
            assert_eq!((pages[0].flags, pages[0].granule), (FIRST_PAGE, 0));
            assert_eq!(&pages[0].packets[0][..10], b"OpusHead\x01\x02");
            assert_eq!(&pages[1].packets[0][..8], b"OpusTags");
            let last = pages.last().unwrap();
            assert_eq!(last.flags, LAST_PAGE);
            assert!(!last.packets.is_empty());
            assert!(pages
                .windows(2)
                .all(|pair| pair[0].granule <= pair[1].granule));
            let pre_skip = usize::from(u16::from_le_bytes(
                pages[0].packets[0][10..12].try_into().unwrap(),
            ));
            assert_eq!(last.granule as usize, samples + pre_skip);
            let mut decoder = opus::Decoder::new(48_000, Channels::Stereo).unwrap();
            let mut heard = Vec::new();
            for packet in pages[2..].iter().flat_map(|page| &page.packets) {
                let mut frame = [0; 2 * 5_760];
                let count = decoder.decode(packet, &mut frame, false).unwrap();
                heard.extend_from_slice(&frame[..2 * count]);
            }
            assert!(heard.len() / 2 >= samples + pre_skip);
            if samples > 48_000 * 2 {
                let (l, r): (Vec<i16>, Vec<i16>) = heard[96_000..192_000]
                    .chunks_exact(2)
                    .map(|f| (f[0], f[1]))
                    .unzip();
                assert!((goertzel_dbm0(&l, 48_000, 500.0) - -10.0).abs() < 0.5);
                assert!((goertzel_dbm0(&r, 48_000, 1_200.0) - -16.0).abs() < 0.5);
                assert!(goertzel_dbm0(&l, 48_000, 1_200.0) < -40.0);
            }
        }
    }
}
