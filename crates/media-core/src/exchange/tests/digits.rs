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
