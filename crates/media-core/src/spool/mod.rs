//! The recording spool: what both sides of a call sent, undecoded, encrypted, whole up to the last second.
//!
//! ```text
//! file   = header chunk* end-chunk
//! header = "SENTSPL1" version:u16 reserved:u16 recording-id:16 started-unix-ms:u64          36 octets
//! chunk  = length:u32 nonce:12 AES-256-GCM(records) tag:16      length counts nonce, records and tag
//!          associated data = header ‖ chunk index:u64, so no chunk can be moved, swapped or taken from elsewhere
//! plain  = kind:u8 (0 records, 1 end) ‖ records, or the duration in µs:u64 for the end
//! record = 1 packet: side:u8 arrival-µs:u64 ssrc:u32 timestamp:u32 sequence:u16 payload-type:u8 length:u16 payload
//!        | 2 codec:  side:u8 payload-type:u8 clock:u32 channels:u8 length:u8 name
//!        | 3 pause, 4 resume: arrival-µs:u64                    (reserved: read, not yet written)
//! ```
//! All numbers are big endian. A file without its end chunk was cut off (a crash, a full disk); its whole chunks count.
//! AES-256-GCM comes from `ring`, which is in the tree for SRTP already and is fast and constant in time.

mod reader;
mod render;
mod writer;

pub use reader::{Info, Reader, SpoolError};
pub use render::Renderer;
pub use writer::SpoolWriter;

use ring::aead::{Aad, LessSafeKey, UnboundKey, AES_256_GCM};

use crate::codec::CodecId;
use crate::ids::{PayloadType, Ssrc};

pub const MAGIC: &[u8; 8] = b"SENTSPL1";
pub const VERSION: u16 = 1;
pub const HEADER_LEN: usize = 36;
const NONCE_LEN: usize = 12;
const TAG_LEN: usize = 16;
/// A chunk's records are at most so long; a reader refuses more.
const MAX_CHUNK: usize = 1 << 20;

const KIND_RECORDS: u8 = 0;
const KIND_END: u8 = 1;
const RECORD_PACKET: u8 = 1;
const RECORD_CODEC: u8 = 2;
const RECORD_PAUSE: u8 = 3;
const RECORD_RESUME: u8 = 4;

/// Whose voice.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Side {
    Left,
    Right,
}

impl Side {
    pub(crate) fn index(self) -> usize {
        match self {
            Self::Left => 0,
            Self::Right => 1,
        }
    }

    fn from_octet(octet: u8) -> Option<Self> {
        match octet {
            0 => Some(Self::Left),
            1 => Some(Self::Right),
            _ => None,
        }
    }
}

/// A packet as it was received.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PacketRecord<'a> {
    pub side: Side,
    /// Since the start of the recording.
    pub arrival_micros: u64,
    pub ssrc: Ssrc,
    pub timestamp: u32,
    pub sequence: u16,
    pub payload_type: PayloadType,
    pub payload: &'a [u8],
}

/// What a payload type means on a side from here on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CodecRecord {
    pub side: Side,
    pub payload_type: PayloadType,
    pub codec: CodecId,
    pub clock_rate: u32,
    pub channels: u8,
}

/// One record of a spool.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Record<'a> {
    Packet(PacketRecord<'a>),
    Codec(CodecRecord),
    Pause { at_micros: u64 },
    Resume { at_micros: u64 },
}

/// What stands in clear at the start of a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SpoolHeader {
    pub recording_id: [u8; 16],
    pub started_unix_ms: u64,
}

impl SpoolHeader {
    #[must_use]
    pub fn to_bytes(&self) -> [u8; HEADER_LEN] {
        let mut out = [0; HEADER_LEN];
        out[..8].copy_from_slice(MAGIC);
        out[8..10].copy_from_slice(&VERSION.to_be_bytes());
        out[12..28].copy_from_slice(&self.recording_id);
        out[28..36].copy_from_slice(&self.started_unix_ms.to_be_bytes());
        out
    }

    /// None when it is no spool of this version.
    #[must_use]
    pub fn parse(data: &[u8; HEADER_LEN]) -> Option<Self> {
        let header = Self {
            recording_id: data[12..28].try_into().ok()?,
            started_unix_ms: u64::from_be_bytes(data[28..36].try_into().ok()?),
        };
        (header.to_bytes() == *data).then_some(header)
    }
}

fn sealing_key(key: &[u8; 32]) -> Option<LessSafeKey> {
    UnboundKey::new(&AES_256_GCM, key)
        .ok()
        .map(LessSafeKey::new)
}

fn associated_data(header: &[u8; HEADER_LEN], index: u64) -> Aad<[u8; HEADER_LEN + 8]> {
    let mut data = [0; HEADER_LEN + 8];
    data[..HEADER_LEN].copy_from_slice(header);
    data[HEADER_LEN..].copy_from_slice(&index.to_be_bytes());
    Aad::from(data)
}

#[cfg(test)]
mod tests;
