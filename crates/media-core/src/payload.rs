//! Static payload types (RFC 3551 §6): what a number means without an `a=rtpmap` line.

use crate::settings::CodecSettings;

/// Audio only; (payload type, name, clock rate, channels).
const STATIC: [(u8, &str, u32, u8); 17] = [
    (0, "PCMU", 8_000, 1),
    (3, "GSM", 8_000, 1),
    (4, "G723", 8_000, 1),
    (5, "DVI4", 8_000, 1),
    (6, "DVI4", 16_000, 1),
    (7, "LPC", 8_000, 1),
    (8, "PCMA", 8_000, 1),
    // G.722 samples at 16 kHz, but its RTP clock is 8 kHz for historical reasons (RFC 3551 §4.5.2).
    (9, "G722", 8_000, 1),
    (10, "L16", 44_100, 2),
    (11, "L16", 44_100, 1),
    (12, "QCELP", 8_000, 1),
    (13, "CN", 8_000, 1),
    (14, "MPA", 90_000, 1),
    (15, "G728", 8_000, 1),
    (16, "DVI4", 11_025, 1),
    (17, "DVI4", 22_050, 1),
    (18, "G729", 8_000, 1),
];

/// The codec of a static payload type.
#[must_use]
pub fn static_codec(payload_type: u8) -> Option<CodecSettings> {
    STATIC
        .iter()
        .find(|(number, ..)| *number == payload_type)
        .map(|(number, name, clock_rate, channels)| {
            CodecSettings::new(*number, name, *clock_rate, *channels, "")
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::CodecId;

    #[test]
    fn the_common_ones_are_known_and_dynamic_ones_are_not() {
        assert_eq!(static_codec(0).unwrap().codec, CodecId::Pcmu);
        assert_eq!(static_codec(8).unwrap().codec, CodecId::Pcma);
        assert_eq!(static_codec(9).unwrap().clock_rate, 8_000);
        assert_eq!(static_codec(96), None);
        assert_eq!(static_codec(1), None, "reserved");
    }
}
