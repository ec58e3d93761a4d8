//! Reading a spool back, chunk by chunk.

use std::io::Read;

use ring::aead::{LessSafeKey, Nonce};

use super::{
    associated_data, sealing_key, CodecRecord, PacketRecord, Record, Side, SpoolHeader, HEADER_LEN,
    KIND_END, KIND_RECORDS, MAX_CHUNK, NONCE_LEN, RECORD_CODEC, RECORD_PACKET, RECORD_PAUSE,
    RECORD_RESUME, TAG_LEN,
};
use crate::codec::CodecId;
use crate::ids::{PayloadType, Ssrc};

/// Why a spool cannot be read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SpoolError {
    NotASpool,
    /// The chunk of this number is not what was written under this key, here, in this file.
    NotAuthentic(u64),
    /// The chunk decrypts but makes no sense.
    Malformed(u64),
    Io(String),
}

impl core::fmt::Display for SpoolError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::NotASpool => f.write_str("not a recording spool (or of another version)"),
            Self::NotAuthentic(0) => f.write_str(
                "the recording cannot be decrypted: wrong key, or its first chunk was changed",
            ),
            Self::NotAuthentic(chunk) => write!(
                f,
                "chunk {chunk} of the recording was changed, moved or replaced"
            ),
            Self::Malformed(chunk) => {
                write!(f, "chunk {chunk} of the recording holds no valid records")
            }
            Self::Io(error) => write!(f, "the recording cannot be read: {error}"),
        }
    }
}

impl std::error::Error for SpoolError {}

/// Decrypts one chunk after another and lends its records.
pub struct Reader<R> {
    input: R,
    header: SpoolHeader,
    header_bytes: [u8; HEADER_LEN],
    key: LessSafeKey,
    index: u64,
    plain: Vec<u8>,
    at: usize,
    end: Option<u64>,
    truncated: bool,
}

impl<R: Read> Reader<R> {
    /// # Errors
    /// `NotASpool`, `Io`.
    pub fn new(mut input: R, key: &[u8; 32]) -> Result<Self, SpoolError> {
        let mut header_bytes = [0; HEADER_LEN];
        if fill(&mut input, &mut header_bytes)? < HEADER_LEN {
            return Err(SpoolError::NotASpool);
        }
        let header = SpoolHeader::parse(&header_bytes).ok_or(SpoolError::NotASpool)?;
        Ok(Self {
            input,
            header,
            header_bytes,
            key: sealing_key(key).ok_or(SpoolError::NotASpool)?,
            index: 0,
            plain: Vec::new(),
            at: 0,
            end: None,
            truncated: false,
        })
    }

    #[must_use]
    pub fn header(&self) -> &SpoolHeader {
        &self.header
    }

    /// The recording's length in µs, once its end was read; None for a file that was cut off.
    #[must_use]
    pub fn end_micros(&self) -> Option<u64> {
        self.end
    }

    /// The file ended without its end mark.
    #[must_use]
    pub fn is_truncated(&self) -> bool {
        self.truncated
    }

    /// The next record; None at the end.
    ///
    /// # Errors
    /// As `SpoolError` says; a file that ends inside a chunk is not an error but `is_truncated`.
    pub fn next_record(&mut self) -> Result<Option<Record<'_>>, SpoolError> {
        while self.at >= self.plain.len() {
            if self.end.is_some() || self.truncated || !self.next_chunk()? {
                return Ok(None);
            }
        }
        let chunk = self.index - 1;
        let mut fields = Fields {
            data: &self.plain[self.at..],
        };
        let record = fields.record().ok_or(SpoolError::Malformed(chunk))?;
        self.at = self.plain.len() - fields.data.len();
        Ok(Some(record))
    }

    /// A chunk that ends in zeros, and then nothing but zeros: what a crash leaves of a file whose length was already
    /// written. Whoever makes a file look so could have cut it off as well.
    fn only_zeros_follow(&mut self) -> Result<bool, SpoolError> {
        let mut rest = [0; 4_096];
        loop {
            let count = fill(&mut self.input, &mut rest)?;
            if rest[..count].iter().any(|&octet| octet != 0) {
                return Ok(false);
            }
            if count < rest.len() {
                return Ok(true);
            }
        }
    }

    /// False at the end of the file.
    fn next_chunk(&mut self) -> Result<bool, SpoolError> {
        self.plain.clear();
        self.at = 0;
        let mut length = [0; 4];
        let complete = fill(&mut self.input, &mut length)? == 4;
        let length = u32::from_be_bytes(length) as usize;
        // A file system may leave zeros at the end of a file that a crash cut off.
        if !complete || length == 0 {
            self.truncated = true;
            return Ok(false);
        }
        if !(NONCE_LEN + 1 + TAG_LEN..=MAX_CHUNK).contains(&length) {
            return Err(SpoolError::NotAuthentic(self.index));
        }
        self.plain.resize(length, 0);
        if fill(&mut self.input, &mut self.plain)? < length {
            self.plain.clear();
            self.truncated = true;
            return Ok(false);
        }
        let zeros = self.plain.ends_with(&[0; 4]);
        let sealed = self.plain.split_off(NONCE_LEN);
        let nonce = Nonce::try_assume_unique_for_key(&self.plain)
            .map_err(|_| SpoolError::NotAuthentic(self.index))?;
        self.plain = sealed;
        let aad = associated_data(&self.header_bytes, self.index);
        let opened = self
            .key
            .open_in_place(nonce, aad, &mut self.plain)
            .map(|plain| plain.len());
        let Ok(length) = opened else {
            self.plain.clear();
            if zeros && self.only_zeros_follow()? {
                self.truncated = true;
                return Ok(false);
            }
            return Err(SpoolError::NotAuthentic(self.index));
        };
        self.plain.truncate(length);
        let malformed = SpoolError::Malformed(self.index);
        self.index += 1;
        self.at = 1;
        match self.plain.first() {
            Some(&KIND_RECORDS) => Ok(true),
            Some(&KIND_END) => {
                let micros = self
                    .plain
                    .get(1..9)
                    .and_then(|octets| octets.try_into().ok());
                self.end = Some(u64::from_be_bytes(micros.ok_or(malformed)?));
                self.plain.clear();
                Ok(false)
            }
            _ => Err(malformed),
        }
    }
}

