//! The media core: bytes and time in, bytes and events out.
//!
//! No socket, no thread, no clock in here, so that whole calls run on virtual time in a test. The shell is `media-io`.
#![forbid(unsafe_code)]

pub mod codec;
pub mod event;
pub mod exchange;
pub mod ids;
pub mod playback;
pub mod rtp;
pub mod settings;
pub mod srtp;
pub mod stats;
pub mod stream_buffer;
pub mod time;
