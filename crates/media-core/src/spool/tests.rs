use super::*;
use crate::codec::Encoder;
use crate::settings::CodecSettings;
use crate::testing::{goertzel_dbm0, level_dbm0, sine};
use crate::time::Time;
use proptest::prelude::*;

const KEY: [u8; 32] = [7; 32];

fn header() -> SpoolHeader {
    SpoolHeader {
        recording_id: *b"0123456789abcdef",
        started_unix_ms: 1_700_000_000_123,
    }
}

fn codec_record(side: Side, name: &str) -> CodecRecord {
    CodecRecord {
        side,
        payload_type: PayloadType(if side == Side::Left { 0 } else { 8 }),
        codec: CodecId::from_name(name),
        clock_rate: 8_000,
        channels: 1,
    }
}

struct Take {
    writer: SpoolWriter,
    file: Vec<u8>,
    chunks: Vec<Vec<u8>>,
}

impl Take {
    fn new() -> Self {
        let mut writer = SpoolWriter::new(&header(), &KEY, [1; 12], Time::ZERO).unwrap();
        let file = writer.header().to_vec();
        for (side, name) in [(Side::Left, "PCMU"), (Side::Right, "PCMA")] {
            writer.push_codec(&codec_record(side, name), Time::ZERO);
        }
        Self {
            writer,
            file,
            chunks: Vec::new(),
        }
    }

    fn packet(&mut self, side: Side, at: u64, sequence: u16, timestamp: u32, payload: &[u8]) {
        let record = PacketRecord {
            side,
            arrival_micros: at,
            ssrc: Ssrc(side.index() as u32 + 1),
            timestamp,
            sequence,
            payload_type: codec_record(side, "").payload_type,
            payload,
        };
        let now = Time::from_micros(at);
        self.writer.push_packet(&record, now);
        let due = self.writer.poll_chunk(now);
        self.chunks.extend(due.or_else(|| self.writer.full_chunk()));
    }

    fn finish(mut self, ms: u64) -> Vec<u8> {
        self.chunks.push(self.writer.finish(Time::from_millis(ms)));
        self.file.extend(self.chunks.concat());
        self.file
    }
}

/// A tone in 20 ms payloads.
fn payloads(name: &str, frequency: f64, count: usize) -> Vec<Vec<u8>> {
    let mut encoder = Encoder::new(&CodecSettings::new(0, name, 8_000, 1, ""), 8_000).unwrap();
    sine(8_000, frequency, -10.0, count * 160)
        .chunks_exact(160)
        .map(|frame| {
            let mut payload = Vec::new();
            encoder.encode(frame, &mut payload);
            payload
        })
        .collect()
}

fn render(file: &[u8], rate: u32) -> (Vec<i16>, Vec<i16>) {
    let mut renderer = Renderer::new(file, &KEY, rate).unwrap();
    let mut out = Vec::new();
    loop {
        let part = renderer.read(777).unwrap();
        if part.is_empty() {
            return out
                .chunks_exact(2)
                .map(|frame| (frame[0], frame[1]))
                .unzip();
        }
        out.extend(part);
    }
}

/// Milliseconds at which the sound (louder than −30 dBm0 in 5 ms) begins and ends.
fn extent(samples: &[i16], rate: u32) -> (u64, u64) {
    let block = rate as usize / 200;
    let loud: Vec<usize> = samples
        .chunks(block)
        .enumerate()
        .filter(|(_, part)| level_dbm0(part) > -30.0)
        .map(|(index, _)| index)
        .collect();
    (loud[0] as u64 * 5, (loud[loud.len() - 1] as u64 + 1) * 5)
}

#[test]
fn records_come_back_as_they_were() {
    let mut take = Take::new();
    take.packet(Side::Left, 20_000, 7, 160, &[1, 2, 3]);
    take.packet(Side::Right, 30_000, 9, 320, &[]);
    let file = take.finish(1_000);
    let mut reader = Reader::new(file.as_slice(), &KEY).unwrap();
    assert_eq!(*reader.header(), header());
    assert_eq!(
        reader.next_record().unwrap(),
        Some(Record::Codec(codec_record(Side::Left, "PCMU")))
    );
    assert_eq!(
        reader.next_record().unwrap(),
        Some(Record::Codec(codec_record(Side::Right, "PCMA")))
    );
    let Some(Record::Packet(packet)) = reader.next_record().unwrap() else {
        panic!("no packet")
    };
    assert_eq!(
        (packet.payload, packet.sequence, packet.arrival_micros),
        (&[1u8, 2, 3][..], 7, 20_000)
    );
    assert!(reader.next_record().unwrap().is_some());
    assert_eq!(reader.next_record().unwrap(), None);
    assert_eq!(
        (reader.end_micros(), reader.is_truncated()),
        (Some(1_000_000), false)
    );
    assert!(
        !file.windows(3).any(|w| w == [1, 2, 3]),
        "payloads are encrypted"
    );
}

