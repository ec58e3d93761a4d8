//! RTCP (RFC 3550 §6): reading any compound or reduced-size packet (RFC 5506), writing SR, RR, SDES and BYE.

use crate::ids::Ssrc;
use crate::random::Random;

const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
const SOURCE_DESCRIPTION: u8 = 202;
const GOODBYE: u8 = 203;
const CNAME: u8 = 1;

/// Minimum interval between our reports (RFC 3550 §6.2).
const INTERVAL_MICROS: f64 = 5_000_000.0;

/// What a receiver says about a source (RFC 3550 §6.4.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReportBlock {
    pub ssrc: Ssrc,
    /// In 1/256, since the report before.
    pub fraction_lost: u8,
    pub cumulative_lost: i32,
    pub highest_sequence: u32,
    pub jitter: u32,
    pub last_sr: u32,
    /// In 1/65536 s.
    pub delay_since_last_sr: u32,
}

/// What a sender says about itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SenderInfo {
    /// NTP time, 32.32 bits.
    pub ntp: u64,
    pub timestamp: u32,
    pub packets: u32,
    pub octets: u32,
}

/// One packet of a compound.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Rtcp<'a> {
    Report {
        ssrc: Ssrc,
        sender: Option<SenderInfo>,
        /// `blocks` octets, 24 each.
        blocks: &'a [u8],
    },
    Goodbye {
        /// The sources that leave, four octets each.
        sources: &'a [u8],
    },
    /// SDES, APP, feedback and extended reports, which nothing here reads.
    Other(u8),
}

/// The octets are not RTCP from some point on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MalformedRtcp;

fn be32(data: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(data.get(at..at + 4)?.try_into().ok()?))
}

/// The packets of a compound, one after another; ends after the first error.
pub fn packets(data: &[u8]) -> impl Iterator<Item = Result<Rtcp<'_>, MalformedRtcp>> {
    let mut rest = Some(data);
    core::iter::from_fn(move || {
        let data = rest.take()?;
        let Some((packet, after)) = split(data) else {
            return Some(Err(MalformedRtcp));
        };
        rest = (!after.is_empty()).then_some(after);
        Some(Ok(packet))
    })
}

fn split(data: &[u8]) -> Option<(Rtcp<'_>, &[u8])> {
    if data.len() < 4 || data[0] >> 6 != 2 {
        return None;
    }
    let count = usize::from(data[0] & 0x1f);
    let kind = data[1];
    let length = 4 * (1 + usize::from(u16::from_be_bytes([data[2], data[3]])));
    let whole = data.get(..length)?;
    let mut body = &whole[4..];
    if data[0] & 0x20 != 0 {
        let padding = usize::from(*body.last()?);
        if padding == 0 || padding > body.len() {
            return None;
        }
        body = &body[..body.len() - padding];
    }
    let packet = match kind {
        SENDER_REPORT | RECEIVER_REPORT => {
            let ssrc = Ssrc(be32(body, 0)?);
            let (sender, start) = if kind == SENDER_REPORT {
                let info = SenderInfo {
                    ntp: u64::from(be32(body, 4)?) << 32 | u64::from(be32(body, 8)?),
                    timestamp: be32(body, 12)?,
                    packets: be32(body, 16)?,
                    octets: be32(body, 20)?,
                };
                (Some(info), 24)
            } else {
                (None, 4)
            };
            let blocks = body.get(start..start + 24 * count)?;
            Rtcp::Report {
                ssrc,
                sender,
                blocks,
            }
        }
        GOODBYE => Rtcp::Goodbye {
            sources: body.get(..4 * count)?,
        },
        other => Rtcp::Other(other),
    };
    Some((packet, &data[length..]))
}

/// The report blocks in `blocks` of a report.
pub fn report_blocks(blocks: &[u8]) -> impl Iterator<Item = ReportBlock> + '_ {
    blocks.chunks_exact(24).filter_map(|block| {
        let loss = be32(block, 4)?;
        Some(ReportBlock {
            ssrc: Ssrc(be32(block, 0)?),
            fraction_lost: (loss >> 24) as u8,
            // 24 bits, signed.
            cumulative_lost: ((loss << 8) as i32) >> 8,
            highest_sequence: be32(block, 8)?,
            jitter: be32(block, 12)?,
            last_sr: be32(block, 16)?,
            delay_since_last_sr: be32(block, 20)?,
        })
    })
}

