use super::*;
use crate::codec::{Decoder, Encoder};
use crate::dtmf::EventPayload;
use crate::event::Collected;
use crate::playback::ToneStep;
use crate::rtp::{Header, Packet};
use crate::settings::CodecSettings;
use crate::srtp::{SrtpKey, SrtpReceiver, SrtpSender, SrtpSuite};
use crate::testing::{goertzel_dbm0, sine};
use proptest::prelude::*;

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

#[test]
fn the_same_codec_is_relayed_undecoded_at_once() {
    let mut world = World::bridged("PCMU", "PCMU");
    world.talk(2_000);
    assert_eq!(world.phones[0].heard.len(), 100);
    assert!((world.phones[0].hears(1_200.0) - -13.0).abs() < 0.3);
    assert!((world.phones[1].hears(500.0) - -13.0).abs() < 0.3);
    assert!(world.phones[1].hears(1_200.0) < -50.0);
    world.assert_continuous(0);
    world.assert_continuous(1);
    let statistics = world.statistics(A);
    assert_eq!(
        (statistics.packets_received, statistics.packets_sent),
        (100, 100)
    );
    assert!(!statistics.transcoded);
    assert!(statistics.mos.unwrap() > 4.3, "{statistics:?}");
    assert_ne!(
        world.phones[1].heard[0].0.ssrc,
        Ssrc(1_000),
        "a source of our own"
    );
}

#[test]
fn other_codecs_are_transcoded_on_the_clock() {
    for (a, b) in [("PCMU", "PCMA"), ("opus", "PCMU"), ("PCMA", "opus")] {
        let mut world = World::bridged(a, b);
        world.talk(3_000);
        for (phone, frequency, other) in [(0, 1_200.0, 500.0), (1, 500.0, 1_200.0)] {
            let level = world.phones[phone].hears(frequency);
            assert!(
                (level - -13.0).abs() < 1.0,
                "{a}/{b} phone {phone}: {level}"
            );
            assert!(
                world.phones[phone].hears(other) < -45.0,
                "{a}/{b} phone {phone}"
            );
            world.assert_continuous(phone);
            assert!((148..=151).contains(&world.phones[phone].heard.len()));
        }
        let statistics = world.statistics(A);
        assert!(statistics.transcoded);
        assert_eq!(statistics.packets_discarded, 0);
        assert!(statistics.buffer_delay_ms < 45.0, "{statistics:?}");
    }
}

#[test]
fn an_echo_comes_back() {
    let mut world = World::new(vec![Phone::new(A, "PCMU", 700.0)]);
    world.exchange.bridge(A, A, world.now).unwrap();
    world.talk(1_000);
    assert!((world.phones[0].hears(700.0) - -13.0).abs() < 0.3);
    assert_eq!(world.phones[0].heard.len(), 50);
}

#[test]
fn a_playback_replaces_the_bridge_and_gives_it_back() {
    let mut world = World::bridged("PCMU", "PCMU");
    world.talk(500);
    let steps = vec![ToneStep {
        frequencies: vec![440.0],
        ms: 1_000,
        level_dbm0: -10.0,
    }];
    world
        .exchange
        .play(
            A,
            PlaybackId(9),
            Playback::tone(steps, false),
            world.now,
            &mut world.sink,
        )
        .unwrap();
    let before = world.phones[0].heard.len();
    world.talk(1_000);
    let during = world.phones[0].audio()[before * 160..].to_vec();
    assert!((goertzel_dbm0(&during, 8_000, 440.0) - -10.0).abs() < 0.5);
    assert!(goertzel_dbm0(&during, 8_000, 1_200.0) < -50.0);
    world.talk(1_000);
    assert!((world.phones[0].hears(1_200.0) - -13.0).abs() < 0.5);
    assert!(
        (world.phones[1].hears(500.0) - -13.0).abs() < 0.5,
        "the other side never noticed"
    );
    world.assert_continuous(0);
    let ended = Event::PlaybackEnded {
        leg: A,
        playback: PlaybackId(9),
        completed: true,
    };
    assert!(world.events.contains(&ended));
    assert!(world.phones[0].heard.len().abs_diff(125) <= 2);
}