#[test]
fn chunks_are_closed_every_second_and_when_large() {
    let mut take = Take::new();
    for n in 0..250u64 {
        take.packet(Side::Left, n * 20_000, n as u16, n as u32 * 160, &[0; 160]);
    }
    assert_eq!(take.chunks.len(), 4);
    let mut take = Take::new();
    for n in 0..100u16 {
        take.packet(Side::Left, 1, n, 0, &[0; 1_400]);
    }
    assert_eq!(take.chunks.len(), 2);
    assert!(take.chunks.iter().all(|chunk| chunk.len() < 70_000));
}

#[test]
fn a_cut_off_file_keeps_its_whole_chunks() {
    let mut take = Take::new();
    for n in 0..200u64 {
        take.packet(
            Side::Left,
            n * 20_000,
            n as u16,
            n as u32 * 160,
            &[0xff; 160],
        );
    }
    let file = take.finish(4_000);
    let whole = Info::scan(file.as_slice(), &KEY).unwrap();
    assert_eq!(
        (whole.duration_ms, whole.truncated, whole.packets),
        (4_000, false, 200)
    );
    // Ends of chunks, and the packets that are whole by then.
    let (mut at, mut ends) = (HEADER_LEN, vec![(HEADER_LEN, 0)]);
    while let Some(length) = file.get(at..at + 4) {
        at += 4 + u32::from_be_bytes(length.try_into().unwrap()) as usize;
        let packets = Info::scan(&file[..at], &KEY).unwrap().packets;
        ends.push((at, packets));
    }
    assert!(ends.len() >= 5 && at == file.len(), "{ends:?}");
    for cut in 0..file.len() {
        let found = Info::scan(&file[..cut], &KEY);
        let Some((_, packets)) = ends.iter().rev().find(|(end, _)| *end <= cut) else {
            assert_eq!(found, Err(SpoolError::NotASpool), "{cut}");
            continue;
        };
        let info = found.unwrap();
        assert!(info.truncated, "{cut}");
        assert_eq!(info.packets, *packets, "{cut}");
        if cut % 997 == 0 {
            let (left, _) = render(&file[..cut], 8_000);
            let expected = *packets as usize * 160;
            assert!(
                left.len().abs_diff(expected) <= 160,
                "{cut}: {}",
                left.len()
            );
        }
    }
    let mut zeros = file[..file.len() - 60].to_vec();
    zeros.extend([0; 500]);
    assert!(Info::scan(zeros.as_slice(), &KEY).is_ok_and(|info| info.truncated));
}

#[test]
fn changed_moved_and_foreign_chunks_are_found() {
    let mut take = Take::new();
    for n in 0..200u64 {
        take.packet(
            Side::Left,
            n * 20_000,
            n as u16,
            n as u32 * 160,
            &[n as u8; 160],
        );
    }
    let chunks = take.chunks.clone();
    let file = take.finish(4_000);
    assert_eq!(
        Info::scan(file.as_slice(), &[8; 32]),
        Err(SpoolError::NotAuthentic(0))
    );
    for at in [12, 40, 60, file.len() - 3] {
        let mut bad = file.clone();
        bad[at] ^= 1;
        assert!(
            matches!(
                Info::scan(bad.as_slice(), &KEY),
                Err(SpoolError::NotAuthentic(_) | SpoolError::NotASpool)
            ) || Info::scan(bad.as_slice(), &KEY).is_ok_and(|info| info.truncated),
            "{at}"
        );
    }
    let mut swapped = file[..HEADER_LEN].to_vec();
    swapped.extend(&chunks[1]);
    swapped.extend(&chunks[0]);
    assert_eq!(
        Info::scan(swapped.as_slice(), &KEY),
        Err(SpoolError::NotAuthentic(0))
    );
    let mut other = header();
    other.recording_id[0] ^= 1;
    let mut foreign = other.to_bytes().to_vec();
    foreign.extend(&file[HEADER_LEN..]);
    assert_eq!(
        Info::scan(foreign.as_slice(), &KEY),
        Err(SpoolError::NotAuthentic(0))
    );
    assert_eq!(Info::scan(&b"RIFF"[..], &KEY), Err(SpoolError::NotASpool));
}

