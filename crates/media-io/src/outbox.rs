//! Where the core's output goes: packets to their leg's sockets at once, events and recording chunks to their queues.

use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;

use media_core::event::{Channel, Event, Sink};
use media_core::ids::{IdMap, LegId, RecordingHandle};

use crate::counters::{Counter, Counters};
use crate::event_queue::EventQueue;
use crate::ports::SocketPair;
use crate::spool_writer::{DiskTooSlow, RecordingId, SpoolQueue};

/// What the program is told: the core's events, and what only the files know.
#[derive(Debug, Clone, PartialEq)]
pub enum EngineEvent {
    Media(Event),
    RecordingFailed {
        recording: RecordingHandle,
        error: String,
    },
    /// The file is whole and on the disk.
    RecordingClosed {
        recording: RecordingHandle,
    },
}

/// The sockets of one RTP leg. Connected, the kernel drops what comes from anywhere else and looks up no route.
#[derive(Debug)]
pub struct LegSockets {
    pair: SocketPair,
    connected: Option<SocketAddr>,
}

impl LegSockets {
    #[must_use]
    pub fn new(pair: SocketPair) -> Self {
        Self {
            pair,
            connected: None,
        }
    }

    #[must_use]
    pub fn socket(&self, channel: Channel) -> &UdpSocket {
        match channel {
            Channel::Rtp => &self.pair.rtp,
            Channel::Rtcp => &self.pair.rtcp,
        }
    }

    /// Only RTP is connected: RTCP comes once in five seconds, and some peers send it from another port.
    fn connect(&mut self, remote: SocketAddr) {
        if self.connected == Some(remote) {
            return;
        }
        // Where the kernel knows no way there, the leg goes on unconnected, and sending fails visibly (a counter).
        self.connected = self.pair.rtp.connect(remote).is_ok().then_some(remote);
    }

    fn disconnect(&mut self) {
        if self.connected.take().is_some() {
            // Fails only for sockets that are not connected.
            let _ = rustix::net::connect_unspec(&self.pair.rtp);
        }
    }

    fn send(&self, channel: Channel, to: SocketAddr, packet: &[u8]) -> std::io::Result<usize> {
        match channel {
            Channel::Rtp if self.connected == Some(to) => self.pair.rtp.send(packet),
            Channel::Rtp => self.pair.rtp.send_to(packet, to),
            Channel::Rtcp => self.pair.rtcp.send_to(packet, to),
        }
    }
}

/// The core's `Sink` on one media thread.
pub struct Outbox {
    pub sockets: IdMap<LegId, LegSockets>,
    pub events: Arc<EventQueue<EngineEvent>>,
    pub counters: Arc<Counters>,
    spool: SpoolQueue,
}

impl Outbox {
    #[must_use]
    pub fn new(
        events: Arc<EventQueue<EngineEvent>>,
        counters: Arc<Counters>,
        spool: SpoolQueue,
    ) -> Self {
        Self {
            sockets: IdMap::default(),
            events,
            counters,
            spool,
        }
    }
}

impl Sink for Outbox {
    fn send(&mut self, leg: LegId, channel: Channel, to: SocketAddr, packet: &[u8]) {
        let Some(sockets) = self.sockets.get(&leg) else {
            return;
        };
        let counter = match sockets.send(channel, to, packet) {
            Ok(_) => return,
            // An ICMP error for an earlier packet is reported now, and this one was not sent: once more.
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
                self.counters.add(Counter::SendRefused);
                if sockets.send(channel, to, packet).is_ok() {
                    return;
                }
                Counter::SendFailed
            }
            Err(_) => Counter::SendFailed,
        };
        self.counters.add(counter);
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::Latched { leg, remote } => {
                if let Some(sockets) = self.sockets.get_mut(&leg) {
                    sockets.connect(remote);
                }
            }
            Event::Unlatched { leg } => {
                if let Some(sockets) = self.sockets.get_mut(&leg) {
                    sockets.disconnect();
                }
            }
            event => self.events.push(EngineEvent::Media(event)),
        }
    }

    fn chunk(&mut self, recording: RecordingHandle, chunk: &[u8]) {
        if let Err(DiskTooSlow) = self.spool.chunk(RecordingId(recording.0), chunk.to_vec()) {
            self.spool.abandon(
                RecordingId(recording.0),
                "The disk is too slow for the recordings.",
            );
        }
    }
}
