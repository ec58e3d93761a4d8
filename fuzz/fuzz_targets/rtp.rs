#![no_main]
//! RTP headers and telephone events.
use libfuzzer_sys::fuzz_target;
use media_core::dtmf::EventPayload;
use media_core::rtp::Packet;

fuzz_target!(|data: &[u8]| {
    if let Ok(packet) = Packet::parse(data) {
        assert_eq!(&data[packet.payload_range()], packet.payload);
        let _ = EventPayload::parse(packet.payload);
    }
});
