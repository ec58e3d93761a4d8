//! Digits both ways.

use super::*;

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

/// An Opus phone whose telephone events count at 8 kHz, as most do.
fn opus_phone_with_events_at(leg: LegId, clock: u32) -> (Phone, RtpSettings) {
    let phone = Phone::new(leg, "opus", 500.0);
    let mut settings = phone.settings();
    settings.dtmf_clock = clock;
    (phone, settings)
}

fn opus_bridge(clock_a: u32, clock_b: u32) -> World {
    let (a, settings_a) = opus_phone_with_events_at(A, clock_a);
    let (b, settings_b) = opus_phone_with_events_at(B, clock_b);
    let mut world = World::new(vec![a, b]);
    for (leg, settings) in [(A, settings_a), (B, settings_b)] {
        world
            .exchange
            .configure(leg, settings, world.now, &mut world.sink)
            .unwrap();
    }
    world.exchange.bridge(A, B, world.now).unwrap();
    world
}

/// A presses a key for 100 ms; durations are counted at `clock`.
fn press(world: &mut World, clock: u16) {
    for step in 1..=7u16 {
        let event = EventPayload {
            event: 5,
            end: step >= 5,
            volume: 10,
            duration: step.min(5) * (clock / 50),
        };
        let packet = world.phones[0].numbered(PayloadType(101), 0, &event.to_bytes());
        let from = world.phones[0].address;
        world.receive(A, packet, from);
        world.wait(20);
    }
    world.phones[0].timestamp = world.phones[0].timestamp.wrapping_add(7 * 960);
}

fn digits(world: &World) -> Vec<(char, u32)> {
    world
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Digit {
                digit, duration_ms, ..
            } => Some((*digit, *duration_ms)),
            _ => None,
        })
        .collect()
}

#[test]
fn events_at_8_khz_beside_opus_have_the_right_length() {
    let mut world = opus_bridge(8_000, 8_000);
    world.talk(200);
    press(&mut world, 8_000);
    world.talk(300);
    assert_eq!(digits(&world), [('5', 100)]);
    let passed = world.phones[1].events();
    assert_eq!(passed.len(), 7, "relayed as they are");
    assert_eq!(passed[6].1.duration, 800);
    world.assert_continuous(1);
}

#[test]
fn a_digit_passes_to_a_leg_with_another_event_clock() {
    for (from, to) in [(8_000, 48_000), (48_000, 8_000)] {
        let mut world = opus_bridge(from, to);
        world.talk(200);
        press(&mut world, from as u16);
        world.talk(500);
        assert_eq!(digits(&world), [('5', 100)]);
        let passed = world.phones[1].events();
        let ends: Vec<_> = passed.iter().filter(|(_, event)| event.end).collect();
        assert_eq!(ends.len(), 3, "{from} to {to}");
        assert_eq!(u32::from(ends[0].1.duration), to / 10);
        world.assert_continuous(1);
    }
}

#[test]
fn a_digit_passes_from_g711_to_opus_with_events_at_8_khz() {
    let (b, settings) = opus_phone_with_events_at(B, 8_000);
    let mut world = World::new(vec![Phone::new(A, "PCMU", 500.0), b]);
    world
        .exchange
        .configure(B, settings, world.now, &mut world.sink)
        .unwrap();
    world.exchange.bridge(A, B, world.now).unwrap();
    world.talk(200);
    press(&mut world, 8_000);
    world.talk(500);
    let passed = world.phones[1].events();
    assert_eq!(passed.last().unwrap().1.duration, 800);
    let audio_after = world.phones[1]
        .heard
        .iter()
        .rev()
        .find(|(header, _, _)| header.payload_type == PayloadType(111))
        .unwrap();
    let last_event = passed.last().unwrap().0;
    assert!(audio_after.0.timestamp.wrapping_sub(last_event.timestamp) < 48_000);
    world.assert_continuous(1);
}

#[test]
fn our_digits_beside_opus_count_on_the_event_clock_and_leave_the_audio_in_place() {
    let mut world = opus_bridge(8_000, 8_000);
    world.talk(200);
    world
        .exchange
        .send_digits(B, "9", 2_000, 60, world.now)
        .unwrap();
    let before = world.phones[1].heard.last().unwrap().0.timestamp;
    world.talk(3_000);
    let events = world.phones[1].events();
    assert_eq!(events.last().unwrap().1.duration, 16_000);
    let after = world.phones[1].heard.last().unwrap().0.timestamp;
    let elapsed = after.wrapping_sub(before);
    assert!(elapsed.abs_diff(3 * 48_000) < 4_800, "{elapsed}");
    world.assert_continuous(1);
}
