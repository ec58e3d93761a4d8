//! Newtypes for everything that is counted or numbered, so that none is taken for another.

use core::hash::{BuildHasherDefault, Hasher};
use std::collections::HashMap;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub struct $name(pub $inner);
    };
}

id! {
    /// One media leg, numbered by the caller.
    LegId(u64)
}
id! {
    /// One playback to a leg, numbered by the caller.
    PlaybackId(u64)
}
id! {
    /// One running recording, numbered by the caller.
    RecordingHandle(u64)
}
id! {
    /// Synchronisation source (RFC 3550 §3).
    Ssrc(u32)
}
id! {
    /// RTP payload type, 0 to 127.
    PayloadType(u8)
}

/// Ids are our own counters, so one multiplication spreads them well enough for a hash table.
#[derive(Default)]
pub struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(u64::from(byte));
        }
    }

    fn write_u64(&mut self, value: u64) {
        // The high half of the product carries the mixing; the table uses the low bits and the top seven.
        let product = (self.0 ^ value).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.0 = product ^ (product >> 32);
    }
}

/// A map keyed by one of our ids.
pub type IdMap<K, V> = HashMap<K, V, BuildHasherDefault<IdHasher>>;
