//! The media core: bytes and time in, bytes and events out.
//!
//! No socket, no thread, no clock in here, so that whole calls run on virtual time in a test. The shell is `media-io`.
#![forbid(unsafe_code)]

pub mod codec;
pub mod dtmf;
pub mod dtmf_send;
pub mod emodel;
pub mod event;
pub mod exchange;
pub mod g711;
pub mod ids;
pub mod jitter;
pub mod latch;
pub mod ogg;
pub mod playback;
pub mod plc;
pub mod random;
mod receiver;
pub mod reception;
pub mod resample;
pub mod rtcp;
pub mod rtp;
mod rtp_leg;
mod sender;
pub mod sequence;
pub mod settings;
pub mod spool;
pub mod srtp;
pub mod stats;
pub mod stream_buffer;
pub mod testing;
pub mod time;
pub mod tone;
pub mod wav;
