use super::*;
use crate::ids::PayloadType;
use proptest::prelude::*;

const SUITES: [SrtpSuite; 3] = [
    SrtpSuite::AesCm128HmacSha1_80,
    SrtpSuite::AesCm128HmacSha1_32,
    SrtpSuite::AesCm256HmacSha1_80,
];

fn key(suite: SrtpSuite, fill: u8) -> SrtpKey {
    SrtpKey::new(suite, &vec![fill; suite.key_salt_len()]).unwrap()
}

fn packet(sequence: u16, ssrc: u32, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    rtp::Header {
        marker: false,
        payload_type: PayloadType(0),
        sequence,
        timestamp: u32::from(sequence) * 160,
        ssrc: Ssrc(ssrc),
    }
    .write(payload, &mut out);
    out
}

#[test]
fn every_suite_protects_and_detects() {
    for suite in SUITES {
        let mut sender = SrtpSender::new(key(suite, 7)).unwrap();
        let mut receiver = SrtpReceiver::new(key(suite, 7)).unwrap();
        let plain = packet(1_000, 42, b"some audio of one frame");
        let mut wire = Vec::new();
        sender.protect_rtp(&plain, &mut wire).unwrap();
        assert!(wire.len() > plain.len());
        assert_ne!(&wire[12..plain.len()], &plain[12..]);
        let mut bad = wire.clone();
        *bad.last_mut().unwrap() ^= 1;
        assert_eq!(receiver.unprotect_rtp(&mut bad), Err(SrtpError::Refused));
        let mut first = wire.clone();
        let len = receiver.unprotect_rtp(&mut first).unwrap();
        assert_eq!(&first[..len], &plain[..]);
        assert_eq!(
            receiver.unprotect_rtp(&mut wire),
            Err(SrtpError::Refused),
            "a replay"
        );
        let mut other = SrtpReceiver::new(key(suite, 8)).unwrap();
        sender
            .protect_rtp(&packet(1_001, 42, b"x"), &mut wire)
            .unwrap();
        assert_eq!(other.unprotect_rtp(&mut wire), Err(SrtpError::Refused));
    }
}

#[test]
fn matches_the_test_vector_of_rfc_3711() {
    // RFC 3711 §B.3 gives master key and salt; the protected packet below is the one published with libsrtp for them.
    let key_salt = [
        0xe1, 0xf9, 0x7a, 0x0d, 0x3e, 0x01, 0x8b, 0xe0, 0xd6, 0x4f, 0xa3, 0x2c, 0x06, 0xde, 0x41,
        0x39, 0x0e, 0xc6, 0x75, 0xad, 0x49, 0x8a, 0xfe, 0xeb, 0xb6, 0x96, 0x0b, 0x3a, 0xab, 0xe6,
    ];
    let mut plain = vec![
        0x80, 0x0f, 0x12, 0x34, 0xde, 0xca, 0xfb, 0xad, 0xca, 0xfe, 0xba, 0xbe,
    ];
    plain.extend_from_slice(&[0xab; 16]);
    let expected = [
        0x80, 0x0f, 0x12, 0x34, 0xde, 0xca, 0xfb, 0xad, 0xca, 0xfe, 0xba, 0xbe, 0x4e, 0x55, 0xdc,
        0x4c, 0xe7, 0x99, 0x78, 0xd8, 0x8c, 0xa4, 0xd2, 0x15, 0x94, 0x9d, 0x24, 0x02, 0xb7, 0x8d,
        0x6a, 0xcc, 0x99, 0xea, 0x17, 0x9b, 0x8d, 0xbb,
    ];
    let key = SrtpKey::new(SrtpSuite::AesCm128HmacSha1_80, &key_salt).unwrap();
    let mut wire = Vec::new();
    SrtpSender::new(key)
        .unwrap()
        .protect_rtp(&plain, &mut wire)
        .unwrap();
    assert_eq!(wire, expected);
}

#[test]
fn survives_the_wrap_of_the_sequence() {
    let suite = SrtpSuite::AesCm128HmacSha1_80;
    let mut sender = SrtpSender::new(key(suite, 1)).unwrap();
    let mut receiver = SrtpReceiver::new(key(suite, 1)).unwrap();
    let mut wire = Vec::new();
    for step in 0..140_000u32 {
        if step % 7 == 3 {
            continue; // lost before it was sent
        }
        let plain = packet((step + 65_000) as u16, 1, &[1]);
        sender.protect_rtp(&plain, &mut wire).unwrap();
        if step % 11 != 0 {
            assert!(receiver.unprotect_rtp(&mut wire).is_ok(), "{step}");
        }
    }
}

#[test]
fn control_packets_too() {
    let suite = SrtpSuite::AesCm128HmacSha1_32;
    let mut sender = SrtpSender::new(key(suite, 3)).unwrap();
    let mut receiver = SrtpReceiver::new(key(suite, 3)).unwrap();
    let report = [0x80, 201, 0, 1, 0, 0, 0, 9];
    let mut wire = Vec::new();
    sender.protect_rtcp(&report, &mut wire).unwrap();
    let mut replay = wire.clone();
    let mut open = report.to_vec();
    open.extend_from_slice(&[0; SRTCP_TAIL]);
    assert!(
        receiver.unprotect_rtcp(&mut open).is_err(),
        "not encrypted, not authentic"
    );
    let len = receiver.unprotect_rtcp(&mut wire).unwrap();
    assert_eq!(&wire[..len], &report);
    assert!(receiver.unprotect_rtcp(&mut replay).is_err());
}

#[test]
fn strangers_cannot_make_it_grow() {
    let suite = SrtpSuite::AesCm128HmacSha1_80;
    let mut receiver = SrtpReceiver::new(key(suite, 1)).unwrap();
    let mut forger = SrtpSender::new(key(suite, 2)).unwrap();
    let mut wire = Vec::new();
    for ssrc in 0..1_000 {
        forger
            .protect_rtp(&packet(1, ssrc, b"?"), &mut wire)
            .unwrap();
        assert!(receiver.unprotect_rtp(&mut wire).is_err());
    }
    assert!(receiver.rtp_sources.0.is_empty());
    assert!(receiver.probes <= MAX_PROBES);
    let mut sender = SrtpSender::new(key(suite, 1)).unwrap();
    let mut accepted = 0;
    for ssrc in 0..200 {
        sender
            .protect_rtp(&packet(1, ssrc, b"!"), &mut wire)
            .unwrap();
        accepted += usize::from(receiver.unprotect_rtp(&mut wire).is_ok());
    }
    assert_eq!(accepted, MAX_SOURCES);
}

#[test]
fn a_key_of_the_wrong_length_is_named() {
    let error = SrtpKey::new(SrtpSuite::AesCm256HmacSha1_80, &[0; 30]).unwrap_err();
    assert_eq!(
        error,
        SrtpError::KeyLength {
            expected: 46,
            got: 30
        }
    );
    assert!(!format!("{:?}", key(SUITES[0], 9)).contains('9'));
}

proptest! {
    #[test]
    fn any_octets_do_not_panic(mut data in proptest::collection::vec(any::<u8>(), 0..80)) {
        let mut receiver = SrtpReceiver::new(key(SUITES[0], 1)).unwrap();
        prop_assert!(receiver.unprotect_rtp(&mut data).is_err());
        prop_assert!(receiver.unprotect_rtcp(&mut data).is_err());
    }
}
