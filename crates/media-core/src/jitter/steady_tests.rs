use super::*;
use proptest::prelude::*;

/// Packet n of 20 ms at 8 kHz carries its number.
fn push(buffer: &mut SteadyBuffer, n: u32, now: Time) {
    push_with(buffer, n as u16, n.wrapping_mul(160), false, n, now);
}

fn push_with(
    buffer: &mut SteadyBuffer,
    sequence: u16,
    timestamp: u32,
    marker: bool,
    tag: u32,
    now: Time,
) {
    let payload = tag.to_be_bytes();
    buffer.push(
        &Arrived {
            sequence,
            timestamp,
            duration: 160,
            marker,
            payload_type: PayloadType(0),
            payload: &payload,
        },
        now,
    );
}

#[derive(Debug, PartialEq, Clone, Copy)]
enum Got {
    Tag(u32),
    Conceal(u32, bool),
    Silence(u32),
}

fn pop(buffer: &mut SteadyBuffer, now: Time, quiet: bool) -> Got {
    match buffer.pop(now, quiet) {
        Pop::Packet { payload, .. } => Got::Tag(u32::from_be_bytes(payload.try_into().unwrap())),
        Pop::Conceal { ms, next } => Got::Conceal(ms, next.is_some()),
        Pop::Silence { ms } => Got::Silence(ms),
    }
}

fn ms(n: u64) -> Time {
    Time::from_millis(n)
}

/// `arrivals`: (packet, when in ms); one pop every 20 ms, 5 ms after the grid.
fn play(arrivals: &[(u32, u64)], pops: u64) -> (Vec<Got>, JitterStatistics) {
    let mut buffer = SteadyBuffer::new(8_000);
    let mut out = Vec::new();
    for tick in 0..pops {
        let now = tick * 20 + 5;
        for &(n, at) in arrivals {
            if at <= now && at + 20 > now {
                push(&mut buffer, n, ms(at));
            }
        }
        out.push(pop(&mut buffer, ms(now), false));
    }
    (out, buffer.statistics())
}

fn tags(got: &[Got]) -> Vec<u32> {
    got.iter()
        .filter_map(|g| match g {
            Got::Tag(n) => Some(*n),
            _ => None,
        })
        .collect()
}

#[test]
fn in_order_without_jitter_waits_the_target() {
    let arrivals: Vec<_> = (0..50).map(|n| (n, u64::from(n) * 20)).collect();
    let (got, statistics) = play(&arrivals, 51);
    assert_eq!(got[0], Got::Silence(20));
    assert_eq!(tags(&got), (0..50).collect::<Vec<_>>());
    assert!((statistics.delay_ms - 25.0).abs() < 2.0, "{statistics:?}");
    assert_eq!((statistics.lost, statistics.discarded), (0, 0));
}

#[test]
fn reordered_and_doubled_packets_are_put_right() {
    let mut arrivals: Vec<_> = (0..20).map(|n| (n, u64::from(n) * 20)).collect();
    arrivals[7].1 += 15;
    arrivals.swap(7, 8);
    arrivals.push((5, 101));
    arrivals.push((2, 150));
    let (got, statistics) = play(&arrivals, 21);
    assert_eq!(tags(&got), (0..20).collect::<Vec<_>>());
    assert_eq!(statistics.duplicates, 2);
    assert_eq!(statistics.late, 0);
}

#[test]
fn a_lost_packet_is_concealed_with_the_next_at_hand() {
    let arrivals: Vec<_> = (0..20)
        .filter(|n| *n != 9)
        .map(|n| (n, u64::from(n) * 20))
        .collect();
    let (got, statistics) = play(&arrivals, 21);
    assert_eq!(got[10], Got::Conceal(20, true));
    assert_eq!(got[11], Got::Tag(10));
    assert_eq!((statistics.lost, statistics.concealed_ms), (1, 20));
}

#[test]
fn sequence_and_timestamp_wrap() {
    let mut buffer = SteadyBuffer::new(8_000);
    let mut out = Vec::new();
    for n in 0..40u32 {
        let now = ms(u64::from(n) * 20);
        let timestamp = (u32::MAX - 1_600).wrapping_add(n * 160);
        push_with(
            &mut buffer,
            65_530u16.wrapping_add(n as u16),
            timestamp,
            n == 0,
            n,
            now,
        );
        out.push(pop(&mut buffer, now, false));
    }
    assert_eq!(tags(&out), (0..39).collect::<Vec<_>>());
}

#[test]
fn silence_of_the_sender_is_silence_and_not_loss() {
    let mut buffer = SteadyBuffer::new(8_000);
    let mut out = Vec::new();
    for tick in 0..60u32 {
        let now = ms(u64::from(tick) * 20);
        // Ten packets, then 200 ms without any (timestamps go on), then ten more without a marker.
        if tick < 10 {
            push(&mut buffer, tick, now);
        } else if (20..30).contains(&tick) {
            push_with(
                &mut buffer,
                (tick - 10) as u16,
                tick * 160,
                false,
                tick - 10,
                now,
            );
        }
        out.push(pop(&mut buffer, now, false));
    }
    assert_eq!(tags(&out), (0..20).collect::<Vec<_>>());
    assert_eq!(buffer.statistics().lost, 0);
}

