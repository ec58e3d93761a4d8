//! RTP packets (RFC 3550 §5.1): a view on borrowed octets, and the writing of headers.

use core::ops::Range;

use crate::ids::{PayloadType, Ssrc};

/// Octets of a header without CSRC and extension.
pub const HEADER_LEN: usize = 12;

/// Why octets are not an RTP packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RtpError {
    /// Shorter than its own header says.
    Truncated,
    /// Version is not 2.
    Version,
    /// The padding count is 0 or reaches into the header (RFC 3550 §5.1).
    Padding,
}

/// The fixed header's fields.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    pub marker: bool,
    pub payload_type: PayloadType,
    pub sequence: u16,
    pub timestamp: u32,
    pub ssrc: Ssrc,
}

/// A parsed packet, without a copy.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Packet<'a> {
    pub header: Header,
    /// Contributing sources, four octets each.
    pub csrc: &'a [u8],
    /// Profile-defined id and data of the header extension (RFC 3550 §5.3.1).
    pub extension: Option<(u16, &'a [u8])>,
    pub payload: &'a [u8],
    payload_start: usize,
}

/// Tells RTP from RTCP on one socket (RFC 5761 §4): packet types 192 to 223 are RTCP.
#[must_use]
pub fn is_rtcp(packet: &[u8]) -> bool {
    packet.len() >= 2 && (192..=223).contains(&packet[1])
}

fn be16(data: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(data.get(at..at + 2)?.try_into().ok()?))
}

fn be32(data: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(data.get(at..at + 4)?.try_into().ok()?))
}

impl<'a> Packet<'a> {
    /// # Errors
    /// As `RtpError` says; never panics.
    pub fn parse(data: &'a [u8]) -> Result<Self, RtpError> {
        if data.len() < HEADER_LEN {
            return Err(RtpError::Truncated);
        }
        if data[0] >> 6 != 2 {
            return Err(RtpError::Version);
        }
        let padded = data[0] & 0x20 != 0;
        let extended = data[0] & 0x10 != 0;
        let csrc_end = HEADER_LEN + 4 * usize::from(data[0] & 0x0f);
        let csrc = data.get(HEADER_LEN..csrc_end).ok_or(RtpError::Truncated)?;
        let mut start = csrc_end;
        let mut extension = None;
        if extended {
            let id = be16(data, start).ok_or(RtpError::Truncated)?;
            let words = be16(data, start + 2).ok_or(RtpError::Truncated)?;
            let end = start + 4 + 4 * usize::from(words);
            extension = Some((id, data.get(start + 4..end).ok_or(RtpError::Truncated)?));
            start = end;
        }
        let mut end = data.len();
        if padded {
            let count = usize::from(data[end - 1]);
            if count == 0 || count > end - start {
                return Err(RtpError::Padding);
            }
            end -= count;
        }
        Ok(Self {
            header: Header {
                marker: data[1] & 0x80 != 0,
                payload_type: PayloadType(data[1] & 0x7f),
                sequence: be16(data, 2).ok_or(RtpError::Truncated)?,
                timestamp: be32(data, 4).ok_or(RtpError::Truncated)?,
                ssrc: Ssrc(be32(data, 8).ok_or(RtpError::Truncated)?),
            },
            csrc,
            extension,
            payload: &data[start..end],
            payload_start: start,
        })
    }

    /// Where the payload lies in the octets that were parsed.
    #[must_use]
    pub fn payload_range(&self) -> Range<usize> {
        self.payload_start..self.payload_start + self.payload.len()
    }
}

impl Header {
    /// The twelve octets of a header without padding, extension and CSRC.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; HEADER_LEN] {
        let mut out = [0; HEADER_LEN];
        out[0] = 0x80;
        out[1] = (self.payload_type.0 & 0x7f) | if self.marker { 0x80 } else { 0 };
        out[2..4].copy_from_slice(&self.sequence.to_be_bytes());
        out[4..8].copy_from_slice(&self.timestamp.to_be_bytes());
        out[8..12].copy_from_slice(&self.ssrc.0.to_be_bytes());
        out
    }

    /// Append header and payload to `out`, which is cleared first.
    pub fn write(&self, payload: &[u8], out: &mut Vec<u8>) {
        out.clear();
        out.extend_from_slice(&self.to_bytes());
        out.extend_from_slice(payload);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn header() -> Header {
        Header {
            marker: true,
            payload_type: PayloadType(101),
            sequence: 0xfffe,
            timestamp: 0xdead_beef,
            ssrc: Ssrc(0x0102_0304),
        }
    }

    #[test]
    fn writes_what_it_reads() {
        let mut packet = Vec::new();
        header().write(b"hello", &mut packet);
        let parsed = Packet::parse(&packet).unwrap();
        assert_eq!(parsed.header, header());
        assert_eq!(parsed.payload, b"hello");
        assert_eq!(parsed.payload_range(), 12..17);
    }

    #[test]
    fn reads_csrc_extension_and_padding() {
        let mut packet = vec![0xb2, 0x00, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3];
        packet.extend_from_slice(&[9; 8]); // two CSRC
        packet.extend_from_slice(&[0xbe, 0xde, 0, 1, 0x10, 0xff, 0, 0]); // one word of extension
        packet.extend_from_slice(&[7, 7, 7, 0, 0, 3]); // three octets, three of padding
        let parsed = Packet::parse(&packet).unwrap();
        assert_eq!(parsed.csrc, &[9; 8]);
        assert_eq!(parsed.extension, Some((0xbede, &[0x10, 0xff, 0, 0][..])));
        assert_eq!(parsed.payload, &[7, 7, 7]);
        assert!(!parsed.header.marker);
    }

    #[test]
    fn refuses_what_is_not_whole() {
        assert_eq!(Packet::parse(&[0x80; 11]), Err(RtpError::Truncated));
        let mut packet = [0; 12];
        assert_eq!(Packet::parse(&packet), Err(RtpError::Version));
        packet[0] = 0x81; // one CSRC announced, none there
        assert_eq!(Packet::parse(&packet), Err(RtpError::Truncated));
        packet[0] = 0x90; // extension announced
        assert_eq!(Packet::parse(&packet), Err(RtpError::Truncated));
        packet[0] = 0xa0; // padding of zero octets
        assert_eq!(Packet::parse(&packet), Err(RtpError::Padding));
    }

    #[test]
    fn rtcp_is_told_apart() {
        assert!(is_rtcp(&[0x80, 200]));
        assert!(!is_rtcp(&[0x80, 0x80 | 101]));
        assert!(!is_rtcp(&[0x80]));
    }

    proptest! {
        #[test]
        fn any_octets_do_not_panic(data in proptest::collection::vec(any::<u8>(), 0..80)) {
            if let Ok(packet) = Packet::parse(&data) {
                prop_assert_eq!(&data[packet.payload_range()], packet.payload);
            }
        }
    }
}