#[test]
fn playbacks_are_replaced_stopped_and_closed() {
    let mut world = World::new(vec![Phone::new(A, "PCMU", 700.0)]);
    let tone = || {
        let steps = vec![ToneStep {
            frequencies: vec![425.0],
            ms: 100,
            level_dbm0: -10.0,
        }];
        Playback::tone(steps, true)
    };
    for id in 1..=3 {
        world
            .exchange
            .play(A, PlaybackId(id), tone(), world.now, &mut world.sink)
            .unwrap();
        world.wait(200);
        if id == 2 {
            world
                .exchange
                .stop_playback(A, world.now, &mut world.sink)
                .unwrap();
        }
    }
    assert!(world
        .exchange
        .close(A, world.now, &mut world.sink)
        .is_some());
    assert!(world
        .exchange
        .close(A, world.now, &mut world.sink)
        .is_none());
    world.deliver();
    let ended: Vec<u64> = world
        .events
        .iter()
        .filter_map(|event| match event {
            Event::PlaybackEnded {
                playback,
                completed: false,
                ..
            } => Some(playback.0),
            _ => None,
        })
        .collect();
    assert_eq!(ended, [1, 2, 3]);
    assert!(world.phones[0].heard.len() >= 28);
    world.wait(10_000);
    assert_eq!(world.exchange.next_timer(), None, "nothing of it is left");
}

#[test]
fn digits_are_reported_and_pass_with_the_peers_payload_type() {
    let mut world = World::bridged("PCMU", "PCMU");
    world.talk(200);
    for (duration, end) in [
        (160, false),
        (320, false),
        (800, true),
        (800, true),
        (800, true),
    ] {
        let event = EventPayload {
            event: 5,
            end,
            volume: 10,
            duration,
        };
        let packet = world.phones[0].numbered(PayloadType(101), 0, &event.to_bytes());
        let from = world.phones[0].address;
        world.receive(A, packet, from);
        world.wait(20);
    }
    world.phones[0].timestamp = world.phones[0].timestamp.wrapping_add(800);
    world.talk(200);
    let digits: Vec<_> = world
        .events
        .iter()
        .filter(|e| matches!(e, Event::Digit { .. }))
        .collect();
    assert_eq!(
        digits,
        [&Event::Digit {
            leg: A,
            digit: '5',
            duration_ms: 100
        }]
    );
    let passed = world.phones[1].events();
    assert_eq!(passed.len(), 5);
    assert!(passed
        .iter()
        .all(|(header, _)| header.payload_type == PayloadType(102)));
    assert!(passed
        .windows(2)
        .all(|pair| pair[0].0.timestamp == pair[1].0.timestamp));
    world.assert_continuous(1);
}

#[test]
fn digits_are_sent_anew_beside_transcoded_audio() {
    let mut world = World::bridged("PCMU", "PCMA");
    world.talk(300);
    let event = EventPayload {
        event: 11,
        end: true,
        volume: 10,
        duration: 800,
    };
    let packet = world.phones[0].numbered(PayloadType(101), 800, &event.to_bytes());
    let from = world.phones[0].address;
    world.receive(A, packet, from);
    world.talk(600);
    let passed = world.phones[1].events();
    assert_eq!(passed.iter().filter(|(_, event)| event.end).count(), 3);
    assert!(passed.iter().all(|(_, event)| event.event == 11));
    assert!(passed[0].0.marker);
    world.assert_continuous(1);
    assert!(
        (world.phones[1].hears(500.0) - -13.0).abs() < 1.0,
        "audio goes on behind it"
    );
}

