//! Paced RTP for the benchmarks. Reads one line per endpoint on standard input,
//! `LOCAL_PORT REMOTE_ADDRESS REMOTE_PORT PAYLOAD_TYPE`, sends 160-octet payloads every 20 ms from each for
//! `rtp-load SECONDS`, receives what comes back and prints one line of JSON.
//!
//! The first eight payload octets carry the time of sending, so that a relay's latency can be read at the far end.
//! One thread sends and one receives: the peer under test is measured, this only has to keep up.

#![forbid(unsafe_code)]

mod sockets;
mod stream;

use std::io::Read;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

use sockets::Endpoint;
use stream::{Latency, Stream, PACKET};

const PACKET_EVERY: Duration = Duration::from_millis(20);
const DRAIN: Duration = Duration::from_millis(500);
const SLOTS: usize = 20;

fn main() {
    if let Err(message) = run() {
        eprintln!("rtp-load: {message}");
        std::process::exit(2);
    }
}

fn run() -> Result<(), String> {
    let seconds: u64 = std::env::args()
        .nth(1)
        .and_then(|s| s.parse().ok())
        .filter(|s| (1..=600).contains(s))
        .ok_or("usage: rtp-load SECONDS (1 to 600), endpoints on standard input")?;
    let mut input = String::new();
    std::io::stdin()
        .read_to_string(&mut input)
        .map_err(|e| e.to_string())?;
    let mut endpoints: Vec<Endpoint> = Vec::new();
    let mut streams = Vec::new();
    for (index, line) in input.lines().filter(|l| !l.trim().is_empty()).enumerate() {
        let endpoint = Endpoint::parse(line).map_err(|e| format!("line {}: {e}", index + 1))?;
        streams.push(Stream::new(index as u32 + 1, endpoint.payload_type));
        endpoints.push(endpoint);
    }
    let epoch = Instant::now();
    let stop = Arc::new(AtomicBool::new(false));
    let endpoints: Arc<[Endpoint]> = endpoints.into();
    let receiver = {
        let (endpoints, stop) = (endpoints.clone(), stop.clone());
        std::thread::spawn(move || receive_all(&endpoints, epoch, &stop))
    };
    let (sent, refused, late_max) = send_all(
        &endpoints,
        &mut streams,
        epoch,
        Duration::from_secs(seconds),
    );
    std::thread::sleep(DRAIN);
    stop.store(true, Ordering::Relaxed);
    let latency = receiver
        .join()
        .map_err(|_| "the receiving thread ended early")??;
    println!(
        "{{\"endpoints\":{},\"sent\":{sent},\"refused\":{refused},\"received\":{},\"pacing_late_max_us\":{},\"latency_us\":{}}}",
        endpoints.len(),
        latency.received,
        late_max.as_micros(),
        latency.as_json()
    );
    Ok(())
}

/// Endpoints are spread over the 20 ms in 1 ms slots, as real calls are.
fn send_all(
    endpoints: &[Endpoint],
    streams: &mut [Stream],
    epoch: Instant,
    run: Duration,
) -> (u64, u64, Duration) {
    let (mut sent, mut refused, mut late_max) = (0, 0, Duration::ZERO);
    let slot_every = PACKET_EVERY / SLOTS as u32;
    let mut due = epoch;
    let mut slot = 0;
    let mut packet = [0u8; PACKET];
    while due.duration_since(epoch) < run {
        let now = Instant::now();
        if due > now {
            std::thread::sleep(due - now);
        } else {
            late_max = late_max.max(now - due);
        }
        for index in (slot..endpoints.len()).step_by(SLOTS) {
            streams[index].write(&mut packet, epoch.elapsed());
            if endpoints[index].send(&packet) {
                sent += 1;
            } else {
                refused += 1;
            }
        }
        slot = (slot + 1) % SLOTS;
        due += slot_every;
    }
    (sent, refused, late_max)
}

fn receive_all(
    endpoints: &[Endpoint],
    epoch: Instant,
    stop: &AtomicBool,
) -> Result<Latency, String> {
    let poller = sockets::Poller::new(endpoints).map_err(|e| e.to_string())?;
    let mut latency = Latency::default();
    while !stop.load(Ordering::Relaxed) {
        poller.wait(PACKET_EVERY, |index| {
            endpoints[index].drain(|packet| latency.record(packet, epoch.elapsed()));
        });
    }
    Ok(latency)
}