#[test]
fn no_nonce_is_used_twice() {
    let mut take = Take::new();
    for n in 0..600u64 {
        take.packet(Side::Left, n * 20_000, n as u16, 0, &[0; 10]);
    }
    let mut nonces: Vec<&[u8]> = take.chunks.iter().map(|chunk| &chunk[4..16]).collect();
    let count = nonces.len();
    nonces.sort_unstable();
    nonces.dedup();
    assert_eq!(nonces.len(), count);
}

#[test]
fn sides_are_aligned_by_arrival_and_gaps_are_kept() {
    let mut take = Take::new();
    let left = payloads("PCMU", 500.0, 50);
    let right = payloads("PCMA", 900.0, 50);
    // Left speaks from 0.5 s to 1.5 s, pauses a second (timestamps go on), speaks again; right begins 300 ms after it.
    for n in 0..50u64 {
        take.packet(
            Side::Left,
            500_000 + n * 20_000,
            n as u16,
            n as u32 * 160,
            &left[n as usize],
        );
        let at = 800_000 + n * 20_000;
        take.packet(
            Side::Right,
            at,
            1_000 + n as u16,
            77 + n as u32 * 160,
            &right[n as usize],
        );
    }
    for n in 0..50u64 {
        let timestamp = (100 + n as u32) * 160;
        take.packet(
            Side::Left,
            2_500_000 + n * 20_000,
            50 + n as u16,
            timestamp,
            &left[n as usize],
        );
    }
    let file = take.finish(4_000);
    for rate in [8_000, 48_000] {
        let (l, r) = render(&file, rate);
        assert_eq!(l.len() as u64 * 1_000 / u64::from(rate), 4_000);
        let (start, end) = extent(&l, rate);
        assert!(
            start.abs_diff(500) <= 10 && end.abs_diff(3_500) <= 15,
            "{start} {end}"
        );
        let (start, end) = extent(&r, rate);
        assert!(
            start.abs_diff(800) <= 10 && end.abs_diff(1_800) <= 15,
            "{start} {end}"
        );
        let second = rate as usize;
        let pause = &l[second * 16 / 10..second * 24 / 10];
        assert!(level_dbm0(pause) < -60.0);
        assert!(
            (goertzel_dbm0(&l[second * 6 / 10..second * 14 / 10], rate, 500.0) - -10.0).abs() < 0.5
        );
        assert!((goertzel_dbm0(&r[second..second * 17 / 10], rate, 900.0) - -10.0).abs() < 0.5);
    }
}

#[test]
fn reordering_doubling_and_loss_do_not_shift_anything() {
    let mut take = Take::new();
    let tone = payloads("PCMU", 500.0, 150);
    let mut order: Vec<u64> = (0..150).filter(|n| n % 20 != 7).collect();
    for index in (0..order.len() - 1).step_by(9) {
        order.swap(index, index + 1);
    }
    order.insert(30, order[28]);
    // Who was overtaken comes right behind who overtook it.
    let mut newest = 0;
    for n in order {
        newest = newest.max(n);
        let at = 100_000 + newest * 20_000 + u64::from(newest > n) * 1_000;
        take.packet(Side::Left, at, n as u16, n as u32 * 160, &tone[n as usize]);
    }
    let (left, _) = render(&take.finish(3_200), 8_000);
    let (start, end) = extent(&left, 8_000);
    assert!(
        start.abs_diff(100) <= 10 && end.abs_diff(3_100) <= 20,
        "{start} {end}"
    );
    // Concealed, so the tone has no hole.
    assert!(left[1_600..24_000]
        .chunks(160)
        .all(|part| level_dbm0(part) > -16.0));
}

