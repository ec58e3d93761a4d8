#![no_main]
//! A whole call that is fed anything, in any order, on virtual time.
use libfuzzer_sys::fuzz_target;
use media_core::event::{Channel, Collected};
use media_core::exchange::{Config, Exchange};
use media_core::ids::{LegId, PayloadType};
use media_core::settings::{CodecSettings, RtpSettings};
use media_core::time::Time;

fuzz_target!(|data: &[u8]| {
    let mut exchange = Exchange::new(Config { seed: 1, unix_micros_at_zero: 0 });
    let mut sink = Collected::default();
    let mut now = Time::ZERO;
    let from = "192.0.2.1:4000".parse().expect("an address");
    for (leg, codec) in [
        (1, CodecSettings::new(0, "PCMU", 8_000, 1, "")),
        (2, CodecSettings::new(111, "opus", 48_000, 2, "useinbandfec=1")),
    ] {
        let mut settings = RtpSettings::plain(codec, Some(from));
        settings.dtmf_receive = Some(PayloadType(101));
        settings.dtmf_send = Some(PayloadType(101));
        exchange.open_rtp(LegId(leg), now).expect("a new leg");
        exchange.configure(LegId(leg), settings, now, &mut sink).expect("valid settings");
    }
    exchange.bridge(LegId(1), LegId(2), now).expect("both legs");
    let mut rest = data;
    while let Some((&[how, wait, length], tail)) = rest.split_first_chunk::<3>() {
        let (packet, tail) = tail.split_at(usize::from(length).min(tail.len()));
        rest = tail;
        let leg = LegId(1 + u64::from(how & 1));
        let channel = if how & 2 == 0 { Channel::Rtp } else { Channel::Rtcp };
        exchange.receive(leg, channel, &mut packet.to_vec(), from, now, &mut sink);
        now = now.plus_millis(u64::from(wait));
        exchange.handle_timer(now, &mut sink);
        sink.packets.clear();
        sink.events.clear();
    }
});
