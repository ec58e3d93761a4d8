//! Whole calls on virtual time: phones that send tones, and what they hear.

mod bridging;
mod delays;
mod digits;
mod guarding;
mod odd_packets;
mod recordings;

use super::*;
use crate::codec::{Decoder, Encoder};
use crate::dtmf::EventPayload;
use crate::event::Channel;
use crate::event::Collected;
use crate::ids::PayloadType;
use crate::playback::ToneStep;
use crate::rtp::{Header, Packet};
use crate::srtp::{SrtpKey, SrtpReceiver, SrtpSender, SrtpSuite};
use crate::testing::{goertzel_dbm0, sine};
use proptest::prelude::*;
use std::net::SocketAddr;

const A: LegId = LegId(1);
const B: LegId = LegId(2);

/// A phone: sends a tone, keeps what it hears.
struct Phone {
    leg: LegId,
    address: SocketAddr,
    codec: CodecSettings,
    encoder: Encoder,
    tone: Vec<i16>,
    sent: usize,
    sequence: u16,
    timestamp: u32,
    ssrc: u32,
    heard: Vec<(Header, Vec<u8>, Time)>,
    srtp: Option<(SrtpSender, SrtpReceiver)>,
}

fn codec(name: &str) -> CodecSettings {
    match name {
        "opus" => CodecSettings::new(111, "opus", 48_000, 2, "useinbandfec=1"),
        "PCMA" => CodecSettings::new(8, name, 8_000, 1, ""),
        other => CodecSettings::new(0, other, 8_000, 1, ""),
    }
}

impl Phone {
    fn new(leg: LegId, name: &str, frequency: f64) -> Self {
        let rate = if name == "opus" { 16_000 } else { 8_000 };
        let codec = codec(name);
        Self {
            leg,
            address: format!("192.0.2.{}:4000", leg.0).parse().unwrap(),
            encoder: Encoder::new(&codec, rate).unwrap(),
            codec,
            tone: sine(rate, frequency, -13.0, rate as usize * 20),
            sent: 0,
            sequence: 65_500,
            timestamp: u32::MAX - 5_000,
            ssrc: leg.0 as u32 * 1_000,
            heard: Vec::new(),
            srtp: None,
        }
    }

    fn settings(&self) -> RtpSettings {
        let mut settings = RtpSettings::plain(self.codec.clone(), Some(self.address));
        settings.dtmf_receive = Some(PayloadType(101));
        settings.dtmf_send = Some(PayloadType(100 + self.leg.0 as u8));
        settings
    }

    fn packet(&mut self) -> Vec<u8> {
        let length = self.encoder.rate() as usize / 50;
        let start = self.sent % (self.tone.len() - length);
        let mut payload = Vec::new();
        self.encoder
            .encode(&self.tone[start..start + length], &mut payload);
        self.sent += length;
        self.numbered(
            self.codec.payload_type,
            self.codec.clock_rate / 50,
            &payload,
        )
    }

    fn numbered(&mut self, payload_type: PayloadType, step: u32, payload: &[u8]) -> Vec<u8> {
        let mut packet = Vec::new();
        Header {
            marker: false,
            payload_type,
            sequence: self.sequence,
            timestamp: self.timestamp,
            ssrc: Ssrc(self.ssrc),
        }
        .write(payload, &mut packet);
        self.sequence = self.sequence.wrapping_add(1);
        self.timestamp = self.timestamp.wrapping_add(step);
        if let Some((sender, _)) = &mut self.srtp {
            let mut wire = Vec::new();
            sender.protect_rtp(&packet, &mut wire).unwrap();
            return wire;
        }
        packet
    }

    fn audio(&self) -> Vec<i16> {
        let mut decoder = Decoder::new(&self.codec, 8_000).unwrap();
        let mut out = Vec::new();
        for (header, payload, _) in &self.heard {
            if header.payload_type == self.codec.payload_type {
                decoder.decode(payload, &mut out);
            }
        }
        out
    }

    fn hears(&self, frequency: f64) -> f64 {
        let audio = self.audio();
        goertzel_dbm0(&audio[audio.len() / 2..], 8_000, frequency)
    }

    fn events(&self) -> Vec<(Header, EventPayload)> {
        self.heard
            .iter()
            .filter(|(header, _, _)| (101..=102).contains(&header.payload_type.0))
            .map(|(header, payload, _)| (*header, EventPayload::parse(payload).unwrap()))
            .collect()
    }
}

struct World {
    exchange: Exchange,
    now: Time,
    sink: Collected,
    events: Vec<Event>,
    chunks: Vec<u8>,
    phones: Vec<Phone>,
}

impl World {
    fn new(phones: Vec<Phone>) -> Self {
        let mut world = Self {
            exchange: Exchange::new(Config {
                seed: 5,
                unix_micros_at_zero: 1_700_000_000_000_000,
            }),
            now: Time::from_millis(7),
            sink: Collected::default(),
            events: Vec::new(),
            chunks: Vec::new(),
            phones,
        };
        for phone in &world.phones {
            world.exchange.open_rtp(phone.leg, world.now).unwrap();
            world
                .exchange
                .configure(phone.leg, phone.settings(), world.now, &mut world.sink)
                .unwrap();
        }
        world
    }

