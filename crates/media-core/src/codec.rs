//! Codecs behind one face.

/// What a payload is.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum CodecId {
    Pcmu,
    Pcma,
    Opus,
    /// 16-bit linear PCM, big endian (RFC 3551 §4.5.11); what a stream leg's audio is recorded as.
    L16,
    /// Relayed and recorded, never decoded; the name in upper case.
    Other(Box<str>),
}

impl CodecId {
    #[must_use]
    pub fn from_name(name: &str) -> Self {
        match name.to_ascii_uppercase().as_str() {
            "PCMU" => Self::Pcmu,
            "PCMA" => Self::Pcma,
            "OPUS" => Self::Opus,
            "L16" => Self::L16,
            other => Self::Other(other.into()),
        }
    }

    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Pcmu => "PCMU",
            Self::Pcma => "PCMA",
            Self::Opus => "opus",
            Self::L16 => "L16",
            Self::Other(name) => name,
        }
    }
}
