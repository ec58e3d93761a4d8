//! Sockets, threads and the clock of the media engine. All logic is in `media-core`.
//!
//! ```text
//!  Engine ── jobs ──► MediaThread 0..n   each owns an Exchange (core), the sockets of its legs, a clock
//!    ▲                    │ packets: straight to the sockets
//!    │ events (eventfd)   │ recording chunks
//!    └────────────────────┼──────────────► SpoolWriter: the one thread that writes files
//! ```
#![forbid(unsafe_code)]

mod counters;
mod engine;
mod error;
mod event_queue;
mod lateness;
mod ogg_file;
mod outbox;
mod ports;
mod registry;
mod spool_file;
mod spool_writer;
mod thread;
mod wake;
mod wav_file;

pub use engine::{Engine, Health, LocalPorts, Settings};
pub use error::Error;
pub use lateness::LatenessSummary;
pub use ogg_file::render_ogg;
pub use outbox::EngineEvent;
pub use spool_file::SpoolFile;
