//! Writing a spool: records in, encrypted chunks out.

use ring::aead::{LessSafeKey, Nonce};

use super::{
    associated_data, sealing_key, CodecRecord, PacketRecord, SpoolHeader, HEADER_LEN, KIND_END,
    KIND_RECORDS, NONCE_LEN, RECORD_CODEC, RECORD_PACKET, TAG_LEN,
};
use crate::time::Time;

/// A chunk is closed after so long; a crash loses no more.
const CHUNK_MICROS: u64 = 1_000_000;
/// A chunk is closed early when it has grown to this.
const CHUNK_OCTETS: usize = 64 * 1024;

/// Collects records and seals them.
pub struct SpoolWriter {
    header: [u8; HEADER_LEN],
    key: LessSafeKey,
    nonce_seed: [u8; NONCE_LEN],
    index: u64,
    started: Time,
    /// Room for length and nonce, then the kind and the records.
    pending: Vec<u8>,
    opened: Option<Time>,
}

const PREFIX: usize = 4 + NONCE_LEN;

impl SpoolWriter {
    /// `nonce_seed` must be random: two files must not share one under the same key. None when `ring` refuses the key,
    /// which it does not at this length.
    #[must_use]
    pub fn new(
        header: &SpoolHeader,
        key: &[u8; 32],
        nonce_seed: [u8; NONCE_LEN],
        now: Time,
    ) -> Option<Self> {
        let mut writer = Self {
            header: header.to_bytes(),
            key: sealing_key(key)?,
            nonce_seed,
            index: 0,
            started: now,
            pending: Vec::with_capacity(CHUNK_OCTETS / 4),
            opened: None,
        };
        writer.begin(KIND_RECORDS);
        Some(writer)
    }

    /// What the file begins with.
    #[must_use]
    pub fn header(&self) -> &[u8; HEADER_LEN] {
        &self.header
    }

    /// Microseconds since the recording began.
    #[must_use]
    pub fn elapsed(&self, now: Time) -> u64 {
        now.since(self.started)
    }

    pub fn push_codec(&mut self, codec: &CodecRecord, now: Time) {
        self.opened.get_or_insert(now);
        let name = codec.codec.name().as_bytes();
        let name = &name[..name.len().min(255)];
        let out = &mut self.pending;
        out.extend_from_slice(&[RECORD_CODEC, codec.side.index() as u8, codec.payload_type.0]);
        out.extend_from_slice(&codec.clock_rate.to_be_bytes());
        out.extend_from_slice(&[codec.channels, name.len() as u8]);
        out.extend_from_slice(name);
    }

    pub fn push_packet(&mut self, packet: &PacketRecord<'_>, now: Time) {
        self.opened.get_or_insert(now);
        let payload = &packet.payload[..packet.payload.len().min(usize::from(u16::MAX))];
        let out = &mut self.pending;
        out.extend_from_slice(&[RECORD_PACKET, packet.side.index() as u8]);
        out.extend_from_slice(&packet.arrival_micros.to_be_bytes());
        out.extend_from_slice(&packet.ssrc.0.to_be_bytes());
        out.extend_from_slice(&packet.timestamp.to_be_bytes());
        out.extend_from_slice(&packet.sequence.to_be_bytes());
        out.push(packet.payload_type.0);
        out.extend_from_slice(&(payload.len() as u16).to_be_bytes());
        out.extend_from_slice(payload);
    }

    /// When `poll_chunk` is due.
    #[must_use]
    pub fn next_timer(&self) -> Option<Time> {
        self.opened.map(|opened| opened.plus_micros(CHUNK_MICROS))
    }

    /// A chunk to append to the file, when a second is full.
    pub fn poll_chunk(&mut self, now: Time) -> Option<Vec<u8>> {
        let opened = self.opened?;
        let due = now.since(opened) >= CHUNK_MICROS;
        due.then(|| self.seal()).flatten()
    }

    /// A chunk to append to the file, when much came within a second. Ask after every packet: a reader refuses a chunk
    /// beyond its bound, and a peer may send faster than any codec.
    pub fn full_chunk(&mut self) -> Option<Vec<u8>> {
        (self.pending.len() >= CHUNK_OCTETS)
            .then(|| self.seal())
            .flatten()
    }

    /// All that is left, and the mark that proves the file whole.
    #[must_use]
    pub fn finish(mut self, now: Time) -> Vec<u8> {
        let mut out = Vec::new();
        if self.opened.is_some() {
            out.extend(self.seal().unwrap_or_default());
        }
        self.begin(KIND_END);
        let duration = self.elapsed(now);
        self.pending.extend_from_slice(&duration.to_be_bytes());
        out.extend(self.seal().unwrap_or_default());
        out
    }

    fn begin(&mut self, kind: u8) {
        self.opened = None;
        self.pending.clear();
        self.pending.resize(PREFIX, 0);
        self.pending.push(kind);
    }

    /// None only when `ring` fails, which it does beyond 64 GiB in one chunk.
    fn seal(&mut self) -> Option<Vec<u8>> {
        // The seed is random per file and the index never repeats in it, so no nonce does.
        let mut nonce = self.nonce_seed;
        for (octet, index) in nonce[4..].iter_mut().zip(self.index.to_be_bytes()) {
            *octet ^= index;
        }
        let mut chunk = core::mem::take(&mut self.pending);
        let aad = associated_data(&self.header, self.index);
        let tag = self
            .key
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                aad,
                &mut chunk[PREFIX..],
            )
            .ok()?;
        chunk.extend_from_slice(tag.as_ref());
        let length = (chunk.len() - 4) as u32;
        chunk[..4].copy_from_slice(&length.to_be_bytes());
        chunk[4..PREFIX].copy_from_slice(&nonce);
        debug_assert_eq!(tag.as_ref().len(), TAG_LEN);
        self.index += 1;
        self.begin(KIND_RECORDS);
        Some(chunk)
    }
}
