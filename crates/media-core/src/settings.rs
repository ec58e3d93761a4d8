//! What a negotiation decided for one RTP leg; given whole, each time it changes.

use std::net::{IpAddr, SocketAddr};

use crate::codec::CodecId;
use crate::ids::PayloadType;
use crate::srtp::SrtpKey;

/// One codec as negotiated: `payload_type` is what is on the wire in that direction (RFC 3551 §6).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CodecSettings {
    pub payload_type: PayloadType,
    pub codec: CodecId,
    pub clock_rate: u32,
    pub channels: u8,
    /// The peer's `a=fmtp` value, without the payload type.
    pub fmtp: String,
}

impl CodecSettings {
    /// `name` is compared without case; a name that we cannot decode is still relayed.
    #[must_use]
    pub fn new(payload_type: u8, name: &str, clock_rate: u32, channels: u8, fmtp: &str) -> Self {
        Self {
            payload_type: PayloadType(payload_type & 0x7f),
            codec: CodecId::from_name(name),
            clock_rate,
            channels,
            fmtp: fmtp.to_owned(),
        }
    }

    /// Payloads of one can be sent as the other without decoding.
    #[must_use]
    pub fn same_format(&self, other: &Self) -> bool {
        self.codec == other.codec
            && self.clock_rate == other.clock_rate
            && (self.channels == other.channels || self.codec == CodecId::Opus)
    }
}

/// Mirrors `sent.media.types.RtpSettings`.
#[derive(Clone, Debug)]
pub struct RtpSettings {
    /// What the peer may send us, with *our* payload types.
    pub receive: Vec<CodecSettings>,
    /// The one codec that we send, with the *peer's* payload type.
    pub send: CodecSettings,
    pub remote: Option<SocketAddr>,
    /// Where RTCP goes when not muxed; the RTP port plus one when absent.
    pub remote_rtcp: Option<SocketAddr>,
    pub rtcp_mux: bool,
    /// Addresses that a first packet may come from besides `remote`.
    pub latch_from: Vec<IpAddr>,
    pub dtmf_receive: Option<PayloadType>,
    pub dtmf_send: Option<PayloadType>,
    /// Clock that telephone events count their durations on, in both directions. Their RTP timestamps are the audio's
    /// (RFC 4733 §2.1), whose clock is another one where a phone offers telephone-event/8000 beside Opus.
    pub dtmf_clock: u32,
    /// Length of the packets that we make ourselves, 10 to 60 in steps of 10.
    pub packet_ms: u32,
    pub may_send: bool,
    pub may_receive: bool,
    pub local_srtp: Option<SrtpKey>,
    pub remote_srtp: Option<SrtpKey>,
    /// Thresholds without RTP from the peer; each crossing gives one `Event::Silence`. The last one, after which a peer
    /// is taken for gone, also asks that no RTCP came: a phone that is muted or on hold may send reports only.
    pub silence_ms: Vec<u32>,
}

impl RtpSettings {
    /// Plain RTP with one codec in both directions; the rest as `sent.media.types.RtpSettings` defaults it.
    #[must_use]
    pub fn plain(codec: CodecSettings, remote: Option<SocketAddr>) -> Self {
        Self {
            receive: vec![codec.clone()],
            send: codec,
            remote,
            remote_rtcp: None,
            rtcp_mux: false,
            latch_from: Vec::new(),
            dtmf_receive: None,
            dtmf_send: None,
            dtmf_clock: 8_000,
            packet_ms: 20,
            may_send: true,
            may_receive: true,
            local_srtp: None,
            remote_srtp: None,
            silence_ms: vec![5_000, 30_000],
        }
    }
}
