//! The engine over real sockets on loopback. What is heard is judged from Python, with more patience; here the packets.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use media_core::event::Event;
use media_core::ids::LegId;
use media_core::playback::ToneStep;
use media_core::settings::{CodecSettings, RtpSettings};
use media_io::{Engine, EngineEvent, Settings};

const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn engine(first_port: u16, threads: usize) -> Engine {
    let settings = Settings {
        first_port,
        last_port: first_port + 99,
        threads: Some(threads),
    };
    Engine::start(settings).unwrap()
}

/// A phone's socket and the leg that talks to it.
fn phone(engine: &Engine) -> (UdpSocket, LegId, SocketAddr) {
    let socket = UdpSocket::bind((LOCAL, 0)).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_millis(500)))
        .unwrap();
    let (leg, local) = engine.open_rtp(LOCAL).unwrap();
    let codec = CodecSettings::new(0, "PCMU", 8_000, 1, "");
    let remote = socket.local_addr().unwrap();
    engine
        .configure(leg, RtpSettings::plain(codec, Some(remote)))
        .unwrap();
    (socket, leg, SocketAddr::new(local.address, local.port))
}

fn packet(sequence: u16, payload: [u8; 160]) -> Vec<u8> {
    let mut packet = vec![0x80, 0];
    packet.extend(sequence.to_be_bytes());
    packet.extend((u32::from(sequence) * 160).to_be_bytes());
    packet.extend(7_u32.to_be_bytes());
    packet.extend(payload);
    packet
}

fn receive(socket: &UdpSocket) -> Option<Vec<u8>> {
    let mut buffer = [0; 2048];
    let length = socket.recv(&mut buffer).ok()?;
    Some(buffer[..length].to_vec())
}

#[test]
fn payloads_pass_unchanged_between_legs_of_different_threads() {
    let engine = engine(26_000, 2);
    let (alice, a, to_a) = phone(&engine);
    let (bob, b, _) = phone(&engine);
    engine.bridge(a, b).unwrap();
    for sequence in 0..20 {
        let payload = [sequence as u8 | 0x80; 160];
        alice.send_to(&packet(sequence, payload), to_a).unwrap();
        assert_eq!(receive(&bob).expect("a relayed packet")[12..], payload);
    }
    assert_eq!(engine.statistics(a).unwrap().packets_received, 20);
    assert_eq!(engine.statistics(b).unwrap().packets_sent, 20);
}

#[test]
fn a_quiet_engine_relays_at_once() {
    let engine = engine(26_100, 1);
    let (alice, a, to_a) = phone(&engine);
    let (bob, b, _) = phone(&engine);
    engine.bridge(a, b).unwrap();
    let mut delays: Vec<Duration> = (0..30)
        .map(|sequence| {
            std::thread::sleep(Duration::from_millis(10));
            let before = Instant::now();
            alice.send_to(&packet(sequence, [0x55; 160]), to_a).unwrap();
            receive(&bob).expect("a relayed packet");
            before.elapsed()
        })
        .collect();
    delays.sort();
    assert!(
        delays[15] < Duration::from_millis(3),
        "median {:?}",
        delays[15]
    );
}

#[test]
fn an_answer_to_a_closed_port_does_not_stop_the_leg() {
    let engine = engine(26_200, 1);
    let (alice, a, to_a) = phone(&engine);
    engine.bridge(a, a).unwrap();
    alice.send_to(&packet(1, [0x55; 160]), to_a).unwrap();
    receive(&alice).expect("an echo");
    let port = alice.local_addr().unwrap();
    drop(alice);
    // The tone meets a closed port, and the system answers with ICMP errors on the connected socket.
    let step = ToneStep {
        frequencies: vec![425.0],
        ms: 1_000,
        level_dbm0: -13.0,
    };
    engine.play_tone(a, vec![step], true).unwrap();
    std::thread::sleep(Duration::from_millis(100));
    let refused = |engine: &Engine| {
        let counters = engine.health().counters;
        counters
            .iter()
            .find(|(name, _)| *name == "send_refused")
            .map_or(0, |(_, count)| *count)
    };
    assert!(refused(&engine) > 0);
    let alice = UdpSocket::bind(port).unwrap();
    alice
        .set_read_timeout(Some(Duration::from_millis(500)))
        .unwrap();
    receive(&alice).expect("the tone goes on");
}

#[test]
fn events_make_the_engine_readable() {
    let engine = engine(26_300, 1);
    let (_alice, a, _) = phone(&engine);
    let step = ToneStep {
        frequencies: vec![425.0],
        ms: 40,
        level_dbm0: -13.0,
    };
    let playback = engine.play_tone(a, vec![step], false).unwrap();
    let deadline = Instant::now() + Duration::from_secs(2);
    let mut events = Vec::new();
    while events.is_empty() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(5));
        events = engine.drain_events();
    }
    let ended = Event::PlaybackEnded {
        leg: a,
        playback,
        completed: true,
    };
    assert_eq!(events, [EngineEvent::Media(ended)]);
}

#[test]
fn after_the_end_everything_is_refused_in_words() {
    let mut engine = engine(26_400, 2);
    let (_alice, a, _) = phone(&engine);
    engine.shut_down();
    engine.shut_down();
    assert_eq!(
        engine.open_rtp(LOCAL).unwrap_err().code(),
        "media.no_answer"
    );
    assert_eq!(
        engine.statistics(a).unwrap_err().code(),
        "media.no_such_leg"
    );
    assert_eq!(engine.close(a).unwrap(), Default::default());
}
