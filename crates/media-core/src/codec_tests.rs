use super::*;
use crate::testing::{goertzel_dbm0, sine};
use proptest::prelude::*;

fn round_trip(name: &str, clock: u32, rate: u32, packet_ms: u32) -> Vec<i16> {
    let settings = CodecSettings::new(96, name, clock, 1, "useinbandfec=1");
    let mut encoder = Encoder::new(&settings, rate).unwrap();
    let mut decoder = Decoder::new(&settings, rate).unwrap();
    assert_eq!(encoder.rate(), decoder.rate());
    let mut heard = Vec::new();
    for packet in
        sine(rate, 1_000.0, -13.0, rate as usize).chunks_exact((rate / 1_000 * packet_ms) as usize)
    {
        let mut payload = Vec::new();
        assert!(encoder.encode(packet, &mut payload));
        assert_eq!(
            settings.codec.duration(&payload, clock, 1),
            Some(clock / 1_000 * packet_ms)
        );
        decoder.decode(&payload, &mut heard);
    }
    heard
}

#[test]
fn a_tone_survives_every_codec() {
    for (name, clock, rate) in [
        ("PCMU", 8_000, 8_000),
        ("pcma", 8_000, 8_000),
        ("L16", 16_000, 16_000),
        ("opus", 48_000, 8_000),
        ("opus", 48_000, 16_000),
        ("opus", 48_000, 48_000),
    ] {
        for packet_ms in [10, 20, 40, 60] {
            let heard = round_trip(name, clock, rate, packet_ms);
            let level = goertzel_dbm0(&heard[heard.len() / 4..], rate, 1_000.0);
            assert!(
                (level - -13.0).abs() < 1.0,
                "{name} {rate} {packet_ms}: {level}"
            );
        }
    }
}

#[test]
fn opus_conceals_and_recovers() {
    let settings = CodecSettings::new(96, "opus", 48_000, 2, "useinbandfec=1");
    let mut encoder = Encoder::new(&settings, 16_000).unwrap();
    let mut decoder = Decoder::new(&settings, 16_000).unwrap();
    let tone = sine(16_000, 300.0, -10.0, 16_000);
    let packets: Vec<Vec<u8>> = tone
        .chunks_exact(320)
        .map(|frame| {
            let mut payload = Vec::new();
            encoder.encode(frame, &mut payload);
            payload
        })
        .collect();
    let mut heard = Vec::new();
    for (index, payload) in packets.iter().enumerate() {
        match index {
            20 => decoder.recover(&packets[21], 20, &mut heard),
            30 => decoder.conceal(20, &mut heard),
            _ => decoder.decode(payload, &mut heard),
        }
    }
    assert_eq!(heard.len(), 16_000);
    for lost in [20, 30] {
        let gap = &heard[lost * 320..(lost + 1) * 320];
        assert!(goertzel_dbm0(gap, 16_000, 300.0) > -16.0, "{lost}");
    }
}

#[test]
fn dtx_sends_little_in_silence() {
    let settings = CodecSettings::new(96, "opus", 48_000, 2, "minptime=10; usedtx=1");
    let mut encoder = Encoder::new(&settings, 8_000).unwrap();
    let sent = (0..100)
        .filter(|_| encoder.encode(&[0; 160], &mut Vec::new()))
        .count();
    assert!(sent < 40, "{sent}");
}

#[test]
fn durations_follow_the_toc() {
    assert_eq!(opus_duration(&[]), None);
    assert_eq!(opus_duration(&[0b0000_1000]), Some(960)); // SILK NB 20 ms
    assert_eq!(opus_duration(&[0b1110_0001]), Some(240)); // CELT FB 2.5 ms, two frames
    assert_eq!(opus_duration(&[0b0001_1011, 2]), Some(5_760)); // 60 ms, code 3, two frames
    assert_eq!(opus_duration(&[0b0001_1011, 3]), None); // 180 ms is not allowed
    assert_eq!(CodecId::Pcmu.duration(&[0; 2_000], 8_000, 1), None);
}

#[test]
fn names_without_case_and_strangers_kept() {
    assert_eq!(CodecId::from_name("pcmu"), CodecId::Pcmu);
    assert_eq!(CodecId::from_name("g722").name(), "G722");
    assert!(Decoder::new(&CodecSettings::new(9, "G722", 8_000, 1, ""), 8_000).is_none());
    assert!(Encoder::new(&CodecSettings::new(9, "G722", 8_000, 1, ""), 8_000).is_none());
    assert_eq!(
        parameter("a=1; UseInbandFec = 1", "useinbandfec"),
        Some("1")
    );
}

proptest! {
    #[test]
    fn any_payload_decodes_to_bounded_audio(payload in proptest::collection::vec(any::<u8>(), 0..400)) {
        for name in ["PCMU", "opus", "L16"] {
            let clock = if name == "opus" { 48_000 } else { 8_000 };
            let settings = CodecSettings::new(96, name, clock, 1, "");
            let mut decoder = Decoder::new(&settings, 8_000).unwrap();
            let mut out = Vec::new();
            decoder.decode(&payload, &mut out);
            prop_assert!(out.len() <= 960);
        }
    }
}
