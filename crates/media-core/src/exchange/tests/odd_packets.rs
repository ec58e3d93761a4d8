//! What comes besides plain audio: noise, nothing, reflections, jumps and lies.

use super::*;

#[test]
fn comfort_noise_and_empty_packets_are_neither_malformed_nor_lost() {
    for other in ["PCMU", "PCMA"] {
        let mut world = World::bridged("PCMU", other);
        for _ in 0..50 {
            world.talk(40);
            let from = world.phones[0].address;
            let noise = world.phones[0].numbered(PayloadType(13), 0, &[60]);
            world.receive(A, noise, from);
            let empty = world.phones[0].numbered(PayloadType(0), 0, &[]);
            world.receive(A, empty, from);
        }
        world.wait(100);
        let statistics = world.statistics(A);
        assert_eq!(
            (statistics.unexpected, statistics.malformed),
            (100, 0),
            "{other}"
        );
        assert_eq!(
            (statistics.packets_lost, statistics.packets_received),
            (0, 200)
        );
        assert_eq!(statistics.packets_discarded, 0);
        let heard = &world.phones[1].heard;
        assert!(heard.iter().all(|(_, payload, _)| payload.len() == 160));
        assert!(
            (world.phones[1].hears(500.0) - -13.0).abs() < 1.0,
            "{other}"
        );
    }
}

#[test]
fn our_own_packets_coming_back_are_heard_like_any_others() {
    // A reflector (SIPp's rtp_echo) sends back what it gets, our SSRC and numbers with it.
    for other in ["PCMU", "PCMA"] {
        let mut world = World::bridged(other, "PCMU");
        world.phones.swap(0, 1);
        for _ in 0..100 {
            let packet = world.phones[0].packet();
            let from = world.phones[0].address;
            world.receive(B, packet, from);
            let back: Vec<_> = world.phones[1].heard.drain(..).collect();
            for (header, payload, _) in back {
                let mut packet = Vec::new();
                header.write(&payload, &mut packet);
                let from = world.phones[1].address;
                world.receive(A, packet, from);
            }
            world.wait(20);
        }
        assert!(world.phones[0].heard.len() >= 95, "{other}");
        assert!(
            (world.phones[0].hears(1_200.0) - -13.0).abs() < 1.0,
            "{other}"
        );
        assert_eq!(world.statistics(A).packets_lost, 0);
    }
}

#[test]
fn two_sources_under_one_leg_do_not_break_the_stream_that_goes_out() {
    for other in ["PCMU", "PCMA"] {
        let mut world = World::bridged("PCMU", other);
        for _ in 0..50 {
            world.talk(20);
            let mut second = Phone::new(A, "PCMU", 900.0);
            (second.ssrc, second.sequence) = (77, 9);
            let from = world.phones[0].address;
            let packet = second.packet();
            world.receive(A, packet, from);
        }
        world.assert_continuous(1);
        assert!(world.phones[1].heard.len() <= 110);
    }
}

#[test]
fn jumps_of_numbers_and_timestamps_are_followed() {
    for other in ["PCMU", "PCMA"] {
        for (numbers, stamps) in [
            (0u16, 4_000_000u32),
            (0, 0u32.wrapping_sub(4_000_000)),
            (0, 1 << 31),
            (20_000, 0),
            (40_000, 0x8000_0000),
            (2_000, 0),
            (0u16.wrapping_sub(2_000), 0u32.wrapping_sub(320_000)),
        ] {
            let mut world = World::bridged("PCMU", other);
            world.talk(500);
            let phone = &mut world.phones[0];
            phone.sequence = phone.sequence.wrapping_add(numbers);
            phone.timestamp = phone.timestamp.wrapping_add(stamps);
            world.talk(1_500);
            let heard = world.phones[1].heard.len();
            assert!(
                (95..=103).contains(&heard),
                "{other} {numbers} {stamps}: {heard}"
            );
            assert!(
                (world.phones[1].hears(500.0) - -13.0).abs() < 0.5,
                "{other} {numbers} {stamps}"
            );
        }
    }
}

#[test]
fn what_lies_about_its_own_shape_is_malformed_and_reaches_nobody() {
    let mut world = World::bridged("PCMU", "PCMU");
    world.talk(20);
    let from = world.phones[0].address;
    let good = Phone::new(A, "PCMU", 500.0).packet();
    let lies: [fn(&mut Vec<u8>); 6] = [
        |p| p[0] = 0x8f,
        |p| {
            p[0] = 0x90;
            p[14..16].copy_from_slice(&[0xff, 0xff]);
        },
        |p| {
            p[0] = 0xa0;
            *p.last_mut().unwrap() = 0;
        },
        |p| {
            p[0] = 0xa0;
            *p.last_mut().unwrap() = 200;
        },
        |p| p[0] = 0x40,
        |p| p.truncate(11),
    ];
    for lie in lies {
        let mut packet = good.clone();
        packet.truncate(40);
        lie(&mut packet);
        world.receive(A, packet, from);
    }
    assert_eq!(world.statistics(A).malformed, 6);
    assert_eq!(world.phones[1].heard.len(), 1);
    let mut large = good[..12].to_vec();
    large.resize(2_047, 0xff);
    large[3] = large[3].wrapping_add(1);
    world.receive(A, large, from);
    world.talk(100);
    assert!((world.phones[1].heard.len()) >= 6);
}
