//! SRTP and SRTCP keyed by SDES (RFC 3711, RFC 4568, RFC 6188), over `rtc-srtp`.
//!
//! What is added here: a bound on the sources of one key. `rtc-srtp` keeps a state for each SSRC that it is shown,
//! before the packet is authenticated, so a stranger could make it grow. Unknown sources are therefore tried on a
//! second context that is thrown away after some failures; only authenticated ones reach the lasting context.

use rtc_srtp::context::Context;
use rtc_srtp::crypto::providers::RingProvider;
use rtc_srtp::crypto::RTCCryptoProvider;
use rtc_srtp::option::{srtcp_replay_protection, srtp_replay_protection};
use rtc_srtp::protection_profile::ProtectionProfile;

use crate::ids::Ssrc;
use crate::rtp;

/// Sources that one key may see over the life of a leg (a source changes with every transfer or hold, not per packet).
const MAX_SOURCES: usize = 64;
/// Failures after which the context for unknown sources is made anew.
const MAX_PROBES: u32 = 256;
/// RFC 3711 §3.3.2 asks for at least 64.
const REPLAY_WINDOW: usize = 128;

/// E bit with SRTCP index, then the authentication tag, which is 80 bits in all our suites (RFC 3711 §3.4).
const SRTCP_TAIL: usize = 4 + 10;

/// SDES crypto suites (RFC 4568 §6.2, RFC 6188 §3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SrtpSuite {
    AesCm128HmacSha1_80,
    AesCm128HmacSha1_32,
    AesCm256HmacSha1_80,
}

impl SrtpSuite {
    /// The suite by its name in SDP.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "AES_CM_128_HMAC_SHA1_80" => Some(Self::AesCm128HmacSha1_80),
            "AES_CM_128_HMAC_SHA1_32" => Some(Self::AesCm128HmacSha1_32),
            "AES_256_CM_HMAC_SHA1_80" => Some(Self::AesCm256HmacSha1_80),
            _ => None,
        }
    }

    fn profile(self) -> ProtectionProfile {
        match self {
            Self::AesCm128HmacSha1_80 => ProtectionProfile::Aes128CmHmacSha1_80,
            Self::AesCm128HmacSha1_32 => ProtectionProfile::Aes128CmHmacSha1_32,
            Self::AesCm256HmacSha1_80 => ProtectionProfile::Aes256CmHmacSha1_80,
        }
    }

    /// Octets of master key and salt together: 30 or 46.
    #[must_use]
    pub fn key_salt_len(self) -> usize {
        self.profile().key_len() + self.profile().salt_len()
    }
}

/// A master key with its salt behind it.
#[derive(Clone, PartialEq, Eq)]
pub struct SrtpKey {
    suite: SrtpSuite,
    key_salt: Vec<u8>,
}

impl core::fmt::Debug for SrtpKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "SrtpKey({:?}, …)", self.suite)
    }
}

/// Why a packet or a key was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SrtpError {
    /// The key has another length than its suite asks for.
    KeyLength { expected: usize, got: usize },
    /// Not authentic, replayed, too short, or from more sources than one key may have.
    Refused,
}

impl core::fmt::Display for SrtpError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::KeyLength { expected, got } => {
                write!(
                    f,
                    "SRTP key and salt are {got} octets, the suite needs {expected}"
                )
            }
            Self::Refused => f.write_str("SRTP packet is not authentic or was seen before"),
        }
    }
}

impl std::error::Error for SrtpError {}

impl SrtpKey {
    /// # Errors
    /// `KeyLength` when `key_salt` does not fit the suite.
    pub fn new(suite: SrtpSuite, key_salt: &[u8]) -> Result<Self, SrtpError> {
        let expected = suite.key_salt_len();
        if key_salt.len() != expected {
            return Err(SrtpError::KeyLength {
                expected,
                got: key_salt.len(),
            });
        }
        Ok(Self {
            suite,
            key_salt: key_salt.to_vec(),
        })
    }

    fn context(&self, replay: bool) -> Result<Context, SrtpError> {
        let profile = self.suite.profile();
        let (key, salt) = self.key_salt.split_at(profile.key_len());
        let provider = RingProvider::new();
        let windows = replay.then(|| {
            (
                srtp_replay_protection(REPLAY_WINDOW),
                srtcp_replay_protection(REPLAY_WINDOW),
            )
        });
        let (rtp_window, rtcp_window) = windows.unzip();
        Context::new(
            key,
            salt,
            profile,
            rtp_window,
            rtcp_window,
            provider.crypto(),
        )
        .map_err(|_| SrtpError::Refused)
    }
}

/// What protects the packets that we send.
pub struct SrtpSender {
    key: SrtpKey,
    context: Context,
}

impl SrtpSender {
    /// # Errors
    /// When the key cannot be used at all.
    pub fn new(key: SrtpKey) -> Result<Self, SrtpError> {
        let context = key.context(false)?;
        Ok(Self { key, context })
    }

    #[must_use]
    pub fn key(&self) -> &SrtpKey {
        &self.key
    }