#[test]
fn our_own_digits_interrupt_the_relay_only_while_they_last() {
    let mut world = World::bridged("PCMU", "PCMU");
    world.talk(200);
    world
        .exchange
        .send_digits(B, "19", 100, 60, world.now)
        .unwrap();
    world.talk(1_000);
    let events = world.phones[1].events();
    assert_eq!(events.len(), 14);
    assert_eq!(events.iter().filter(|(header, _)| header.marker).count(), 2);
    world.assert_continuous(1);
    assert!((world.phones[1].hears(500.0) - -13.0).abs() < 0.5);
    let error = world
        .exchange
        .send_digits(B, "1x", 100, 60, world.now)
        .unwrap_err();
    assert!(error.to_string().contains("'x'"), "{error}");
    let mut settings = world.phones[1].settings();
    settings.dtmf_send = None;
    world
        .exchange
        .configure(B, settings, world.now, &mut world.sink)
        .unwrap();
    let error = world
        .exchange
        .send_digits(B, "1", 100, 60, world.now)
        .unwrap_err();
    assert!(error.to_string().contains("SIP INFO"));
}

#[test]
fn strangers_are_dropped_and_counted() {
    let mut world = World::bridged("PCMU", "PCMU");
    world.talk(100);
    let stranger: SocketAddr = "203.0.113.66:4000".parse().unwrap();
    let mut intruder = Phone::new(A, "PCMU", 3_000.0);
    for _ in 0..50 {
        let packet = intruder.packet();
        world.receive(A, packet, stranger);
    }
    assert_eq!(world.phones[1].heard.len(), 5);
    let statistics = world.statistics(A);
    assert_eq!((statistics.strangers, statistics.packets_received), (50, 5));
    assert_eq!(statistics.remote, Some(world.phones[0].address));
}

#[test]
fn srtp_on_one_side_only() {
    for suite in [
        SrtpSuite::AesCm128HmacSha1_80,
        SrtpSuite::AesCm128HmacSha1_32,
        SrtpSuite::AesCm256HmacSha1_80,
    ] {
        let mut world = World::bridged("PCMU", "PCMU");
        let key = |fill| SrtpKey::new(suite, &vec![fill; suite.key_salt_len()]).unwrap();
        let mut settings = world.phones[0].settings();
        settings.local_srtp = Some(key(1));
        settings.remote_srtp = Some(key(2));
        world
            .exchange
            .configure(A, settings.clone(), world.now, &mut world.sink)
            .unwrap();
        world.phones[0].srtp = Some((
            SrtpSender::new(key(2)).unwrap(),
            SrtpReceiver::new(key(1)).unwrap(),
        ));
        world.talk(500);
        // The same keys again (a re-INVITE) keep the contexts: no packet is lost or accepted twice.
        world
            .exchange
            .configure(A, settings, world.now, &mut world.sink)
            .unwrap();
        world.talk(500);
        assert!((world.phones[0].hears(1_200.0) - -13.0).abs() < 0.3);
        assert!((world.phones[1].hears(500.0) - -13.0).abs() < 0.3);
        let plain = Phone::new(A, "PCMU", 100.0).packet();
        let from = world.phones[0].address;
        world.receive(A, plain, from);
        assert_eq!(world.statistics(A).srtp_failures, 1);
        assert_eq!(world.phones[1].heard.len(), 50);
    }
}

#[test]
fn silence_is_told_once_per_threshold_and_resumed() {
    let mut world = World::bridged("PCMU", "PCMU");
    world.talk(100);
    world.wait(31_000);
    let silences: Vec<u32> = world
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Silence { leg: A, ms } => Some(*ms),
            _ => None,
        })
        .collect();
    assert_eq!(silences, [5_000, 30_000]);
    world.talk(20);
    assert!(world.events.contains(&Event::MediaResumed { leg: A }));
}

#[test]
fn hold_stops_audio_each_way_as_negotiated() {
    let mut world = World::bridged("PCMU", "PCMU");
    let mut settings = world.phones[0].settings();
    settings.may_send = false;
    world
        .exchange
        .configure(A, settings.clone(), world.now, &mut world.sink)
        .unwrap();
    world.talk(200);
    assert_eq!(
        (world.phones[0].heard.len(), world.phones[1].heard.len()),
        (0, 10)
    );
    settings.may_receive = false;
    settings.may_send = true;
    world
        .exchange
        .configure(A, settings, world.now, &mut world.sink)
        .unwrap();
    world.talk(200);
    assert_eq!(
        (world.phones[0].heard.len(), world.phones[1].heard.len()),
        (10, 10)
    );
    world.wait(60_000);
    assert!(!world
        .events
        .iter()
        .any(|e| matches!(e, Event::Silence { leg: A, .. })));
}

