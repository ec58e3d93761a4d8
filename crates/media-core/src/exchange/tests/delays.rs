//! What a transcoded bridge adds to the delay, and what it does about jitter.

use super::*;

/// Delay that the bridge added to the onset of B's view of A's tone, which began after `silent` packets, in ms.
fn onset_delay(world: &World, sent_at: Time, first_heard: usize) -> f64 {
    let audio = world.phones[1].audio();
    let onset = audio
        .iter()
        .skip(first_heard * 160)
        .position(|sample| sample.unsigned_abs() > 1_000)
        .unwrap()
        + first_heard * 160;
    let (packet, offset) = (onset / 160, onset % 160);
    let delivered = world.phones[1].heard[packet].2;
    delivered.since(sent_at) as f64 / 1_000.0 + offset as f64 / 8.0
}

/// A's packets reach us `late(n)` ms after their time; silence, with one packet of tone in every 50. The added delays
/// of the tones.
fn delays(other: &str, packets: u64, late: impl Fn(u64) -> u64) -> (World, Vec<f64>) {
    let mut world = World::bridged("PCMU", other);
    let start = world.now;
    let mut arrivals: Vec<(u64, u64, Vec<u8>)> = Vec::new();
    for n in 0..packets {
        let loud = n % 50 == 40;
        let fill = if loud { 0x90 } else { 0xff };
        let packet = world.phones[0].numbered(PayloadType(0), 160, &[fill; 160]);
        arrivals.push((n * 20 + late(n), n, packet));
    }
    arrivals.sort();
    let mut delays = Vec::new();
    let mut marks: Vec<(Time, usize)> = Vec::new();
    for (at, n, packet) in arrivals {
        world.timers_until(start.plus_millis(at));
        if n % 50 == 40 {
            // On a network without jitter it would have come then.
            marks.push((start.plus_millis(n * 20), world.phones[1].heard.len()));
        }
        let from = world.phones[0].address;
        world.receive(A, packet, from);
    }
    world.wait(400);
    for (sent_at, heard) in marks {
        delays.push(onset_delay(&world, sent_at, heard));
    }
    (world, delays)
}

#[test]
fn a_transcoded_bridge_without_jitter_adds_ten_milliseconds() {
    let (world, delays) = delays("PCMA", 500, |_| 0);
    assert!(
        delays.iter().all(|delay| (9.0..=11.0).contains(delay)),
        "{delays:?}"
    );
    let statistics = world.statistics(A);
    assert_eq!(
        (statistics.packets_discarded, statistics.concealed_ms),
        (0, 180),
        "only the end is made up"
    );
    assert!((statistics.buffer_delay_ms - 10.0).abs() < 0.5);
}

#[test]
fn twenty_milliseconds_of_jitter_cost_one_concealment() {
    let mut random = crate::random::Random::new(4);
    let late: Vec<u64> = (0..3_000).map(|_| random.next_u64() % 21).collect();
    let (world, delays) = delays("PCMA", 3_000, |n| late[n as usize]);
    let statistics = world.statistics(A);
    assert!(statistics.packets_discarded <= 2, "{statistics:?}");
    assert!(statistics.concealed_ms <= 180 + 40, "{statistics:?}");
    assert!(delays.iter().all(|delay| *delay <= 51.0), "{delays:?}");
}

#[test]
fn the_delay_of_a_bad_moment_is_given_back_in_silence() {
    // Between the 5th and the 6th second every other packet is 60 ms late.
    let late = |n: u64| {
        if (250..300).contains(&n) && n % 2 == 0 {
            60
        } else {
            0
        }
    };
    let (_, delays) = delays("PCMA", 3_000, late);
    assert!((60.0..=90.0).contains(&delays[5]), "{delays:?}");
    assert!(delays[59] <= 25.0, "{delays:?}");
}

#[test]
fn a_late_thread_does_not_lengthen_the_delay() {
    // The thread comes up to 3 ms late, and 15 to 60 ms once in a second; packets wait in their socket meanwhile.
    let mut world = World::bridged("PCMU", "PCMA");
    let start = world.now;
    let mut random = crate::random::Random::new(11);
    let (mut awake, mut sent) = (0u64, 0u64);
    while sent < 3_000 {
        let stall = if (500..504).contains(&(awake % 1_000)) {
            15_000 + random.next_u64() % 45_000
        } else {
            random.next_u64() % 3_000
        };
        awake += 1 + stall / 1_000;
        let now = start.plus_millis(awake);
        world.now = now;
        while sent * 20 <= awake {
            let packet = world.phones[0].numbered(PayloadType(0), 160, &[0xff; 160]);
            let from = world.phones[0].address;
            world.receive(A, packet, from);
            sent += 1;
        }
        world.exchange.handle_timer(now, &mut world.sink);
        world.deliver();
    }
    let statistics = world.statistics(A);
    assert_eq!(statistics.packets_discarded, 0, "{statistics:?}");
    assert!(statistics.concealed_ms <= 40, "{statistics:?}");
    assert!(statistics.buffer_delay_ms <= 15.0, "{statistics:?}");
}

#[test]
fn sixty_milliseconds_of_jitter_are_learned() {
    let mut random = crate::random::Random::new(6);
    let late: Vec<u64> = (0..3_000).map(|_| random.next_u64() % 61).collect();
    let (world, delays) = delays("PCMA", 3_000, |n| late[n as usize]);
    let statistics = world.statistics(A);
    assert!(statistics.packets_discarded <= 30, "{statistics:?}");
    assert!(
        delays[10..].iter().all(|delay| *delay <= 111.0),
        "{delays:?}"
    );
}
