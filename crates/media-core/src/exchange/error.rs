//! What a caller of the exchange can do wrong.

use crate::ids::{LegId, RecordingHandle};

/// The caller's mistakes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ExchangeError {
    NoSuchLeg(LegId),
    LegExists(LegId),
    NotRtp(LegId),
    RecordingExists(RecordingHandle),
    /// The remedy in words.
    BadSettings(String),
}

impl core::fmt::Display for ExchangeError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::NoSuchLeg(leg) => write!(f, "there is no media leg {}", leg.0),
            Self::LegExists(leg) => write!(f, "media leg {} is open already", leg.0),
            Self::NotRtp(leg) => write!(f, "media leg {} is a stream, not RTP", leg.0),
            Self::RecordingExists(handle) => write!(f, "recording {} runs already", handle.0),
            Self::BadSettings(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for ExchangeError {}
