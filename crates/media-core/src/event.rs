//! What comes out of the core: packets, events, recording chunks.

use std::net::SocketAddr;

use crate::ids::{LegId, PlaybackId, RecordingHandle};

/// Which of a leg's two sockets (they are one with rtcp-mux).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Channel {
    Rtp,
    Rtcp,
}

/// What the shell is told besides packets. Mirrors `sent.media.types.MediaEvent`.
#[derive(Clone, PartialEq, Debug)]
pub enum Event {
    Digit {
        leg: LegId,
        digit: char,
        duration_ms: u32,
    },
    PlaybackEnded {
        leg: LegId,
        playback: PlaybackId,
        completed: bool,
    },
    Silence {
        leg: LegId,
        ms: u32,
    },
    MediaResumed {
        leg: LegId,
    },
    MarkReached {
        leg: LegId,
        name: String,
    },
    StreamReadable {
        leg: LegId,
    },
    /// The peer's address was learnt or changed: the shell may connect its socket to it.
    Latched {
        leg: LegId,
        remote: SocketAddr,
    },
    /// The leg accepts a first packet from elsewhere again: the shell must un-connect its socket.
    Unlatched {
        leg: LegId,
    },
}

/// Where the core puts its output, at once. `packet` and `chunk` are borrowed: send or copy them before returning.
pub trait Sink {
    fn send(&mut self, leg: LegId, channel: Channel, to: SocketAddr, packet: &[u8]);
    fn event(&mut self, event: Event);
    /// Append to the recording's spool file.
    fn chunk(&mut self, recording: RecordingHandle, chunk: &[u8]);
}

/// Keeps everything, for tests.
#[derive(Default, Debug)]
pub struct Collected {
    pub packets: Vec<(LegId, Channel, SocketAddr, Vec<u8>)>,
    pub events: Vec<Event>,
    pub chunks: Vec<(RecordingHandle, Vec<u8>)>,
}

impl Sink for Collected {
    fn send(&mut self, leg: LegId, channel: Channel, to: SocketAddr, packet: &[u8]) {
        self.packets.push((leg, channel, to, packet.to_vec()));
    }

    fn event(&mut self, event: Event) {
        self.events.push(event);
    }

    fn chunk(&mut self, recording: RecordingHandle, chunk: &[u8]) {
        self.chunks.push((recording, chunk.to_vec()));
    }
}