#[test]
fn a_stream_speaks_hears_and_marks() {
    let mut world = World::new(vec![Phone::new(A, "PCMU", 600.0)]);
    let stream = StreamHandle::new(16_000, 2_000).unwrap();
    world
        .exchange
        .open_stream(B, stream.clone(), world.now)
        .unwrap();
    world.exchange.bridge(A, B, world.now).unwrap();
    let prompt: Vec<u8> = sine(16_000, 1_000.0, -10.0, 16_000)
        .into_iter()
        .flat_map(i16::to_le_bytes)
        .collect();
    assert_eq!(stream.write(&prompt), prompt.len());
    stream.mark("said").unwrap();
    world.talk(900);
    assert!(!world
        .events
        .iter()
        .any(|e| matches!(e, Event::MarkReached { .. })));
    world.talk(200);
    assert!(world.events.contains(&Event::MarkReached {
        leg: B,
        name: "said".to_owned()
    }));
    assert!(world.events.contains(&Event::StreamReadable { leg: B }));
    let audio = world.phones[0].audio();
    assert!((goertzel_dbm0(&audio[800..7_200], 8_000, 1_000.0) - -10.0).abs() < 0.5);
    let heard: Vec<i16> = stream
        .read(usize::MAX)
        .chunks_exact(2)
        .map(|pair| i16::from_le_bytes([pair[0], pair[1]]))
        .collect();
    assert!(heard.len().abs_diff(17_600) <= 640, "{}", heard.len());
    assert!((goertzel_dbm0(&heard[3_200..], 16_000, 600.0) - -13.0).abs() < 0.5);
    // Clear is exact: nothing of it is heard later.
    let _ = stream.write(&prompt);
    world.talk(100);
    stream.clear();
    let at = world.phones[0].audio().len();
    world.talk(200);
    assert!(goertzel_dbm0(&world.phones[0].audio()[at + 320..], 8_000, 1_000.0) < -60.0);
}

#[test]
fn a_new_source_and_a_new_codec_go_on_seamlessly() {
    let mut world = World::bridged("PCMU", "PCMU");
    world.talk(300);
    world.phones[0].ssrc = 77;
    world.phones[0].sequence = 9;
    world.phones[0].timestamp = 12_345;
    world.talk(300);
    // B moves to A-law: A's audio is transcoded from here on, then relayed again.
    let mut settings = world.phones[1].settings();
    settings.send = codec("PCMA");
    world
        .exchange
        .configure(B, settings.clone(), world.now, &mut world.sink)
        .unwrap();
    world.talk(300);
    settings.send = codec("PCMU");
    world
        .exchange
        .configure(B, settings, world.now, &mut world.sink)
        .unwrap();
    world.talk(300);
    world.assert_continuous(1);
    let types: Vec<u8> = world.phones[1]
        .heard
        .iter()
        .map(|(h, _, _)| h.payload_type.0)
        .collect();
    assert!(types.contains(&8) && types.last() == Some(&0));
    assert_eq!(world.statistics(A).packets_lost, 0);
}