#[test]
fn an_hour_with_drift_stays_exact() {
    // The left sender's clock is 200 ppm slow, the right one's 200 ppm fast: 720 ms apart each after an hour.
    let mut take = Take::new();
    let silence = vec![0xff; 160];
    let click = payloads("PCMU", 1_000.0, 1).remove(0);
    let click_a = payloads("PCMA", 1_000.0, 1).remove(0);
    let silence_a = vec![0xd5; 160];
    let count = 180_000u64;
    let mut arrivals = Vec::new();
    for n in 0..count {
        let mark = n % 30_000 == 29_999;
        arrivals.push((n * 20_004, Side::Left, n, mark));
        arrivals.push((n * 19_996, Side::Right, n, mark));
    }
    arrivals.sort_unstable_by_key(|(at, side, n, _)| (*at, side.index(), *n));
    for (at, side, n, mark) in arrivals {
        let payload = match (side, mark) {
            (Side::Left, true) => &click,
            (Side::Left, false) => &silence,
            (Side::Right, true) => &click_a,
            (Side::Right, false) => &silence_a,
        };
        take.packet(side, at, n as u16, n as u32 * 160, payload);
    }
    let (left, right) = render(&take.finish(3_601_000), 8_000);
    for (side, samples, step) in [("left", &left, 20_004u64), ("right", &right, 19_996)] {
        for mark in 0..6u64 {
            let arrival_ms = (mark * 30_000 + 29_999) * step / 1_000;
            let from = (arrival_ms as usize - 100) * 8;
            let window = &samples[from..(from + 2_400).min(samples.len())];
            let (start, _) = extent(window, 8_000);
            let at = arrival_ms - 100 + start;
            assert!(
                at.abs_diff(arrival_ms) <= 20,
                "{side} mark {mark}: {at} for {arrival_ms}"
            );
        }
    }
}

#[test]
fn a_pause_without_timestamps_is_a_pause_and_a_stall_is_not() {
    let tone = payloads("PCMU", 500.0, 100);
    for (pause, end_expected) in [(true, 2_600), (false, 2_000)] {
        let mut take = Take::new();
        for n in 0..100u64 {
            // Either the sender stops for 600 ms after packet 49, or the network holds packets 50 to 79 back.
            let at = match n {
                0..=49 => n * 20_000,
                50..=79 if !pause => 80 * 20_000 + n * 10,
                _ if pause => n * 20_000 + 600_000,
                _ => n * 20_000 + 5_000,
            };
            take.packet(Side::Left, at, n as u16, n as u32 * 160, &tone[n as usize]);
        }
        let (left, _) = render(&take.finish(3_000), 8_000);
        let (start, end) = extent(&left, 8_000);
        assert!(
            start <= 10 && end.abs_diff(end_expected) <= 15,
            "{pause}: {start} {end}"
        );
        let middle = level_dbm0(&left[8_200..12_000]);
        assert_eq!(middle < -50.0, pause, "{middle}");
    }
}

#[test]
fn a_jump_of_the_timestamps_follows_the_arrival() {
    let mut take = Take::new();
    let tone = payloads("PCMU", 500.0, 25);
    for n in 0..25u64 {
        take.packet(
            Side::Left,
            n * 20_000,
            n as u16,
            n as u32 * 160,
            &tone[n as usize],
        );
    }
    for n in 0..25u64 {
        let timestamp = 3_000_000_000 + n as u32 * 160;
        take.packet(
            Side::Left,
            2_000_000 + n * 20_000,
            25 + n as u16,
            timestamp,
            &tone[n as usize],
        );
    }
    let (left, _) = render(&take.finish(3_000), 8_000);
    assert!(level_dbm0(&left[4_200..15_800]) < -60.0);
    let (start, end) = extent(&left[8_000..], 8_000);
    assert!(
        start.abs_diff(1_000) <= 10 && end.abs_diff(1_500) <= 15,
        "{start} {end}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_octets_do_not_panic(mut tail in proptest::collection::vec(any::<u8>(), 0..300)) {
        let mut file = header().to_bytes().to_vec();
        if let [_, _, second, third, ..] = tail.as_mut_slice() {
            (*second, *third) = (0, *third & 0x7f);
            file.extend([0, 0]);
        }
        file.extend(tail);
        let _ = Info::scan(file.as_slice(), &KEY);
    }

    /// Any authentic records: bounded sound, no panic.
    #[test]
    fn any_records_render(
        records in proptest::collection::vec((any::<bool>(), 0u64..3_000, any::<u16>(), any::<u32>(), 0usize..400), 0..80),
    ) {
        let mut take = Take::new();
        for (left, at, sequence, timestamp, length) in records {
            let side = if left { Side::Left } else { Side::Right };
            take.packet(side, at * 1_000, sequence, timestamp, &vec![0x20; length]);
        }
        let (left, right) = render(&take.finish(3_000), 8_000);
        prop_assert_eq!(left.len(), right.len());
        prop_assert!((24_000..25_000).contains(&left.len()));
    }
}
