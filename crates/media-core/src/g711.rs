//! ITU-T G.711: companded 8-bit PCM, both laws, as the reference (G.191) gives it on 16-bit samples.

/// µ-law of digital silence.
pub const ULAW_SILENCE: u8 = 0xff;
/// A-law of digital silence.
pub const ALAW_SILENCE: u8 = 0xd5;

const fn ulaw_expand(code: u8) -> i16 {
    let code = !code;
    let exponent = (code >> 4) & 7;
    let mantissa = (code & 0x0f) as i16;
    let magnitude = (((mantissa << 3) + 0x84) << exponent) - 0x84;
    if code & 0x80 != 0 {
        -magnitude
    } else {
        magnitude
    }
}

const fn alaw_expand(code: u8) -> i16 {
    let code = code ^ 0x55;
    let exponent = (code >> 4) & 7;
    let mantissa = ((code & 0x0f) as i16) << 4;
    let magnitude = match exponent {
        0 => mantissa + 8,
        _ => (mantissa + 0x108) << (exponent - 1),
    };
    // In A-law the sign bit is set for positive values.
    if code & 0x80 != 0 {
        magnitude
    } else {
        -magnitude
    }
}

const fn ulaw_compress(sample: i16) -> u8 {
    let sign = if sample < 0 { 0x80 } else { 0 };
    // One's complement for negative values, as the reference does, so that -1 becomes negative zero.
    let magnitude = if sample < 0 { !sample } else { sample } as i32;
    // 14 bits: the reference shifts first, adds its bias of 33, and clips at 0x1fff.
    let biased = {
        let value = (magnitude >> 2) + 33;
        if value > 0x1fff {
            0x1fff
        } else {
            value
        }
    };
    let exponent = 31 - (biased as u32 >> 5).leading_zeros();
    let mantissa = (biased >> (exponent + 1)) & 0x0f;
    !(sign | ((exponent as u8) << 4) | mantissa as u8)
}

const fn alaw_compress(sample: i16) -> u8 {
    let sign = if sample < 0 { 0 } else { 0x80 };
    let magnitude = (if sample < 0 { !sample } else { sample } >> 4) as u16; // 11 bits
    let code = if magnitude <= 15 {
        magnitude as u8
    } else {
        let exponent = 16 - 5 - magnitude.leading_zeros() as u16 + 1;
        let mantissa = (magnitude >> (exponent - 1)) & 0x0f;
        ((exponent as u8) << 4) | mantissa as u8
    };
    (sign | code) ^ 0x55
}

const fn expand_table(alaw: bool) -> [i16; 256] {
    let mut table = [0; 256];
    let mut code = 0;
    while code < 256 {
        table[code] = if alaw {
            alaw_expand(code as u8)
        } else {
            ulaw_expand(code as u8)
        };
        code += 1;
    }
    table
}

/// Compression looks at the upper 14 bits (µ-law) or 12 bits (A-law); both tables use 14.
const fn compress_table(alaw: bool) -> [u8; 16_384] {
    let mut table = [0; 16_384];
    let mut index = 0;
    while index < 16_384 {
        let sample = ((index as u16) << 2) as i16;
        table[index] = if alaw {
            alaw_compress(sample)
        } else {
            ulaw_compress(sample)
        };
        index += 1;
    }
    table
}

static ULAW_EXPAND: [i16; 256] = expand_table(false);
static ALAW_EXPAND: [i16; 256] = expand_table(true);
static ULAW_COMPRESS: [u8; 16_384] = compress_table(false);
static ALAW_COMPRESS: [u8; 16_384] = compress_table(true);

#[must_use]
pub fn ulaw_decode(code: u8) -> i16 {
    ULAW_EXPAND[usize::from(code)]
}

#[must_use]
pub fn alaw_decode(code: u8) -> i16 {
    ALAW_EXPAND[usize::from(code)]
}

#[must_use]
pub fn ulaw_encode(sample: i16) -> u8 {
    ULAW_COMPRESS[usize::from(sample as u16 >> 2)]
}

#[must_use]
pub fn alaw_encode(sample: i16) -> u8 {
    ALAW_COMPRESS[usize::from(sample as u16 >> 2)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values() {
        // G.711 tables 1 and 2: virtual decision values scaled to 16 bits.
        assert_eq!(ulaw_decode(0xff), 0);
        assert_eq!(ulaw_decode(0x7f), 0);
        assert_eq!(ulaw_decode(0x80), 32_124);
        assert_eq!(ulaw_decode(0x00), -32_124);
        assert_eq!(ulaw_decode(0xfe), 8);
        assert_eq!(alaw_decode(0xd5), 8);
        assert_eq!(alaw_decode(0x55), -8);
        assert_eq!(alaw_decode(0xaa), 32_256);
        assert_eq!(alaw_decode(0x2a), -32_256);
        assert_eq!(ulaw_encode(0), 0xff);
        assert_eq!(ulaw_encode(i16::MAX), 0x80);
        assert_eq!(ulaw_encode(i16::MIN), 0x00);
        assert_eq!(ulaw_encode(1_000), 0xce);
        assert_eq!(alaw_encode(0), 0xd5);
        assert_eq!(alaw_encode(i16::MAX), 0xaa);
        assert_eq!(alaw_encode(i16::MIN), 0x2a);
        assert_eq!(alaw_encode(1_000), 0xfa);
        assert_eq!(ulaw_encode(0), ULAW_SILENCE);
        assert_eq!(alaw_encode(0), ALAW_SILENCE);
    }

    #[test]
    fn the_digital_milliwatt_is_0_dbm0() {
        // G.711 table 5 and 6: the code words of a 1 kHz sine at 0 dBm0; peaks are 0.7 of overload (3.17 and 3.14 dB).
        for (codes, decode) in [
            (
                [0x1e, 0x0b, 0x0b, 0x1e, 0x9e, 0x8b, 0x8b, 0x9e],
                ulaw_decode as fn(u8) -> i16,
            ),
            (
                [0x34, 0x21, 0x21, 0x34, 0xb4, 0xa1, 0xa1, 0xb4],
                alaw_decode,
            ),
        ] {
            let power: f64 = codes
                .iter()
                .map(|&c| f64::from(decode(c)).powi(2))
                .sum::<f64>()
                / 8.0;
            let overload = 32_768.0 / 2f64.sqrt();
            let below = 20.0 * (overload / power.sqrt()).log10();
            assert!((3.0..3.35).contains(&below), "{below}");
        }
    }

    #[test]
    fn every_code_survives() {
        for code in 0..=255u8 {
            assert_eq!(alaw_encode(alaw_decode(code)), code, "A-law {code:#x}");
            // Both zeros of µ-law mean 0, which is encoded as positive zero.
            let expected = if code == 0x7f { 0xff } else { code };
            assert_eq!(ulaw_encode(ulaw_decode(code)), expected, "µ-law {code:#x}");
        }
    }

    #[test]
    fn quantisation_is_monotone_and_close() {
        for (encode, decode) in [
            (ulaw_encode as fn(i16) -> u8, ulaw_decode as fn(u8) -> i16),
            (alaw_encode, alaw_decode),
        ] {
            let mut last = i16::MIN;
            for sample in i16::MIN..=i16::MAX {
                let back = decode(encode(sample));
                assert!(back >= last, "{sample}");
                last = back;
                let error = (i32::from(back) - i32::from(sample)).abs();
                assert!(
                    error <= 16 + i32::from(sample).abs() / 16,
                    "{sample} {back}"
                );
            }
        }
    }
}
