#![no_main]
//! SDES keys of any length, then protected packets that nobody protected.
use libfuzzer_sys::fuzz_target;
use media_core::srtp::{SrtpKey, SrtpReceiver, SrtpSuite};

fuzz_target!(|data: &[u8]| {
    let Some((&choice, rest)) = data.split_first() else { return };
    let suites = [
        SrtpSuite::AesCm128HmacSha1_80,
        SrtpSuite::AesCm128HmacSha1_32,
        SrtpSuite::AesCm256HmacSha1_80,
    ];
    let suite = suites[usize::from(choice) % 3];
    let _ = SrtpKey::new(suite, rest);
    let key = SrtpKey::new(suite, &vec![choice; suite.key_salt_len()]).expect("the right length");
    let mut receiver = SrtpReceiver::new(key).expect("a usable key");
    let mut packet = rest.to_vec();
    assert!(receiver.unprotect_rtp(&mut packet).is_err());
    assert!(receiver.unprotect_rtcp(&mut packet).is_err());
});
