use super::*;
use proptest::prelude::*;

const CLOCKS: EventClocks = EventClocks {
    event: 8_000,
    audio: 8_000,
};

fn packet(digit: char, duration: u16, end: bool) -> [u8; 4] {
    EventPayload {
        event: event_of(digit).unwrap(),
        end,
        volume: 10,
        duration,
    }
    .to_bytes()
}

fn feed(receiver: &mut DtmfReceiver, packets: &[(u32, [u8; 4])]) -> Vec<PressedDigit> {
    packets
        .iter()
        .enumerate()
        .filter_map(|(i, (ts, payload))| {
            receiver.receive(*ts, payload, CLOCKS, Time::from_millis(20 * i as u64))
        })
        .collect()
}

#[test]
fn codes_and_digits_agree() {
    for code in 0..16 {
        assert_eq!(event_of(digit_of(code).unwrap()), Some(code));
    }
    assert_eq!(event_of('a'), Some(12));
    assert_eq!(digit_of(16), None);
    assert_eq!(event_of('x'), None);
    let payload = EventPayload {
        event: 11,
        end: true,
        volume: 63,
        duration: 0xabcd,
    };
    assert_eq!(EventPayload::parse(&payload.to_bytes()), Some(payload));
}

#[test]
fn three_end_packets_are_one_digit() {
    let mut receiver = DtmfReceiver::default();
    let digits = feed(
        &mut receiver,
        &[
            (1_000, packet('5', 160, false)),
            (1_000, packet('5', 320, false)),
            (1_000, packet('5', 800, true)),
            (1_000, packet('5', 800, true)),
            (1_000, packet('5', 800, true)),
            (1_000, packet('5', 320, false)), // late
        ],
    );
    assert_eq!(
        digits,
        [PressedDigit {
            digit: '5',
            duration_ms: 100
        }]
    );
    assert_eq!(receiver.next_timer(), None);
}

#[test]
fn the_same_digit_twice_is_two() {
    let mut receiver = DtmfReceiver::default();
    let digits = feed(
        &mut receiver,
        &[
            (1_000, packet('1', 800, true)),
            (3_000, packet('1', 800, true)),
        ],
    );
    assert_eq!(digits.len(), 2);
}

#[test]
fn lost_ends_are_noticed_by_the_next_digit_or_by_time() {
    let mut receiver = DtmfReceiver::default();
    let digits = feed(
        &mut receiver,
        &[
            (1_000, packet('1', 400, false)),
            (3_000, packet('2', 160, false)),
        ],
    );
    assert_eq!(
        digits,
        [PressedDigit {
            digit: '1',
            duration_ms: 50
        }]
    );
    assert_eq!(receiver.poll(8_000, Time::from_millis(169)), None);
    let due = receiver.next_timer().unwrap();
    assert_eq!(due, Time::from_millis(170));
    assert_eq!(receiver.poll(8_000, due).unwrap().digit, '2');
    assert_eq!(receiver.poll(8_000, due), None);
}

#[test]
fn a_key_held_for_twenty_seconds_is_one_digit() {
    let mut receiver = DtmfReceiver::default();
    let mut digits = Vec::new();
    let (mut segment, mut within, mut now) = (0u32, 0u32, Time::ZERO);
    for _ in 0..1_000 {
        within += 160;
        if within > 0xffff {
            segment += 0xffff;
            within -= 0xffff;
        }
        now = now.plus_millis(20);
        digits.extend(receiver.receive(segment, &packet('#', within as u16, false), CLOCKS, now));
    }
    digits.extend(receiver.receive(segment, &packet('#', within as u16, true), CLOCKS, now));
    assert_eq!(
        digits,
        [PressedDigit {
            digit: '#',
            duration_ms: 20_000
        }]
    );
}

#[test]
fn durations_are_on_the_event_clock_and_timestamps_on_the_audio_clock() {
    let clocks = EventClocks {
        event: 8_000,
        audio: 48_000,
    };
    let mut receiver = DtmfReceiver::default();
    let (mut segment, mut within, mut now) = (0u32, 0u32, Time::ZERO);
    let mut digits = Vec::new();
    for tick in 1..=500 {
        within += 160;
        if within > 0xffff {
            segment += 6 * 0xffff;
            within -= 0xffff;
        }
        now = now.plus_millis(20);
        let payload = packet('#', within as u16, tick == 500);
        digits.extend(receiver.receive(segment, &payload, clocks, now));
    }
    assert_eq!(
        digits,
        [PressedDigit {
            digit: '#',
            duration_ms: 10_000
        }]
    );
    assert_eq!(clocks.on_audio_clock(800), 4_800);
}

#[test]
fn a_key_that_is_claimed_to_be_down_for_ever_does_not_overflow() {
    let mut receiver = DtmfReceiver::default();
    let mut digits = Vec::new();
    for segment in 0..70_000u32 {
        let timestamp = segment.wrapping_mul(0xffff);
        let payload = packet('1', 0xffff, segment == 69_999);
        digits.extend(receiver.receive(timestamp, &payload, CLOCKS, Time::ZERO));
    }
    assert_eq!(digits.len(), 1);
    assert!(digits[0].duration_ms > 500_000_000, "{digits:?}");
}

#[test]
fn other_events_and_short_payloads_are_not_digits() {
    let mut receiver = DtmfReceiver::default();
    assert_eq!(
        receiver.receive(1, &[16, 0x80, 0, 1], CLOCKS, Time::ZERO),
        None
    );
    assert_eq!(receiver.receive(1, &[1, 0x80, 0], CLOCKS, Time::ZERO), None);
    assert_eq!(receiver.next_timer(), None);
}

proptest! {
    /// Whatever the order and the losses, as long as one packet of each digit arrives, each is reported at most once,
    /// and exactly once when nothing is reordered across digits.
    #[test]
    fn each_digit_once(keep in proptest::collection::vec(proptest::collection::vec(any::<bool>(), 8), 1..12)) {
        let mut receiver = DtmfReceiver::default();
        let mut now = Time::ZERO;
        let (mut expected, mut got) = (0, 0);
        for (index, kept) in keep.iter().enumerate() {
            expected += usize::from(kept.iter().any(|k| *k));
            for (step, kept) in kept.iter().enumerate() {
                now = now.plus_millis(20);
                let duration = (step.min(5) as u16 + 1) * 160;
                if *kept {
                    let payload = packet('7', duration, step >= 5);
                    got += usize::from(receiver.receive(index as u32 * 4_000, &payload, CLOCKS, now).is_some());
                }
                got += usize::from(receiver.poll(8_000, now).is_some());
            }
            now = now.plus_millis(60);
            got += usize::from(receiver.poll(8_000, now).is_some());
        }
        now = now.plus_millis(200);
        got += usize::from(receiver.poll(8_000, now).is_some());
        prop_assert_eq!(got, expected);
    }
}