    fn bridged(a: &str, b: &str) -> Self {
        let mut world = Self::new(vec![Phone::new(A, a, 500.0), Phone::new(B, b, 1_200.0)]);
        world.exchange.bridge(A, B, world.now).unwrap();
        world
    }

    fn deliver(&mut self) {
        for (leg, channel, to, mut packet) in self.sink.packets.drain(..) {
            let phone = self
                .phones
                .iter_mut()
                .find(|phone| phone.leg == leg)
                .unwrap();
            if channel == Channel::Rtcp {
                assert_eq!(to.ip(), phone.address.ip());
                continue;
            }
            assert_eq!(to, phone.address);
            let mut length = packet.len();
            if let Some((_, receiver)) = &mut phone.srtp {
                length = receiver.unprotect_rtp(&mut packet).unwrap();
            }
            let parsed = Packet::parse(&packet[..length]).unwrap();
            phone
                .heard
                .push((parsed.header, parsed.payload.to_vec(), self.now));
        }
        self.events.append(&mut self.sink.events);
        for (_, chunk) in self.sink.chunks.drain(..) {
            self.chunks.extend(chunk);
        }
    }

    fn receive(&mut self, leg: LegId, mut packet: Vec<u8>, from: SocketAddr) {
        self.exchange.receive(
            leg,
            Channel::Rtp,
            &mut packet,
            from,
            self.now,
            &mut self.sink,
        );
        self.deliver();
    }

    fn timers_until(&mut self, until: Time) {
        while let Some(due) = self.exchange.next_timer().filter(|due| *due <= until) {
            self.now = self.now.max(due);
            self.exchange.handle_timer(self.now, &mut self.sink);
            self.deliver();
        }
        self.now = until;
    }

    /// Both phones talk for so long.
    fn talk(&mut self, ms: u64) {
        for _ in 0..ms / 20 {
            for index in 0..self.phones.len() {
                let packet = self.phones[index].packet();
                let (leg, from) = (self.phones[index].leg, self.phones[index].address);
                self.receive(leg, packet, from);
            }
            self.timers_until(self.now.plus_millis(20));
        }
    }

    /// Nobody talks; the clock runs.
    fn wait(&mut self, ms: u64) {
        self.timers_until(self.now.plus_millis(ms));
    }

    fn statistics(&self, leg: LegId) -> LegStatistics {
        self.exchange.statistics(leg, self.now).unwrap()
    }

    fn assert_continuous(&self, phone: usize) {
        for pair in self.phones[phone].heard.windows(2) {
            let (a, b) = (&pair[0].0, &pair[1].0);
            assert_eq!(a.ssrc, b.ssrc);
            assert_eq!(b.sequence, a.sequence.wrapping_add(1), "{a:?} {b:?}");
            assert!(
                (b.timestamp.wrapping_sub(a.timestamp) as i32) >= 0,
                "{a:?} {b:?}"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Any datagrams in any order, with any settings around them: no panic, nothing sent to a stranger.
    #[test]
    fn any_datagrams(
        steps in proptest::collection::vec((0u8..9, proptest::collection::vec(any::<u8>(), 0..60), 0u64..50), 1..80),
    ) {
        let mut world = World::bridged("PCMU", "opus");
        for (kind, mut data, wait) in steps {
            let leg = if data.len() % 2 == 0 { A } else { B };
            match kind {
                0..=3 => {
                    if let [first, second, ..] = data.as_mut_slice() {
                        *first = 0x80 | (*first & 0x3f);
                        if kind < 3 {
                            *second = [0, 111, 101][usize::from(kind)] | (*second & 0x80);
                        }
                    }
                    let from = world.phones[0].address;
                    let channel = if kind == 3 { Channel::Rtcp } else { Channel::Rtp };
                    let now = world.now;
                    world.exchange.receive(leg, channel, &mut data, from, now, &mut world.sink);
                }
                4 => world.talk(20),
                5 => { let _ = world.exchange.send_digits(leg, "5", 40, 0, world.now); }
                6 => {
                    let playback = Playback::pcm(std::sync::Arc::from([100i16; 500].as_slice()), 11_025, false);
                    let now = world.now;
                    world.exchange.play(leg, PlaybackId(1), playback, now, &mut world.sink).unwrap();
                }
                7 => { world.exchange.bridge(A, leg, world.now).unwrap(); }
                _ => { world.exchange.unbridge(leg, world.now).unwrap(); }
            }
            for (leg, _, to, _) in &world.sink.packets {
                prop_assert_eq!(to.ip(), world.phones[leg.0 as usize - 1].address.ip());
            }
            world.sink.packets.clear();
            world.timers_until(world.now.plus_millis(wait));
        }
    }
}
