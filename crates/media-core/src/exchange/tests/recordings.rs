//! Recordings of a call.

use super::*;

#[test]
fn a_recording_holds_both_sides_on_their_clock() {
    let mut world = World::bridged("PCMU", "opus");
    let handle = RecordingHandle(1);
    let setup = RecordingSetup {
        key: [3; 32],
        recording_id: [4; 16],
        nonce_seed: [5; 12],
        started_unix_ms: 1_700_000_000_000,
        left: A,
        right: B,
    };
    world
        .exchange
        .start_recording(handle, &setup, world.now, &mut world.sink)
        .unwrap();
    world.talk(2_000);
    world
        .exchange
        .stop_recording(handle, world.now, &mut world.sink);
    world
        .exchange
        .stop_recording(handle, world.now, &mut world.sink);
    world.deliver();
    let info = crate::spool::Info::scan(world.chunks.as_slice(), &setup.key).unwrap();
    assert_eq!(
        (info.duration_ms, info.truncated, info.packets),
        (2_000, false, 200)
    );
    let mut renderer =
        crate::spool::Renderer::new(world.chunks.as_slice(), &setup.key, 8_000).unwrap();
    let mut stereo = Vec::new();
    loop {
        let part = renderer.read(1_000).unwrap();
        if part.is_empty() {
            break;
        }
        stereo.extend(part);
    }
    let (left, right): (Vec<i16>, Vec<i16>) = stereo.chunks_exact(2).map(|f| (f[0], f[1])).unzip();
    assert!(left.len().abs_diff(16_000) <= 160);
    assert!((goertzel_dbm0(&left[4_000..12_000], 8_000, 500.0) - -13.0).abs() < 0.5);
    assert!(goertzel_dbm0(&left[4_000..12_000], 8_000, 1_200.0) < -50.0);
    assert!((goertzel_dbm0(&right[4_000..12_000], 8_000, 1_200.0) - -13.0).abs() < 1.0);
    assert_eq!(world.exchange.recordings(), 0);
}

#[test]
fn a_stream_is_recorded_as_it_speaks() {
    let mut world = World::new(vec![Phone::new(A, "PCMU", 600.0)]);
    let stream = StreamHandle::new(16_000, 5_000).unwrap();
    world
        .exchange
        .open_stream(B, stream.clone(), world.now)
        .unwrap();
    world.exchange.bridge(A, B, world.now).unwrap();
    let setup = RecordingSetup {
        key: [3; 32],
        recording_id: [4; 16],
        nonce_seed: [6; 12],
        started_unix_ms: 0,
        left: A,
        right: B,
    };
    world
        .exchange
        .start_recording(RecordingHandle(2), &setup, world.now, &mut world.sink)
        .unwrap();
    let prompt: Vec<u8> = sine(16_000, 1_000.0, -10.0, 32_000)
        .into_iter()
        .flat_map(i16::to_le_bytes)
        .collect();
    let _ = stream.write(&prompt);
    world.talk(1_000);
    world
        .exchange
        .stop_recording(RecordingHandle(2), world.now, &mut world.sink);
    world.deliver();
    let mut renderer =
        crate::spool::Renderer::new(world.chunks.as_slice(), &setup.key, 16_000).unwrap();
    let mut right = Vec::new();
    loop {
        let part = renderer.read(4_000).unwrap();
        if part.is_empty() {
            break;
        }
        right.extend(part.chunks_exact(2).map(|frame| frame[1]));
    }
    assert!((goertzel_dbm0(&right[1_600..14_400], 16_000, 1_000.0) - -10.0).abs() < 0.3);
}

#[test]
fn a_recorded_call_moves_whole() {
    let mut world = World::bridged("PCMU", "PCMU");
    let setup = RecordingSetup {
        key: [3; 32],
        recording_id: [4; 16],
        nonce_seed: [7; 12],
        started_unix_ms: 0,
        left: A,
        right: B,
    };
    world
        .exchange
        .start_recording(RecordingHandle(1), &setup, world.now, &mut world.sink)
        .unwrap();
    world.talk(1_500);
    assert_eq!(world.exchange.group(B), [B, A]);
    let parked = world.exchange.take(B, world.now).unwrap();
    assert_eq!(
        parked.recordings().collect::<Vec<_>>(),
        [RecordingHandle(1)]
    );
    assert!(world.exchange.is_empty());
    assert!(world.exchange.take(B, world.now).is_none());
    world.exchange = Exchange::new(Config {
        seed: 8,
        unix_micros_at_zero: 0,
    });
    world.exchange.put(parked, world.now);
    world.talk(1_500);
    world
        .exchange
        .stop_recording(RecordingHandle(1), world.now, &mut world.sink);
    world.deliver();
    assert_eq!(world.phones[1].heard.len(), 150, "the bridge went along");
    let info = crate::spool::Info::scan(world.chunks.as_slice(), &setup.key).unwrap();
    assert_eq!(
        (info.duration_ms, info.packets, info.truncated),
        (3_000, 300, false)
    );
}

