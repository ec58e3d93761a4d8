//! What the engine refuses, in words that name the remedy.

use std::fmt;
use std::path::PathBuf;

use media_core::exchange::ExchangeError;
use media_core::ids::LegId;

use crate::ports::PortError;

#[derive(Debug)]
pub enum Error {
    /// All port pairs of the range are in use on that address.
    NoPorts {
        first: u16,
        last: u16,
    },
    /// The process may open no more sockets.
    NoSockets(String),
    /// The address cannot be bound.
    BadAddress(String),
    NoSuchLeg(LegId),
    BadSettings(String),
    BadFile {
        path: PathBuf,
        reason: String,
    },
    /// A media thread does not answer: the machine is overloaded, or the engine has been shut down.
    NoAnswer,
}

impl Error {
    /// Stable, for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoPorts { .. } => "media.no_ports",
            Self::NoSockets(_) => "media.no_sockets",
            Self::BadAddress(_) | Self::BadSettings(_) => "media.bad_settings",
            Self::NoSuchLeg(_) => "media.no_such_leg",
            Self::BadFile { .. } => "media.bad_file",
            Self::NoAnswer => "media.no_answer",
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoPorts { first, last } => {
                write!(f, "All UDP ports from {first} to {last} are in use; widen the media port range.")
            }
            Self::NoSockets(why) => write!(
                f,
                "No more media sockets can be opened: {why}; raise the limit of open files (LimitNOFILE, ulimit -n)."
            ),
            Self::BadAddress(why) => write!(f, "The media address cannot be used: {why}."),
            Self::NoSuchLeg(leg) => write!(f, "There is no media leg {}; it may have been closed.", leg.0),
            Self::BadSettings(why) => f.write_str(why),
            Self::BadFile { path, reason } => write!(f, "{}: {reason}.", path.display()),
            Self::NoAnswer => f.write_str(
                "The media threads do not answer: the engine has been shut down or the machine is overloaded.",
            ),
        }
    }
}

impl std::error::Error for Error {}

impl From<PortError> for Error {
    fn from(error: PortError) -> Self {
        match error {
            PortError::NoPorts { first, last } => Self::NoPorts { first, last },
            PortError::Sockets(error) => Self::NoSockets(crate::spool_writer::words(&error)),
            PortError::Address(error) => Self::BadAddress(crate::spool_writer::words(&error)),
        }
    }
}

impl From<ExchangeError> for Error {
    fn from(error: ExchangeError) -> Self {
        match error {
            ExchangeError::NoSuchLeg(leg) => Self::NoSuchLeg(leg),
            other => Self::BadSettings(other.to_string()),
        }
    }
}

impl From<crate::thread::NoAnswer> for Error {
    fn from(_: crate::thread::NoAnswer) -> Self {
        Self::NoAnswer
    }
}
