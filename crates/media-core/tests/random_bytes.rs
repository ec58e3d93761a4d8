//! The parsers on a fixed sequence of random and of damaged inputs: the same ones in every run.

use media_core::dtmf::EventPayload;
use media_core::ids::{PayloadType, Ssrc};
use media_core::random::Random;
use media_core::rtcp::{self, ReportBlock, Rtcp};
use media_core::rtp::{Header, Packet};
use media_core::spool::{Info, PacketRecord, Renderer, Side, SpoolHeader, SpoolWriter};
use media_core::srtp::{SrtpKey, SrtpReceiver, SrtpSender, SrtpSuite};
use media_core::time::Time;
use media_core::wav::Wav;

const ROUNDS: usize = 20_000;

fn octets(random: &mut Random, most: u64) -> Vec<u8> {
    let length = random.next_u64() % (most + 1);
    (0..length).map(|_| random.next_u32() as u8).collect()
}

/// Flip, cut, double or append a few octets of something valid.
fn damage(random: &mut Random, valid: &[u8]) -> Vec<u8> {
    let mut data = valid.to_vec();
    for _ in 0..1 + random.next_u64() % 4 {
        if data.is_empty() {
            break;
        }
        let at = (random.next_u64() % data.len() as u64) as usize;
        match random.next_u64() % 4 {
            0 => data[at] ^= 1 << (random.next_u64() % 8),
            1 => data.truncate(at),
            2 => data.extend_from_within(at..),
            _ => data[at] = random.next_u32() as u8,
        }
    }
    data
}

#[test]
fn rtp_and_rtcp() {
    let mut random = Random::new(1);
    let mut packet = Vec::new();
    let header = Header {
        marker: false,
        payload_type: PayloadType(101),
        sequence: 1,
        timestamp: 2,
        ssrc: Ssrc(3),
    };
    header.write(&[5, 0x8a, 3, 0x20], &mut packet);
    let block = ReportBlock {
        ssrc: Ssrc(3),
        fraction_lost: 1,
        cumulative_lost: 2,
        highest_sequence: 3,
        jitter: 4,
        last_sr: 5,
        delay_since_last_sr: 6,
    };
    let mut report = Vec::new();
    rtcp::write_report(&mut report, Ssrc(3), None, Some(&block), "name");
    rtcp::write_goodbye(&mut report, Ssrc(3));
    let mut parsed = 0;
    for round in 0..ROUNDS {
        let (rtp, control) = if round % 2 == 0 {
            (octets(&mut random, 80), octets(&mut random, 200))
        } else {
            (damage(&mut random, &packet), damage(&mut random, &report))
        };
        if let Ok(found) = Packet::parse(&rtp) {
            assert_eq!(&rtp[found.payload_range()], found.payload);
            let _ = EventPayload::parse(found.payload);
            parsed += 1;
        }
        for part in rtcp::packets(&control) {
            if let Ok(Rtcp::Report { blocks, .. }) = part {
                assert!(rtcp::report_blocks(blocks).count() <= 31);
                parsed += 1;
            }
        }
    }
    assert!(
        parsed > ROUNDS / 4,
        "damaged packets that still parse exercise the rest"
    );
}

#[test]
fn srtp_accepts_nothing_that_was_damaged() {
    let mut random = Random::new(2);
    let suite = SrtpSuite::AesCm128HmacSha1_80;
    let key = || SrtpKey::new(suite, &[9; 30]).unwrap();
    let mut sender = SrtpSender::new(key()).unwrap();
    let mut receiver = SrtpReceiver::new(key()).unwrap();
    let (mut plain, mut wire) = (Vec::new(), Vec::new());
    for sequence in 0..2_000u16 {
        let header = Header {
            marker: false,
            payload_type: PayloadType(0),
            sequence,
            timestamp: u32::from(sequence) * 160,
            ssrc: Ssrc(3),
        };
        header.write(&octets(&mut random, 160), &mut plain);
        sender.protect_rtp(&plain, &mut wire).unwrap();
        let mut damaged = damage(&mut random, &wire);
        if damaged != wire {
            assert!(receiver.unprotect_rtp(&mut damaged).is_err());
        }
        let mut control = octets(&mut random, 100);
        assert!(receiver.unprotect_rtcp(&mut control).is_err());
        assert!(receiver.unprotect_rtp(&mut wire).is_ok());
    }
}

#[test]
fn spools_and_wav_files() {
    let mut random = Random::new(3);
    let key = [4; 32];
    let header = SpoolHeader {
        recording_id: [1; 16],
        started_unix_ms: 2,
    };
    let mut writer = SpoolWriter::new(&header, &key, [5; 12], Time::ZERO).unwrap();
    let mut file = writer.header().to_vec();
    for n in 0..200u16 {
        let now = Time::from_millis(u64::from(n) * 20);
        let record = PacketRecord {
            side: if n % 2 == 0 { Side::Left } else { Side::Right },
            arrival_micros: writer.elapsed(now),
            ssrc: Ssrc(1),
            timestamp: u32::from(n) * 160,
            sequence: n,
            payload_type: PayloadType(0),
            payload: &[0x55; 160],
        };
        writer.push_packet(&record, now);
        file.extend(writer.poll_chunk(now).unwrap_or_default());
    }
    file.extend(writer.finish(Time::from_millis(4_000)));
    let wav = b"RIFF\x2c\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0data\x08\0\0\0\x01\0\x02\0\x03\0\x04\0";
    assert_eq!(Wav::parse(wav).unwrap().samples, [1, 2, 3, 4]);
    for _ in 0..2_000 {
        let damaged = damage(&mut random, &file);
        if let Ok(info) = Info::scan(damaged.as_slice(), &key) {
            assert!(info.packets <= 200);
        }
        if let Ok(mut renderer) = Renderer::new(damaged.as_slice(), &key, 8_000) {
            while renderer.read(8_000).is_ok_and(|part| !part.is_empty()) {}
        }
        let _ = Wav::parse(&damage(&mut random, wav));
    }
}