#[test]
fn reports_measure_loss_jitter_and_round_trip() {
    let mut world = World::bridged("PCMU", "PCMU");
    let mut reports = 0;
    for _ in 0..1_000 {
        for index in 0..2 {
            let packet = world.phones[index].packet();
            let (leg, from) = (world.phones[index].leg, world.phones[index].address);
            if index == 1 || world.phones[0].sequence % 10 != 0 {
                world.receive(leg, packet, from);
            }
        }
        let until = world.now.plus_millis(20);
        while let Some(due) = world.exchange.next_timer().filter(|due| *due <= until) {
            world.now = world.now.max(due);
            world.exchange.handle_timer(world.now, &mut world.sink);
            let reported: Vec<_> = world
                .sink
                .packets
                .iter()
                .filter(|(leg, channel, _, _)| *leg == A && *channel == Channel::Rtcp)
                .cloned()
                .collect();
            world.deliver();
            for (_, _, _, report) in reported {
                reports += 1;
                let Ok(crate::rtcp::Rtcp::Report {
                    ssrc,
                    sender,
                    blocks,
                }) = crate::rtcp::packets(&report).next().unwrap()
                else {
                    panic!("no report")
                };
                let block = crate::rtcp::report_blocks(blocks).next().unwrap();
                assert_eq!(block.ssrc, Ssrc(1_000));
                assert!((20..=31).contains(&block.fraction_lost), "{block:?}");
                // The phone answers 30 ms later, having held it for 10.
                let mut answer = Vec::new();
                let seen = crate::rtcp::ReportBlock {
                    ssrc,
                    fraction_lost: 0,
                    cumulative_lost: 50,
                    highest_sequence: 0,
                    jitter: 0,
                    last_sr: (sender.unwrap().ntp >> 16) as u32,
                    delay_since_last_sr: 655,
                };
                crate::rtcp::write_report(&mut answer, Ssrc(1_000), None, Some(&seen), "phone");
                let from = SocketAddr::new(world.phones[0].address.ip(), 4_001);
                let later = world.now.plus_millis(30);
                world
                    .exchange
                    .receive(A, Channel::Rtcp, &mut answer, from, later, &mut world.sink);
            }
        }
        world.now = until;
    }
    assert!(reports >= 3, "{reports}");
    let statistics = world.statistics(A);
    assert!(
        (statistics.loss_percent - 10.0).abs() < 0.5,
        "{statistics:?}"
    );
    assert!((statistics.round_trip_ms.unwrap() - 20.0).abs() < 1.0);
    assert!(statistics.remote_loss_percent > 5.0);
    assert!(
        (3.2..3.6).contains(&statistics.mos.unwrap()),
        "{statistics:?}"
    );
}

#[test]
fn legs_move_between_exchanges() {
    let mut world = World::bridged("PCMU", "PCMU");
    world.talk(100);
    let mut other = Exchange::new(Config {
        seed: 8,
        unix_micros_at_zero: 0,
    });
    for leg in [A, B] {
        let parked = world.exchange.take(leg, world.now).unwrap();
        assert_eq!(parked.id(), leg);
        other.put(parked, world.now);
    }
    assert!(world.exchange.is_empty());
    world.exchange = other;
    world.exchange.bridge(A, B, world.now).unwrap();
    world.talk(100);
    assert_eq!(world.phones[1].heard.len(), 10);
    world.assert_continuous(1);
}

#[test]
fn mistakes_are_named_and_change_nothing() {
    let mut world = World::bridged("PCMU", "PCMU");
    let mut settings = world.phones[0].settings();
    settings.packet_ms = 15;
    let error = world
        .exchange
        .configure(A, settings, world.now, &mut world.sink)
        .unwrap_err();
    assert!(error.to_string().contains("10 to 60"));
    let nobody = LegId(99);
    assert_eq!(
        world.exchange.bridge(A, nobody, world.now),
        Err(ExchangeError::NoSuchLeg(nobody))
    );
    assert_eq!(
        world.exchange.open_rtp(A, world.now),
        Err(ExchangeError::LegExists(A))
    );
    world.talk(100);
    assert_eq!(world.phones[1].heard.len(), 5, "the bridge stands");
}