    /// The protected packet into `out`, which is cleared first.
    ///
    /// # Errors
    /// `Refused` when the key is used up (RFC 3711 §9.2).
    pub fn protect_rtp(&mut self, packet: &[u8], out: &mut Vec<u8>) -> Result<(), SrtpError> {
        let protected = self
            .context
            .encrypt_rtp(packet)
            .map_err(|_| SrtpError::Refused)?;
        out.clear();
        out.extend_from_slice(&protected);
        Ok(())
    }

    /// # Errors
    /// As `protect_rtp`.
    pub fn protect_rtcp(&mut self, packet: &[u8], out: &mut Vec<u8>) -> Result<(), SrtpError> {
        let protected = self
            .context
            .encrypt_rtcp(packet)
            .map_err(|_| SrtpError::Refused)?;
        out.clear();
        out.extend_from_slice(&protected);
        Ok(())
    }
}

/// Sources that have authenticated, with a bound.
#[derive(Default)]
struct Sources(Vec<Ssrc>);

impl Sources {
    fn knows(&self, ssrc: Ssrc) -> bool {
        self.0.contains(&ssrc)
    }

    fn add(&mut self, ssrc: Ssrc) -> bool {
        let room = self.0.len() < MAX_SOURCES;
        if room {
            self.0.push(ssrc);
        }
        room
    }
}

/// What authenticates and decrypts the packets that we receive.
pub struct SrtpReceiver {
    key: SrtpKey,
    known: Context,
    probe: Context,
    probes: u32,
    rtp_sources: Sources,
    rtcp_sources: Sources,
}

impl SrtpReceiver {
    /// # Errors
    /// When the key cannot be used at all.
    pub fn new(key: SrtpKey) -> Result<Self, SrtpError> {
        Ok(Self {
            known: key.context(true)?,
            probe: key.context(false)?,
            probes: 0,
            rtp_sources: Sources::default(),
            rtcp_sources: Sources::default(),
            key,
        })
    }

    #[must_use]
    pub fn key(&self) -> &SrtpKey {
        &self.key
    }

    /// Authenticate and decrypt in place; the packet's new length.
    ///
    /// # Errors
    /// `Refused`; the packet is then unchanged.
    pub fn unprotect_rtp(&mut self, packet: &mut [u8]) -> Result<usize, SrtpError> {
        let ssrc = rtp::Packet::parse(packet)
            .map_err(|_| SrtpError::Refused)
            // Padding is encrypted, so only the header's own shape can be judged before decryption.
            .map(|parsed| parsed.header.ssrc)
            .or_else(|error| ssrc_at(packet, 8).ok_or(error))?;
        if !self.rtp_sources.knows(ssrc) {
            self.count_probe()?;
            self.probe
                .decrypt_rtp(packet)
                .map_err(|_| SrtpError::Refused)?;
            if !self.rtp_sources.add(ssrc) {
                return Err(SrtpError::Refused);
            }
        }
        let plain = self
            .known
            .decrypt_rtp(packet)
            .map_err(|_| SrtpError::Refused)?;
        Ok(put_back(packet, &plain))
    }

    /// # Errors
    /// As `unprotect_rtp`.
    pub fn unprotect_rtcp(&mut self, packet: &mut [u8]) -> Result<usize, SrtpError> {
        let ssrc = ssrc_at(packet, 4).ok_or(SrtpError::Refused)?;
        // `rtc-srtp` returns a packet whose E bit is 0 without authenticating it. Unencrypted SRTCP is a session
        // parameter (RFC 4568 §6.3.2) that we never negotiate, so such a packet is refused here.
        let e_bit = packet
            .len()
            .checked_sub(SRTCP_TAIL)
            .and_then(|at| packet.get(at));
        if e_bit.is_none_or(|octet| octet & 0x80 == 0) {
            return Err(SrtpError::Refused);
        }
        if !self.rtcp_sources.knows(ssrc) {
            self.count_probe()?;
            self.probe
                .decrypt_rtcp(packet)
                .map_err(|_| SrtpError::Refused)?;
            if !self.rtcp_sources.add(ssrc) {
                return Err(SrtpError::Refused);
            }
        }
        let plain = self
            .known
            .decrypt_rtcp(packet)
            .map_err(|_| SrtpError::Refused)?;
        Ok(put_back(packet, &plain))
    }

    /// The context for unknown sources holds nothing that matters: make it anew before it grows.
    fn count_probe(&mut self) -> Result<(), SrtpError> {
        self.probes += 1;
        if self.probes > MAX_PROBES {
            self.probe = self.key.context(false)?;
            self.probes = 0;
        }
        Ok(())
    }
}

fn ssrc_at(packet: &[u8], at: usize) -> Option<Ssrc> {
    let octets = packet.get(at..at + 4)?;
    Some(Ssrc(u32::from_be_bytes(octets.try_into().ok()?)))
}

fn put_back(packet: &mut [u8], plain: &[u8]) -> usize {
    let len = plain.len().min(packet.len());
    packet[..len].copy_from_slice(&plain[..len]);
    len
}

#[cfg(test)]
#[path = "srtp_tests.rs"]
mod tests;
