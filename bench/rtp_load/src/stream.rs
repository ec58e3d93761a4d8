//! One RTP stream (RFC 3550 §5.1) and the latency of what arrives.

use std::time::Duration;

pub const HEADER: usize = 12;
pub const PACKET: usize = HEADER + 160;

pub struct Stream {
    ssrc: u32,
    payload_type: u8,
    sequence: u16,
    timestamp: u32,
}

impl Stream {
    pub fn new(ssrc: u32, payload_type: u8) -> Self {
        Self {
            ssrc,
            payload_type,
            sequence: 1,
            timestamp: 160,
        }
    }

    pub fn write(&mut self, packet: &mut [u8; PACKET], since_epoch: Duration) {
        packet[0] = 0x80;
        packet[1] = self.payload_type;
        packet[2..4].copy_from_slice(&self.sequence.to_be_bytes());
        packet[4..8].copy_from_slice(&self.timestamp.to_be_bytes());
        packet[8..12].copy_from_slice(&self.ssrc.to_be_bytes());
        packet[HEADER..HEADER + 8].copy_from_slice(&(since_epoch.as_nanos() as u64).to_be_bytes());
        self.sequence = self.sequence.wrapping_add(1);
        self.timestamp = self.timestamp.wrapping_add(160);
    }
}

/// Latencies in a histogram of 10 µs steps up to 100 ms; what is later counts in the last.
pub struct Latency {
    pub received: u64,
    timed: u64,
    steps: Vec<u64>,
}

impl Default for Latency {
    fn default() -> Self {
        Self {
            received: 0,
            timed: 0,
            steps: vec![0; 10_001],
        }
    }
}

impl Latency {
    pub fn record(&mut self, packet: &[u8], now: Duration) {
        if packet.len() < HEADER || packet[0] >> 6 != 2 || (200..=204).contains(&packet[1]) {
            return;
        }
        self.received += 1;
        if packet.len() < HEADER + 8 {
            return;
        }
        let mut sent = [0u8; 8];
        sent.copy_from_slice(&packet[HEADER..HEADER + 8]);
        // After transcoding these octets are no time; what lies in the future or far back is not counted.
        let sent = u64::from_be_bytes(sent);
        let now = now.as_nanos() as u64;
        if sent <= now && now - sent < 10_000_000_000 {
            self.timed += 1;
            let step = ((now - sent) / 10_000).min(10_000) as usize;
            self.steps[step] += 1;
        }
    }

    fn quantile(&self, q: f64) -> u64 {
        let rank = (self.timed as f64 * q).ceil() as u64;
        let mut seen = 0;
        for (step, count) in self.steps.iter().enumerate() {
            seen += count;
            if seen >= rank.max(1) {
                return step as u64 * 10;
            }
        }
        0
    }

    pub fn as_json(&self) -> String {
        if self.timed == 0 {
            return "null".into();
        }
        format!(
            "{{\"p50\":{},\"p99\":{},\"max\":{}}}",
            self.quantile(0.5),
            self.quantile(0.99),
            self.quantile(1.0)
        )
    }
}