#[test]
fn unknown_codecs_are_relayed() {
    let mut world = World::bridged("PCMU", "PCMU");
    let g722 = CodecSettings::new(9, "G722", 8_000, 1, "");
    for index in 0..2 {
        let mut settings = world.phones[index].settings();
        settings.receive = vec![g722.clone()];
        settings.send = g722.clone();
        let leg = world.phones[index].leg;
        world
            .exchange
            .configure(leg, settings, world.now, &mut world.sink)
            .unwrap();
    }
    for n in 0..10u8 {
        let packet = world.phones[0].numbered(PayloadType(9), 160, &[n; 160]);
        let from = world.phones[0].address;
        world.receive(A, packet, from);
        world.wait(20);
    }
    assert_eq!(world.phones[1].heard.len(), 10);
    assert_eq!(world.phones[1].heard[3].1, [3; 160]);
}

#[test]
fn a_recording_holds_both_sides_on_their_clock() {
    let mut world = World::bridged("PCMU", "opus");
    let handle = RecordingHandle(1);
    let setup = RecordingSetup {
        key: [3; 32],
        recording_id: [4; 16],
        nonce_seed: [5; 12],
        started_unix_ms: 1_700_000_000_000,
        left: A,
        right: B,
    };
    world
        .exchange
        .start_recording(handle, &setup, world.now, &mut world.sink)
        .unwrap();
    world.talk(2_000);
    world
        .exchange
        .stop_recording(handle, world.now, &mut world.sink);
    world
        .exchange
        .stop_recording(handle, world.now, &mut world.sink);
    world.deliver();
    let info = crate::spool::Info::scan(world.chunks.as_slice(), &setup.key).unwrap();
    assert_eq!(
        (info.duration_ms, info.truncated, info.packets),
        (2_000, false, 200)
    );
    let mut renderer =
        crate::spool::Renderer::new(world.chunks.as_slice(), &setup.key, 8_000).unwrap();
    let mut stereo = Vec::new();
    loop {
        let part = renderer.read(1_000).unwrap();
        if part.is_empty() {
            break;
        }
        stereo.extend(part);
    }
    let (left, right): (Vec<i16>, Vec<i16>) = stereo.chunks_exact(2).map(|f| (f[0], f[1])).unzip();
    assert!(left.len().abs_diff(16_000) <= 160);
    assert!((goertzel_dbm0(&left[4_000..12_000], 8_000, 500.0) - -13.0).abs() < 0.5);
    assert!(goertzel_dbm0(&left[4_000..12_000], 8_000, 1_200.0) < -50.0);
    assert!((goertzel_dbm0(&right[4_000..12_000], 8_000, 1_200.0) - -13.0).abs() < 1.0);
    assert_eq!(world.exchange.recordings(), 0);
}

#[test]
fn a_stream_is_recorded_as_it_speaks() {
    let mut world = World::new(vec![Phone::new(A, "PCMU", 600.0)]);
    let stream = StreamHandle::new(16_000, 5_000).unwrap();
    world
        .exchange
        .open_stream(B, stream.clone(), world.now)
        .unwrap();
    world.exchange.bridge(A, B, world.now).unwrap();
    let setup = RecordingSetup {
        key: [3; 32],
        recording_id: [4; 16],
        nonce_seed: [6; 12],
        started_unix_ms: 0,
        left: A,
        right: B,
    };
    world
        .exchange
        .start_recording(RecordingHandle(2), &setup, world.now, &mut world.sink)
        .unwrap();
    let prompt: Vec<u8> = sine(16_000, 1_000.0, -10.0, 32_000)
        .into_iter()
        .flat_map(i16::to_le_bytes)
        .collect();
    let _ = stream.write(&prompt);
    world.talk(1_000);
    world
        .exchange
        .stop_recording(RecordingHandle(2), world.now, &mut world.sink);
    world.deliver();
    let mut renderer =
        crate::spool::Renderer::new(world.chunks.as_slice(), &setup.key, 16_000).unwrap();
    let mut right = Vec::new();
    loop {
        let part = renderer.read(4_000).unwrap();
        if part.is_empty() {
            break;
        }
        right.extend(part.chunks_exact(2).map(|frame| frame[1]));
    }
    assert!((goertzel_dbm0(&right[1_600..14_400], 16_000, 1_000.0) - -10.0).abs() < 0.3);
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
