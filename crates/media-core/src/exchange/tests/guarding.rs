//! Strangers, SRTP, silence, hold, reports and mistakes.

use super::*;

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
        assert_eq!(parked.legs().collect::<Vec<_>>(), [leg]);
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
    let mut settings = world.phones[0].settings();
    settings.dtmf_receive = Some(PayloadType(0));
    let error = world
        .exchange
        .configure(A, settings, world.now, &mut world.sink)
        .unwrap_err();
    assert!(error.to_string().contains("telephone-event"));
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

fn silences(world: &World) -> Vec<u32> {
    world
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Silence { leg: A, ms } => Some(*ms),
            _ => None,
        })
        .collect()
}

fn control(world: &mut World, packet: &[u8]) {
    let from = SocketAddr::new(world.phones[0].address.ip(), 4_001);
    world.exchange.receive(
        A,
        Channel::Rtcp,
        &mut packet.to_vec(),
        from,
        world.now,
        &mut world.sink,
    );
}

#[test]
fn a_phone_that_sends_reports_only_is_flagged_but_not_gone() {
    let mut world = World::bridged("PCMU", "PCMU");
    world.talk(100);
    let mut report = Vec::new();
    crate::rtcp::write_report(&mut report, Ssrc(1_000), None, None, "phone");
    for _ in 0..20 {
        world.wait(5_000);
        control(&mut world, &report);
    }
    assert_eq!(silences(&world), [5_000], "muted, or on hold");
    world.wait(29_000);
    assert_eq!(silences(&world), [5_000]);
    world.wait(1_001);
    assert_eq!(silences(&world), [5_000, 30_000], "then it vanished");
}

#[test]
fn goodbyes_strangers_and_rubbish_are_no_sign_of_life() {
    let mut world = World::bridged("PCMU", "PCMU");
    world.talk(100);
    let mut goodbye = Vec::new();
    crate::rtcp::write_report(&mut goodbye, Ssrc(1_000), None, None, "phone");
    let mut foreign = goodbye.clone();
    crate::rtcp::write_goodbye(&mut goodbye, Ssrc(1_000));
    for _ in 0..8 {
        world.wait(4_000);
        control(&mut world, &goodbye);
        control(&mut world, &[0x80, 201, 0, 9, 1]);
        let stranger = "203.0.113.66:4001".parse().unwrap();
        let now = world.now;
        world.exchange.receive(
            A,
            Channel::Rtcp,
            &mut foreign,
            stranger,
            now,
            &mut world.sink,
        );
    }
    assert_eq!(silences(&world), [5_000, 30_000]);
    let statistics = world.statistics(A);
    assert_eq!((statistics.malformed, statistics.strangers), (8, 8));
}

#[test]
fn the_quality_names_its_formula() {
    let mut world = World::bridged("PCMU", "opus");
    world.talk(2_000);
    let (g711, opus) = (world.statistics(A), world.statistics(B));
    assert_eq!(g711.model, Some("G.107, G.711 with concealment"));
    assert_eq!(
        opus.model,
        Some("G.107, Opus taken as G.711 with concealment")
    );
    assert!(opus.mos.is_some());
    let mut world = World::bridged("PCMU", "PCMU");
    let unknown = CodecSettings::new(98, "X-VOICE", 8_000, 1, "");
    let settings = RtpSettings::plain(unknown, Some(world.phones[0].address));
    world
        .exchange
        .configure(A, settings, world.now, &mut world.sink)
        .unwrap();
    for n in 0..100 {
        let packet = world.phones[0].numbered(PayloadType(98), 160, &[n; 30]);
        let from = world.phones[0].address;
        world.receive(A, packet, from);
        world.wait(20);
    }
    let unknown = world.statistics(A);
    assert_eq!((unknown.mos, unknown.model), (None, None));
    assert_eq!(unknown.packets_lost, 0);
}

#[test]
fn a_phone_that_held_in_silence_is_missed_again_after_it_resumed() {
    let mut world = World::bridged("PCMU", "PCMU");
    world.talk(100);
    let mut settings = world.phones[0].settings();
    // It holds (a=sendonly), sends no music, and no reports either.
    settings.may_send = false;
    world
        .exchange
        .configure(A, settings.clone(), world.now, &mut world.sink)
        .unwrap();
    world.wait(40_000);
    assert_eq!(silences(&world), [5_000, 30_000]);
    settings.may_send = true;
    world
        .exchange
        .configure(A, settings.clone(), world.now, &mut world.sink)
        .unwrap();
    world.wait(4_000);
    // A session refresh changes nothing, and is not counted from.
    world
        .exchange
        .configure(A, settings, world.now, &mut world.sink)
        .unwrap();
    world.wait(1_001);
    assert_eq!(silences(&world), [5_000, 30_000, 5_000]);
    world.wait(25_000);
    assert_eq!(silences(&world), [5_000, 30_000, 5_000, 30_000]);
}