/// Append SR (with `sender`) or RR, then SDES with `cname`: the least a compound must hold (RFC 3550 §6.1).
pub fn write_report(
    out: &mut Vec<u8>,
    ssrc: Ssrc,
    sender: Option<&SenderInfo>,
    block: Option<&ReportBlock>,
    cname: &str,
) {
    let mut body = ssrc.0.to_be_bytes().to_vec();
    if let Some(info) = sender {
        body.extend_from_slice(&info.ntp.to_be_bytes());
        for value in [info.timestamp, info.packets, info.octets] {
            body.extend_from_slice(&value.to_be_bytes());
        }
    }
    if let Some(block) = block {
        body.extend_from_slice(&block.ssrc.0.to_be_bytes());
        let loss =
            u32::from(block.fraction_lost) << 24 | (block.cumulative_lost as u32 & 0xff_ffff);
        for value in [
            loss,
            block.highest_sequence,
            block.jitter,
            block.last_sr,
            block.delay_since_last_sr,
        ] {
            body.extend_from_slice(&value.to_be_bytes());
        }
    }
    let kind = if sender.is_some() {
        SENDER_REPORT
    } else {
        RECEIVER_REPORT
    };
    append(out, u8::from(block.is_some()), kind, &body);
    let mut description = ssrc.0.to_be_bytes().to_vec();
    let name = &cname.as_bytes()[..cname.len().min(255)];
    description.extend_from_slice(&[CNAME, name.len() as u8]);
    description.extend_from_slice(name);
    // One to four zeros end the chunk on a word.
    description.resize((description.len() / 4 + 1) * 4, 0);
    append(out, 1, SOURCE_DESCRIPTION, &description);
}

/// Append BYE.
pub fn write_goodbye(out: &mut Vec<u8>, ssrc: Ssrc) {
    append(out, 1, GOODBYE, &ssrc.0.to_be_bytes());
}

fn append(out: &mut Vec<u8>, count: u8, kind: u8, body: &[u8]) {
    out.extend_from_slice(&[0x80 | count, kind]);
    out.extend_from_slice(&((body.len() / 4) as u16).to_be_bytes());
    out.extend_from_slice(body);
}

/// Round trip in milliseconds from a report about us that came at `ntp_now` (RFC 3550 §6.4.1); None without LSR, or
/// when the peer's numbers cannot be true.
#[must_use]
pub fn round_trip_ms(block: &ReportBlock, ntp_now: u64) -> Option<f64> {
    if block.last_sr == 0 {
        return None;
    }
    let middle = (ntp_now >> 16) as u32;
    let units = middle
        .wrapping_sub(block.last_sr)
        .wrapping_sub(block.delay_since_last_sr);
    // Rounding may make it slightly negative; a minute is nonsense.
    if units > u32::MAX - 655 {
        return Some(0.0);
    }
    (units < 60 << 16).then(|| f64::from(units) * 1_000.0 / 65_536.0)
}

/// Time until the next report: half to one and a half of the interval, made up for reconsideration (RFC 3550 §6.3.1);
/// the first comes after half of that.
pub fn interval_micros(random: &mut Random, initial: bool) -> u64 {
    let base = if initial {
        INTERVAL_MICROS / 2.0
    } else {
        INTERVAL_MICROS
    };
    // With two participants timer reconsideration never lengthens an interval, so its e − 3/2 is left out.
    (base * (0.5 + random.fraction())) as u64
}

