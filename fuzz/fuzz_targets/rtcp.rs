#![no_main]
//! Compound RTCP.
use libfuzzer_sys::fuzz_target;
use media_core::rtcp::{packets, report_blocks, Rtcp};

fuzz_target!(|data: &[u8]| {
    for packet in packets(data) {
        if let Ok(Rtcp::Report { blocks, .. }) = packet {
            assert!(report_blocks(blocks).count() <= 31);
        }
    }
});
