#![no_main]
//! A whole recorded call that is fed anything, in any order, while the program does what programs do, on virtual time.
//!
//! Whatever comes: nothing goes to a stranger, what waits is bounded, and the recording can be read to its end.
use libfuzzer_sys::fuzz_target;
use media_core::event::{Channel, Collected};
use media_core::exchange::{Config, Exchange, RecordingSetup};
use media_core::ids::{LegId, PayloadType, PlaybackId, RecordingHandle, Ssrc};
use media_core::playback::Playback;
use media_core::rtp::Header;
use media_core::settings::{CodecSettings, RtpSettings};
use media_core::spool::{Info, Renderer};
use media_core::time::Time;

const PEER: &str = "192.0.2.1:4000";
const STRANGER: &str = "203.0.113.5:4000";
const KEY: [u8; 32] = [7; 32];

fn settings(choice: u8) -> RtpSettings {
    let codec = match choice % 4 {
        0 => CodecSettings::new(0, "PCMU", 8_000, 1, ""),
        1 => CodecSettings::new(8, "PCMA", 8_000, 1, ""),
        2 => CodecSettings::new(111, "opus", 48_000, 2, "useinbandfec=1;usedtx=1"),
        _ => CodecSettings::new(98, "G729", 8_000, 1, ""),
    };
    let mut settings = RtpSettings::plain(codec, PEER.parse().ok());
    settings.dtmf_receive = Some(PayloadType(101));
    settings.dtmf_send = Some(PayloadType(101));
    settings.dtmf_clock = if choice & 4 == 0 { 8_000 } else { 48_000 };
    settings.may_receive = choice & 0x48 != 0x48;
    settings.may_send = choice & 0x50 != 0x50;
    settings
}

fuzz_target!(|data: &[u8]| {
    let mut exchange = Exchange::new(Config { seed: 1, unix_micros_at_zero: 0 });
    let mut sink = Collected::default();
    let mut now = Time::ZERO;
    let mut file = Vec::new();
    let legs = [LegId(1), LegId(2)];
    for (leg, choice) in legs.into_iter().zip([0, 2]) {
        exchange.open_rtp(leg, now).expect("a new leg");
        exchange.configure(leg, settings(choice), now, &mut sink).expect("valid settings");
    }
    exchange.bridge(legs[0], legs[1], now).expect("both legs");
    let setup = RecordingSetup {
        key: KEY,
        recording_id: [1; 16],
        nonce_seed: [2; 12],
        started_unix_ms: 0,
        left: legs[0],
        right: legs[1],
    };
    exchange.start_recording(RecordingHandle(1), &setup, now, &mut sink).expect("both legs");
    let (mut sequence, mut timestamp) = (0u16, 0u32);
    let mut rest = data;
    while let Some((&[how, wait, length, more], tail)) = rest.split_first_chunk::<4>() {
        let (octets, tail) = tail.split_at(usize::from(length).min(tail.len()));
        rest = tail;
        let leg = legs[usize::from(how & 1)];
        let from = if how & 0x80 == 0 { PEER } else { STRANGER }.parse().expect("an address");
        match how >> 1 & 0x0f {
            // As it is.
            0 => exchange.receive(leg, Channel::Rtp, &mut octets.to_vec(), from, now, &mut sink),
            1 => exchange.receive(leg, Channel::Rtcp, &mut octets.to_vec(), from, now, &mut sink),
            2 => exchange.configure(leg, settings(more), now, &mut sink).expect("valid settings"),
            3 => drop(exchange.send_digits(leg, "1#", 40 + u32::from(more) * 10, 0, now)),
            4 => {
                let playback = Playback::pcm([100i16; 500].as_slice().into(), 11_025, more & 1 == 0);
                exchange.play(leg, PlaybackId(1), playback, now, &mut sink).expect("a leg");
            }
            5 => exchange.stop_playback(leg, now, &mut sink).expect("a leg"),
            6 => exchange.bridge(legs[0], leg, now).expect("a leg"),
            7 => exchange.unbridge(leg, now).expect("a leg"),
            // A packet with a good header, mostly the next one.
            kind => {
                let jump = if kind == 15 { u16::from(more) << 8 } else { 1 };
                sequence = sequence.wrapping_add(jump);
                timestamp = timestamp.wrapping_add(if kind == 14 { u32::from(more) << 24 } else { 160 });
                let header = Header {
                    marker: kind == 13,
                    payload_type: PayloadType([0, 8, 111, 101, 98, 13][usize::from(kind) % 6]),
                    sequence,
                    timestamp,
                    ssrc: Ssrc(u32::from(kind == 12)),
                };
                let mut packet = Vec::new();
                header.write(octets, &mut packet);
                exchange.receive(leg, Channel::Rtp, &mut packet, from, now, &mut sink);
            }
        }
        now = now.plus_millis(u64::from(wait));
        exchange.handle_timer(now, &mut sink);
        assert!(exchange.next_timer().is_some_and(|due| due > now));
        for (_, _, to, _) in sink.packets.drain(..) {
            assert_eq!(to.ip().to_string(), "192.0.2.1");
        }
        file.extend(sink.chunks.drain(..).flat_map(|(_, chunk)| chunk));
        sink.events.clear();
    }
    for leg in legs {
        let statistics = exchange.statistics(leg, now).expect("a leg");
        assert!((0.0..=100.0).contains(&statistics.loss_percent));
        assert!(statistics.mos.is_none_or(|mos| (1.0..=4.5).contains(&mos)));
        assert!(statistics.buffer_delay_ms < 1_000.0);
    }
    exchange.stop_recording(RecordingHandle(1), now, &mut sink);
    file.extend(sink.chunks.drain(..).flat_map(|(_, chunk)| chunk));
    let info = Info::scan(file.as_slice(), &KEY).expect("a readable recording");
    assert!(!info.truncated);
    assert_eq!(info.duration_ms, now.micros() / 1_000);
    let mut renderer = Renderer::new(file.as_slice(), &KEY, 8_000).expect("a readable recording");
    let mut frames = 0;
    loop {
        let part = renderer.read(8_000).expect("a readable recording");
        if part.is_empty() {
            break;
        }
        frames += part.len() as u64 / 2;
    }
    assert!(frames.abs_diff(info.duration_ms * 8) <= 8 * 125, "{frames} {info:?}");
});
