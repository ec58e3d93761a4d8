//! Relay, transcoding, echo, playback and streams, judged by what is heard.

use super::*;

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
fn a_tone_survives_a_bad_network() {
    // 3 % loss, 0 to 30 ms of jitter, which reorders packets too.
    let mut world = World::bridged("PCMU", "PCMA");
    let mut random = Random::new(11);
    let mut wire: Vec<(u64, Vec<u8>)> = Vec::new();
    for _ in 0..500 {
        let packet = world.phones[0].packet();
        if random.fraction() >= 0.03 {
            let at = world.now.micros() + (random.fraction() * 30_000.0) as u64;
            wire.push((at, packet));
        }
        let packet = world.phones[1].packet();
        let from = world.phones[1].address;
        world.receive(B, packet, from);
        let until = world.now.plus_millis(20);
        wire.sort_by_key(|(at, _)| *at);
        while wire.first().is_some_and(|(at, _)| *at < until.micros()) {
            let (at, packet) = wire.remove(0);
            world.timers_until(Time::from_micros(at));
            let from = world.phones[0].address;
            world.receive(A, packet, from);
        }
        world.timers_until(until);
    }
    let level = world.phones[1].hears(500.0);
    assert!((level - -13.0).abs() < 1.0, "{level}");
    let statistics = world.statistics(A);
    assert!(
        (1.5..4.5).contains(&statistics.loss_percent),
        "{statistics:?}"
    );
    assert!(statistics.buffer_delay_ms < 80.0, "{statistics:?}");
    assert!(statistics.mos.unwrap() > 4.0, "{statistics:?}");
    world.assert_continuous(1);
}
