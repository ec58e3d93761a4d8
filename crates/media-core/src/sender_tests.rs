use super::*;
use proptest::prelude::*;

fn sender(name: &str) -> Sender {
    let mut sender = Sender::new(&mut Random::new(9));
    let mut settings = RtpSettings::plain(CodecSettings::new(0, name, 8_000, 1, ""), None);
    settings.dtmf_send = Some(PayloadType(101));
    sender.configure(&settings);
    sender
}

fn incoming(ssrc: u32, sequence: u16, timestamp: u32) -> Header {
    Header {
        marker: false,
        payload_type: PayloadType(8),
        sequence,
        timestamp,
        ssrc: Ssrc(ssrc),
    }
}

fn relay(sender: &mut Sender, header: &Header, now: Time) -> Option<Header> {
    sender.relay(LegId(1), header, PayloadType(0), 160, 160, now)
}

#[test]
fn a_relay_keeps_gaps_and_order() {
    let mut sender = sender("PCMU");
    let a = relay(&mut sender, &incoming(5, 65_535, 1_000), Time::ZERO).unwrap();
    assert!(a.marker);
    let c = relay(&mut sender, &incoming(5, 1, 1_320), Time::from_millis(40)).unwrap();
    let b = relay(&mut sender, &incoming(5, 0, 1_160), Time::from_millis(41)).unwrap();
    assert_eq!(b.sequence, a.sequence.wrapping_add(1));
    assert_eq!(c.sequence, a.sequence.wrapping_add(2));
    assert_eq!(c.timestamp.wrapping_sub(a.timestamp), 320);
    assert!(!b.marker && !c.marker);
    // A packet from before the relay began would take a number that is in use.
    assert_eq!(
        relay(&mut sender, &incoming(5, 65_534, 840), Time::ZERO),
        None
    );
}

#[test]
fn digits_and_audio_share_one_sequence() {
    let mut sender = sender("PCMU");
    let mut headers: Vec<Header> = Vec::new();
    let mut now = Time::ZERO;
    sender.digits().push("1", 100, 60).unwrap();
    for _ in 0..20 {
        now = now.plus_millis(20);
        let paused = sender.tick_digits(now, &mut |header, _| headers.push(*header));
        if !paused {
            sender.push(&[0; 160], 8_000, now, &mut |header, _| {
                headers.push(*header)
            });
        }
    }
    assert_eq!(
        headers
            .iter()
            .filter(|h| h.payload_type == PayloadType(101))
            .count(),
        7
    );
    for pair in headers.windows(2) {
        assert_eq!(pair[1].sequence, pair[0].sequence.wrapping_add(1));
    }
    let audio = headers
        .iter()
        .find(|h| h.payload_type == PayloadType(0))
        .unwrap();
    assert!(audio.marker);
    assert!(audio.timestamp.wrapping_sub(headers[0].timestamp) >= 800);
}

#[test]
fn packet_lengths_are_kept() {
    for packet_ms in [10, 20, 30, 40, 60] {
        let mut sender = sender("PCMU");
        let mut settings = RtpSettings::plain(CodecSettings::new(0, "PCMU", 8_000, 1, ""), None);
        settings.packet_ms = packet_ms;
        sender.configure(&settings);
        let mut sizes = Vec::new();
        for n in 0..30u64 {
            sender.push(
                &[0; 160],
                8_000,
                Time::from_millis(n * 20),
                &mut |_, payload| {
                    sizes.push(payload.len());
                },
            );
        }
        assert_eq!(sizes.len() as u32, 600 / packet_ms);
        assert!(sizes.iter().all(|&size| size as u32 == packet_ms * 8));
    }
}

#[test]
fn opus_packets_have_a_length_that_opus_has() {
    for (asked, made) in [(10, 10), (20, 20), (30, 20), (40, 40), (50, 40), (60, 60)] {
        let mut sender = sender("PCMU");
        let opus = CodecSettings::new(111, "opus", 48_000, 2, "");
        let mut settings = RtpSettings::plain(opus, None);
        settings.packet_ms = asked;
        sender.configure(&settings);
        let mut stamps = Vec::new();
        for n in 0..60u64 {
            let frame = crate::testing::sine(16_000, 300.0, -10.0, 320);
            sender.push(&frame, 16_000, Time::from_millis(n * 20), &mut |h, _| {
                stamps.push(h.timestamp)
            });
        }
        assert_eq!(stamps.len() as u32, 1_200 / made);
        assert!(stamps
            .windows(2)
            .all(|pair| pair[1].wrapping_sub(pair[0]) == made * 48));
    }
}

proptest! {
    /// Whatever feeds it, the sequence has no number twice and the timestamps of new packets never go back.
    #[test]
    fn one_continuous_source(steps in proptest::collection::vec((0u8..5, any::<u32>(), 0u64..100), 1..200)) {
        let mut sender = sender("PCMU");
        let mut out: Vec<Header> = Vec::new();
        let mut now = Time::ZERO;
        let mut source = incoming(1, 0, 0);
        for (kind, random, wait) in steps {
            now = now.plus_millis(wait);
            match kind {
                0 => source = incoming(random, random as u16, random.rotate_left(7)),
                // The leg keeps audio back while digits have the line.
                1 | 3 | 4 if sender.is_sending_digits() => {}
                1 => sender.push(&[0; 160], 8_000, now, &mut |h, _| out.push(*h)),
                2 => {
                    if random % 8 == 0 {
                        let _ = sender.digits().push("7", 60, 40);
                    }
                    sender.tick_digits(now, &mut |h, _| out.push(*h));
                }
                _ => {
                    source.sequence = source.sequence.wrapping_add(1);
                    source.timestamp = source.timestamp.wrapping_add(160);
                    out.extend(relay(&mut sender, &source, now));
                }
            }
        }
        for pair in out.windows(2) {
            prop_assert_eq!(pair[1].sequence, pair[0].sequence.wrapping_add(1));
            let step = pair[1].timestamp.wrapping_sub(pair[0].timestamp) as i32;
            let same_event = pair.iter().all(|h| h.payload_type == PayloadType(101));
            prop_assert!(step > 0 || same_event && step == 0, "{:?}", pair);
        }
    }
}

#[test]
fn a_talk_spurt_after_a_pause_of_the_encoder_has_the_marker() {
    let mut sender = Sender::new(&mut Random::new(9));
    let opus = CodecSettings::new(111, "opus", 48_000, 2, "usedtx=1");
    sender.configure(&RtpSettings::plain(opus, None));
    let voice = crate::testing::sine(16_000, 300.0, -10.0, 320);
    let mut sent: Vec<(usize, Header)> = Vec::new();
    for tick in 0..200 {
        let frame = if (50..150).contains(&tick) {
            vec![0; 320]
        } else {
            voice.clone()
        };
        let now = Time::from_millis(20 * tick as u64);
        sender.push(&frame, 16_000, now, &mut |header, _| {
            sent.push((tick, *header))
        });
    }
    assert!(sent.len() < 150, "the encoder paused: {}", sent.len());
    for pair in sent.windows(2) {
        let resumed = pair[1].0 - pair[0].0 > 1;
        assert_eq!(pair[1].1.marker, resumed, "{pair:?}");
        assert_eq!(
            pair[1].1.timestamp.wrapping_sub(pair[0].1.timestamp),
            960 * (pair[1].0 - pair[0].0) as u32
        );
    }
    assert!(sent[0].1.marker);
}
