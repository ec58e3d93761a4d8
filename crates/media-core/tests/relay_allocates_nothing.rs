//! The hot path: a relayed packet must not touch the heap.

use std::alloc::{GlobalAlloc, Layout, System};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use media_core::event::{Channel, Event, Sink};
use media_core::exchange::{Config, Exchange};
use media_core::ids::{LegId, PayloadType, RecordingHandle, Ssrc};
use media_core::rtp::Header;
use media_core::settings::{CodecSettings, RtpSettings};
use media_core::time::Time;

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[derive(Default)]
struct Count {
    packets: u64,
}

impl Sink for Count {
    fn send(&mut self, _leg: LegId, _channel: Channel, _to: SocketAddr, packet: &[u8]) {
        assert!(packet.len() >= 28);
        self.packets += 1;
    }

    fn event(&mut self, _event: Event) {}

    fn chunk(&mut self, _recording: RecordingHandle, _chunk: &[u8]) {}
}

#[test]
fn a_relayed_packet_does_not_allocate() {
    let mut exchange = Exchange::new(Config {
        seed: 1,
        unix_micros_at_zero: 0,
    });
    let mut sink = Count::default();
    let from: SocketAddr = "192.0.2.1:4000".parse().unwrap();
    for leg in [LegId(1), LegId(2)] {
        let codec = CodecSettings::new(0, "PCMU", 8_000, 1, "");
        exchange.open_rtp(leg, Time::ZERO).unwrap();
        exchange
            .configure(
                leg,
                RtpSettings::plain(codec, Some(from)),
                Time::ZERO,
                &mut sink,
            )
            .unwrap();
    }
    exchange.bridge(LegId(1), LegId(2), Time::ZERO).unwrap();
    let mut packet = Vec::new();
    let mut run = |range: core::ops::Range<u32>, sink: &mut Count| {
        for n in range {
            let header = Header {
                marker: false,
                payload_type: PayloadType(0),
                sequence: n as u16,
                timestamp: n * 160,
                ssrc: Ssrc(7),
            };
            header.write(&[0xff; 160], &mut packet);
            let now = Time::from_millis(u64::from(n) * 2);
            exchange.receive(LegId(1), Channel::Rtp, &mut packet, from, now, sink);
        }
    };
    run(0..100, &mut sink);
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    run(100..1_100, &mut sink);
    let made = ALLOCATIONS.load(Ordering::Relaxed) - before;
    assert_eq!(sink.packets, 1_100);
    assert_eq!(made, 0, "allocations in 1000 relayed packets");
}