fn started(world: &mut World) -> RecordingSetup {
    let setup = RecordingSetup {
        key: [3; 32],
        recording_id: [4; 16],
        nonce_seed: [8; 12],
        started_unix_ms: 0,
        left: A,
        right: B,
    };
    world
        .exchange
        .start_recording(RecordingHandle(1), &setup, world.now, &mut world.sink)
        .unwrap();
    setup
}

/// Left and right at 8 kHz, once the recording has stopped.
fn rendered(world: &mut World, setup: &RecordingSetup) -> (Vec<i16>, Vec<i16>) {
    world
        .exchange
        .stop_recording(RecordingHandle(1), world.now, &mut world.sink);
    world.deliver();
    let mut renderer =
        crate::spool::Renderer::new(world.chunks.as_slice(), &setup.key, 8_000).unwrap();
    let mut stereo = Vec::new();
    loop {
        let part = renderer.read(4_000).unwrap();
        if part.is_empty() {
            return stereo.chunks_exact(2).map(|f| (f[0], f[1])).unzip();
        }
        stereo.extend(part);
    }
}

#[test]
fn a_peer_that_floods_does_not_spoil_its_recording() {
    let mut world = World::bridged("PCMU", "PCMU");
    let setup = started(&mut world);
    world.talk(200);
    let from = world.phones[0].address;
    for _ in 0..2_000 {
        let packet = world.phones[0].numbered(PayloadType(0), 160, &[0xff; 1_400]);
        world.receive(A, packet, from);
    }
    world.talk(500);
    world
        .exchange
        .stop_recording(RecordingHandle(1), world.now, &mut world.sink);
    world.deliver();
    let info = crate::spool::Info::scan(world.chunks.as_slice(), &setup.key).unwrap();
    assert_eq!(
        (info.packets, info.duration_ms, info.truncated),
        (2_070, 700, false)
    );
}

#[test]
fn a_hold_keeps_its_length_in_the_recording() {
    let mut world = World::bridged("PCMU", "PCMA");
    let setup = started(&mut world);
    world.talk(1_000);
    // Only the second talks for three seconds; the first holds, and its timestamps stand still, as many do.
    for _ in 0..150 {
        let packet = world.phones[1].packet();
        let from = world.phones[1].address;
        world.receive(B, packet, from);
        world.wait(20);
    }
    world.talk(1_000);
    let (left, right) = rendered(&mut world, &setup);
    assert!(left.len().abs_diff(40_000) <= 160, "{}", left.len());
    assert!(
        goertzel_dbm0(&left[8_400..31_600], 8_000, 500.0) < -50.0,
        "the gap"
    );
    assert!((goertzel_dbm0(&left[32_400..39_600], 8_000, 500.0) - -13.0).abs() < 0.5);
    assert!((goertzel_dbm0(&right[400..39_600], 8_000, 1_200.0) - -13.0).abs() < 0.5);
}

#[test]
fn a_leg_that_changes_its_codec_is_recorded_throughout() {
    let mut world = World::bridged("PCMU", "PCMU");
    let setup = started(&mut world);
    world.talk(1_000);
    // The second even takes the number of the first codec, for another one.
    for (name, number) in [("PCMA", 8), ("opus", 8)] {
        let old = world.phones.remove(0);
        let mut phone = Phone::new(A, name, 500.0);
        phone.codec.payload_type = PayloadType(number);
        (phone.sequence, phone.ssrc) = (old.sequence, old.ssrc);
        phone.timestamp = old.timestamp;
        let settings = phone.settings();
        world.phones.insert(0, phone);
        world
            .exchange
            .configure(A, settings, world.now, &mut world.sink)
            .unwrap();
        world.talk(1_000);
    }
    let (left, _) = rendered(&mut world, &setup);
    assert!(left.len().abs_diff(24_000) <= 160, "{}", left.len());
    for (second, part) in left.chunks(8_000).enumerate() {
        let level = goertzel_dbm0(&part[800..7_200], 8_000, 500.0);
        assert!((level - -13.0).abs() < 1.0, "{second}: {level}");
    }
    // Read under the wrong codec, even a few packets are loud noise.
    let around: Vec<i16> = left[15_200..16_800].to_vec();
    let power: f64 = around.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>() / 1_600.0;
    let tone = 10f64.powf((-13.0 - 3.17) / 10.0) * 32_768f64.powi(2) / 2.0;
    assert!(power < 2.0 * tone, "{power} {tone}");
}