/// NTP time, 32.32 bits, from microseconds since 1970.
#[must_use]
pub fn ntp_from_unix_micros(micros: u64) -> u64 {
    const UNIX_EPOCH: u64 = 2_208_988_800;
    let seconds = micros / 1_000_000 + UNIX_EPOCH;
    let fraction = ((micros % 1_000_000) << 32) / 1_000_000;
    (seconds << 32) | fraction
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn block() -> ReportBlock {
        ReportBlock {
            ssrc: Ssrc(7),
            fraction_lost: 25,
            cumulative_lost: -3,
            highest_sequence: 0x0001_0203,
            jitter: 99,
            last_sr: 0x1122_3344,
            delay_since_last_sr: 65_536,
        }
    }

    #[test]
    fn writes_what_it_reads() {
        let info = SenderInfo {
            ntp: 0x0102_0304_0506_0708,
            timestamp: 9,
            packets: 10,
            octets: 11,
        };
        let mut data = Vec::new();
        write_report(
            &mut data,
            Ssrc(5),
            Some(&info),
            Some(&block()),
            "sent@example",
        );
        write_goodbye(&mut data, Ssrc(5));
        assert_eq!(data.len() % 4, 0);
        let read: Vec<_> = packets(&data).map(Result::unwrap).collect();
        assert_eq!(read.len(), 3);
        let Rtcp::Report {
            ssrc,
            sender,
            blocks,
        } = &read[0]
        else {
            panic!("{read:?}")
        };
        assert_eq!((*ssrc, *sender), (Ssrc(5), Some(info)));
        assert_eq!(report_blocks(blocks).collect::<Vec<_>>(), [block()]);
        assert_eq!(read[1], Rtcp::Other(SOURCE_DESCRIPTION));
        assert_eq!(
            read[2],
            Rtcp::Goodbye {
                sources: &[0, 0, 0, 5]
            }
        );
    }

    #[test]
    fn cname_of_any_length_stays_aligned() {
        for length in [0, 1, 2, 3, 4, 255, 300] {
            let mut data = Vec::new();
            write_report(&mut data, Ssrc(1), None, None, &"n".repeat(length));
            assert_eq!(data.len() % 4, 0);
            assert!(packets(&data).all(|packet| packet.is_ok()));
        }
    }

    #[test]
    fn reduced_size_is_tolerated_and_rubbish_is_named() {
        let feedback = [0x81, 206, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2];
        assert_eq!(
            packets(&feedback).collect::<Vec<_>>(),
            [Ok(Rtcp::Other(206))]
        );
        let mut cut = Vec::new();
        write_report(&mut cut, Ssrc(1), None, Some(&block()), "x");
        cut.truncate(cut.len() - 1);
        assert_eq!(packets(&cut).last(), Some(Err(MalformedRtcp)));
        assert_eq!(
            packets(&[0x80, 201]).collect::<Vec<_>>(),
            [Err(MalformedRtcp)]
        );
        assert_eq!(packets(&[]).collect::<Vec<_>>(), [Err(MalformedRtcp)]);
        // Two blocks announced, one there.
        let mut few = Vec::new();
        write_report(&mut few, Ssrc(1), None, Some(&block()), "x");
        few[0] = 0x82;
        assert_eq!(packets(&few).next(), Some(Err(MalformedRtcp)));
    }

    #[test]
    fn round_trip_is_arrival_minus_report_minus_delay() {
        let sent = ntp_from_unix_micros(1_000_000_000);
        let mut answer = block();
        answer.last_sr = (sent >> 16) as u32;
        answer.delay_since_last_sr = 2 * 65_536;
        let rtt = round_trip_ms(&answer, ntp_from_unix_micros(1_002_040_000)).unwrap();
        assert!((rtt - 40.0).abs() < 0.1, "{rtt}");
        assert_eq!(
            round_trip_ms(&answer, ntp_from_unix_micros(1_001_999_999)),
            Some(0.0)
        );
        answer.delay_since_last_sr = u32::MAX / 2;
        assert_eq!(round_trip_ms(&answer, sent), None);
        answer.last_sr = 0;
        assert_eq!(round_trip_ms(&answer, sent), None);
    }

    #[test]
    fn intervals_are_spread() {
        let mut random = Random::new(3);
        for _ in 0..1_000 {
            let interval = interval_micros(&mut random, false);
            assert!((2_500_000..7_500_000).contains(&interval));
            assert!((1_250_000..3_750_000).contains(&interval_micros(&mut random, true)));
        }
    }

    proptest! {
        #[test]
        fn any_octets_end(data in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut count = 0;
            for packet in packets(&data) {
                count += 1;
                if let Ok(Rtcp::Report { blocks, .. }) = packet {
                    prop_assert!(report_blocks(blocks).count() <= 31);
                }
            }
            prop_assert!(count <= 51);
        }
    }
}