/// What a spool is, found by reading it once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Info {
    pub recording_id: [u8; 16],
    pub started_unix_ms: u64,
    pub duration_ms: u64,
    /// The file was cut off; all whole chunks are readable.
    pub truncated: bool,
    pub packets: u64,
}

impl Info {
    /// # Errors
    /// As `SpoolError` says.
    pub fn scan<R: Read>(input: R, key: &[u8; 32]) -> Result<Self, SpoolError> {
        let mut reader = Reader::new(input, key)?;
        let (mut last, mut packets) = (0, 0);
        while let Some(record) = reader.next_record()? {
            if let Record::Packet(packet) = record {
                last = packet.arrival_micros.max(last);
                packets += 1;
            }
        }
        Ok(Self {
            recording_id: reader.header.recording_id,
            started_unix_ms: reader.header.started_unix_ms,
            duration_ms: reader.end.unwrap_or(last) / 1_000,
            truncated: reader.truncated,
            packets,
        })
    }
}

/// Fill `buffer` as far as the input goes; the octets read.
fn fill<R: Read>(input: &mut R, buffer: &mut [u8]) -> Result<usize, SpoolError> {
    let mut done = 0;
    while done < buffer.len() {
        match input.read(&mut buffer[done..]) {
            Ok(0) => break,
            Ok(count) => done += count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(SpoolError::Io(error.to_string())),
        }
    }
    Ok(done)
}

struct Fields<'a> {
    data: &'a [u8],
}

impl<'a> Fields<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.data.split_at_checked(count)?;
        self.data = tail;
        Some(head)
    }

    fn octet(&mut self) -> Option<u8> {
        self.take(1).map(|octets| octets[0])
    }

    fn be16(&mut self) -> Option<u16> {
        Some(u16::from_be_bytes(self.take(2)?.try_into().ok()?))
    }

    fn be32(&mut self) -> Option<u32> {
        Some(u32::from_be_bytes(self.take(4)?.try_into().ok()?))
    }

    fn be64(&mut self) -> Option<u64> {
        Some(u64::from_be_bytes(self.take(8)?.try_into().ok()?))
    }

    fn record(&mut self) -> Option<Record<'a>> {
        match self.octet()? {
            RECORD_PACKET => {
                let side = Side::from_octet(self.octet()?)?;
                let arrival_micros = self.be64()?;
                let ssrc = Ssrc(self.be32()?);
                let timestamp = self.be32()?;
                let sequence = self.be16()?;
                let payload_type = PayloadType(self.octet()?);
                let length = usize::from(self.be16()?);
                let payload = self.take(length)?;
                Some(Record::Packet(PacketRecord {
                    side,
                    arrival_micros,
                    ssrc,
                    timestamp,
                    sequence,
                    payload_type,
                    payload,
                }))
            }
            RECORD_CODEC => {
                let side = Side::from_octet(self.octet()?)?;
                let payload_type = PayloadType(self.octet()?);
                let clock_rate = self.be32()?;
                let channels = self.octet()?;
                let length = usize::from(self.octet()?);
                let name = core::str::from_utf8(self.take(length)?).ok()?;
                Some(Record::Codec(CodecRecord {
                    side,
                    payload_type,
                    codec: CodecId::from_name(name),
                    clock_rate,
                    channels,
                }))
            }
            RECORD_PAUSE => Some(Record::Pause {
                at_micros: self.be64()?,
            }),
            RECORD_RESUME => Some(Record::Resume {
                at_micros: self.be64()?,
            }),
            _ => None,
        }
    }
}
