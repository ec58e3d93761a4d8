//! What is counted about a leg.

use std::net::SocketAddr;

/// Counters of one leg since it opened. Mirrors `sent.media.types.LegStatistics`.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct LegStatistics {
    pub packets_sent: u64,
    pub packets_received: u64,
    pub bytes_sent: u64,
    pub bytes_received: u64,
    pub packets_lost: u64,
    /// Packets that arrived but too late, or too many, to be played.
    pub packets_discarded: u64,
    pub packets_duplicate: u64,
    pub concealed_ms: u64,
    /// Received direction over the whole call, 0 to 100; lost and discarded together.
    pub loss_percent: f64,
    /// What the peer's reports say that it lost of what we sent.
    pub remote_loss_percent: f64,
    pub jitter_ms: f64,
    pub round_trip_ms: Option<f64>,
    pub buffer_delay_ms: f64,
    pub r_factor: Option<f64>,
    pub mos: Option<f64>,
    /// The formula behind `r_factor` and `mos`, with the codec whose values it takes.
    pub model: Option<&'static str>,
    pub strangers: u64,
    pub srtp_failures: u64,
    pub malformed: u64,
    /// Valid packets that hold nothing of use: a payload type that was not negotiated (comfort noise), or no payload.
    pub unexpected: u64,
    pub remote: Option<SocketAddr>,
    pub transcoded: bool,
    /// Octets of a stream leg that its reader was too slow for.
    pub stream_overrun_bytes: u64,
}
