//! G.711 load for any RTP relay: sends 50 packets/s from each given local port, counts what comes back and how late.
//!
//! `rtp_load SECONDS PAYLOAD_TYPE < PORTS`: each line of PORTS is `LOCAL_PORT REMOTE_PORT`, on 127.0.0.1. The first 8
//! octets of a payload are the time of sending, so that a relay that passes payloads on unchanged is timed per packet.
//! Prints one line of JSON. Sent packets are spread evenly over each 20 ms.

use std::io::BufRead;
use std::net::{Ipv4Addr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{epoll, Timespec};

const FRAME: Duration = Duration::from_millis(20);
/// Nanoseconds; anything later is a payload that was not passed on unchanged.
const PLAUSIBLE: u64 = 2_000_000_000;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut next = || arguments.next().and_then(|text| text.parse::<u64>().ok());
    let (Some(seconds), Some(payload_type)) = (next(), next()) else {
        eprintln!("usage: rtp_load SECONDS PAYLOAD_TYPE < PORTS");
        std::process::exit(2);
    };
    let sockets = Arc::new(open_sockets());
    let start = Instant::now();
    let stop = Arc::new(AtomicBool::new(false));
    let receiver = {
        let (sockets, stop) = (Arc::clone(&sockets), Arc::clone(&stop));
        std::thread::spawn(move || receive(&sockets, start, &stop))
    };
    let sent = send(
        &sockets,
        start,
        Duration::from_secs(seconds),
        payload_type as u8,
    );
    std::thread::sleep(Duration::from_millis(300));
    stop.store(true, Ordering::Relaxed);
    let (received, mut delays) = receiver.join().expect("the receiver does not panic");
    delays.sort_unstable();
    let at = |share: f64| {
        let index = ((delays.len() as f64 * share) as usize).min(delays.len().saturating_sub(1));
        delays.get(index).map_or(0.0, |nanos| *nanos as f64 / 1e6)
    };
    println!(
        "{{\"sent\": {sent}, \"received\": {received}, \"timed\": {}, \"p50_ms\": {:.3}, \"p99_ms\": {:.3}, \"max_ms\": {:.3}}}",
        delays.len(),
        at(0.5),
        at(0.99),
        at(1.0)
    );
}

fn open_sockets() -> Vec<UdpSocket> {
    let mut sockets = Vec::new();
    for line in std::io::stdin().lock().lines() {
        let line = line.expect("readable input");
        let mut ports = line
            .split_whitespace()
            .map(|text| text.parse::<u16>().expect("a port number"));
        let (local, remote) = (
            ports.next().expect("LOCAL_PORT"),
            ports.next().expect("REMOTE_PORT"),
        );
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, local)).expect("a free local port");
        socket
            .connect((Ipv4Addr::LOCALHOST, remote))
            .expect("a UDP address");
        socket.set_nonblocking(true).expect("a socket");
        sockets.push(socket);
    }
    sockets
}

fn send(sockets: &[UdpSocket], start: Instant, length: Duration, payload_type: u8) -> u64 {
    let count = sockets.len() as u32;
    let mut packet = [0x55_u8; 172];
    packet[0] = 0x80;
    let mut sent = 0;
    let begin = start.elapsed();
    for frame in 0_u32.. {
        for (index, socket) in sockets.iter().enumerate() {
            let due = begin + FRAME * frame + FRAME * index as u32 / count;
            if due >= begin + length {
                return sent;
            }
            let now = start.elapsed();
            // Whoever is early sleeps; half a millisecond of slack saves a wake-up per packet.
            if due > now + Duration::from_micros(500) {
                std::thread::sleep(due - now);
            }
            packet[1] = payload_type;
            packet[2..4].copy_from_slice(&(frame as u16).to_be_bytes());
            packet[4..8].copy_from_slice(&(frame * 160).to_be_bytes());
            packet[8..12].copy_from_slice(&(index as u32 + 1).to_be_bytes());
            packet[12..20].copy_from_slice(&(start.elapsed().as_nanos() as u64).to_be_bytes());
            sent += u64::from(socket.send(&packet).is_ok());
        }
    }
    sent
}

fn receive(sockets: &[UdpSocket], start: Instant, stop: &AtomicBool) -> (u64, Vec<u64>) {
    let readiness = epoll::create(epoll::CreateFlags::CLOEXEC).expect("an epoll");
    for (index, socket) in sockets.iter().enumerate() {
        let token = epoll::EventData::new_u64(index as u64);
        epoll::add(&readiness, socket, token, epoll::EventFlags::IN).expect("a socket to watch");
    }
    let mut received = 0;
    let mut delays = Vec::with_capacity(1 << 20);
    let limit = Timespec {
        tv_sec: 0,
        tv_nsec: 100_000_000,
    };
    let mut buffer = [0_u8; 2048];
    while !stop.load(Ordering::Relaxed) {
        let mut space = [const { std::mem::MaybeUninit::<epoll::Event>::uninit() }; 256];
        let Ok((events, _)) = epoll::wait(&readiness, &mut space, Some(&limit)) else {
            continue;
        };
        for event in events.iter() {
            let Ok(length) = sockets[event.data.u64() as usize].recv(&mut buffer) else {
                continue;
            };
            received += 1;
            let Some(stamp) = buffer[..length].get(12..20) else {
                continue;
            };
            let stamp = u64::from_be_bytes(stamp.try_into().expect("eight octets"));
            let now = start.elapsed().as_nanos() as u64;
            if let Some(delay) = now.checked_sub(stamp).filter(|delay| *delay < PLAUSIBLE) {
                delays.push(delay);
            }
        }
    }
    (received, delays)
}
