#![no_main]
//! A recording's file as anybody may have changed it.
use libfuzzer_sys::fuzz_target;
use media_core::spool::{Info, Renderer, SpoolHeader};

fuzz_target!(|data: &[u8]| {
    let key = [0; 32];
    let _ = Info::scan(data, &key);
    let header = SpoolHeader { recording_id: [1; 16], started_unix_ms: 2 };
    let mut file = header.to_bytes().to_vec();
    file.extend_from_slice(data);
    if let Ok(mut renderer) = Renderer::new(file.as_slice(), &key, 8_000) {
        while renderer.read(4_000).is_ok_and(|part| !part.is_empty()) {}
    }
});