#[test]
fn events_between_audio_are_not_losses() {
    let mut buffer = SteadyBuffer::new(8_000);
    let mut out = Vec::new();
    for tick in 0..40u32 {
        let now = ms(u64::from(tick) * 20);
        if (10..20).contains(&tick) {
            buffer.skip(tick as u16);
        } else {
            push(&mut buffer, tick, now);
        }
        out.push(pop(&mut buffer, now, false));
    }
    assert_eq!(buffer.statistics().lost, 0);
    assert_eq!(tags(&out).len(), 29);
}

#[test]
fn a_talk_spurt_starts_with_the_target_delay() {
    let mut buffer = SteadyBuffer::new(8_000);
    for n in 0..5 {
        push(&mut buffer, n, ms(u64::from(n) * 20));
        pop(&mut buffer, ms(u64::from(n) * 20 + 5), false);
    }
    for tick in 5..100 {
        pop(&mut buffer, ms(tick * 20 + 5), false);
    }
    push_with(&mut buffer, 5, 16_000, true, 99, ms(2_000));
    assert_eq!(pop(&mut buffer, ms(2_005), false), Got::Silence(20));
    // It had starved once, so the target is 40 ms now.
    assert_eq!(pop(&mut buffer, ms(2_025), false), Got::Silence(20));
    assert_eq!(pop(&mut buffer, ms(2_045), false), Got::Tag(99));
}

#[test]
fn late_packets_lengthen_the_delay_instead_of_being_lost_for_ever() {
    // From packet 10 on everything comes 60 ms later.
    let arrivals: Vec<_> = (0..100)
        .map(|n| (n, u64::from(n) * 20 + if n >= 10 { 60 } else { 0 }))
        .collect();
    let (got, statistics) = play(&arrivals, 106);
    let heard = tags(&got);
    assert!(heard.len() >= 98, "{heard:?}");
    assert!(heard.windows(2).all(|pair| pair[0] < pair[1]));
    assert!(statistics.delay_ms < 60.0);
}

#[test]
fn a_long_stall_does_not_leave_a_lasting_delay() {
    let mut buffer = SteadyBuffer::new(8_000);
    let mut delay = 0.0;
    for tick in 0..3_000u64 {
        let now = ms(tick * 20);
        // The network holds back 300 ms of packets once.
        if !(100..115).contains(&tick) {
            let first = if tick == 115 { 100 } else { tick };
            for n in first..=tick {
                push(&mut buffer, n as u32, now);
            }
        }
        pop(&mut buffer, now, tick % 10 == 0);
        delay = buffer.statistics().delay_ms;
    }
    assert!(delay <= 101.0, "{delay}");
}

#[test]
fn clock_drift_is_bounded_both_ways() {
    for drift_ppm in [-300i64, 300] {
        let mut buffer = SteadyBuffer::new(8_000);
        let mut sent = 0u32;
        for tick in 0..60_000u64 {
            let now = ms(tick * 20);
            while i64::from(sent) * (20_000 - drift_ppm * 20 / 1_000) <= now.micros() as i64 {
                push(&mut buffer, sent, now);
                sent += 1;
            }
            pop(&mut buffer, now, tick % 50 < 10);
        }
        let statistics = buffer.statistics();
        assert!(statistics.delay_ms < 100.0, "{drift_ppm}: {statistics:?}");
        assert!(statistics.discarded <= 30, "{drift_ppm}: {statistics:?}");
        assert!(
            statistics.concealed_ms <= 500,
            "{drift_ppm}: {statistics:?}"
        );
    }
}

#[test]
fn a_burst_is_bounded() {
    let mut buffer = SteadyBuffer::new(8_000);
    for n in 0..10_000 {
        push(&mut buffer, n, ms(1));
        assert!(buffer.queue.len() <= MAX_PACKETS);
        assert!(buffer.waiting_ms() <= CEILING_MS);
    }
    assert!(buffer.statistics().discarded > 9_900);
    assert!(buffer.spare.len() <= MAX_PACKETS);
}

proptest! {
    /// Any loss, order, doubling, jump and pause: no panic, bounded, each packet at most once, in order within a numbering.
    #[test]
    fn anything_may_come(
        steps in proptest::collection::vec((0u16..40, 0u32..8_000, any::<bool>(), 0u64..60, 0u8..12), 1..300),
        start in any::<u16>(),
        base in any::<u32>(),
    ) {
        let mut buffer = SteadyBuffer::new(8_000);
        let mut now = Time::ZERO;
        let mut last: Option<u32> = None;
        let mut sequence = start;
        for (index, (jump, stamp, marker, wait, odd)) in steps.into_iter().enumerate() {
            now = now.plus_millis(wait);
            sequence = match odd {
                0 => sequence.wrapping_sub(jump),
                1 => sequence.wrapping_add(jump),
                _ => sequence.wrapping_add(1),
            };
            let timestamp = base.wrapping_add(u32::from(sequence.wrapping_sub(start)) * 160);
            let timestamp = if odd == 2 { timestamp.wrapping_add(stamp) } else { timestamp };
            let tag = u32::from(sequence.wrapping_sub(start)) << 12 | index as u32 & 0xfff;
            push_with(&mut buffer, sequence, timestamp, marker, tag, now);
            prop_assert!(buffer.queue.len() <= MAX_PACKETS && buffer.waiting_ms() <= CEILING_MS + 20);
            if odd % 2 == 0 {
                if let Got::Tag(tag) = pop(&mut buffer, now, odd == 4) {
                    let number = tag >> 12;
                    if let Some(last) = last {
                        // Going back is only allowed across a fresh start (the sender jumped).
                        prop_assert!(number > last || buffer.played == 1 || number + 900 < last);
                    }
                    last = Some(number);
                }
            }
        }
    }
}
