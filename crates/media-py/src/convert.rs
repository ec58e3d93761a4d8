//! Plain Python values to the core's settings, and events to plain tuples.

use std::net::{IpAddr, SocketAddr};

use media_core::event::Event;
use media_core::ids::PayloadType;
use media_core::settings::{CodecSettings, RtpSettings};
use media_core::srtp::{SrtpKey, SrtpSuite};
use media_io::EngineEvent;
use pyo3::prelude::*;

use crate::error::bad_settings;

/// payload type, name, clock rate, channels, fmtp
pub type CodecTuple = (u8, String, u32, u8, String);
/// kind, leg or recording, text, number
pub type EventTuple = (&'static str, u64, String, u64);

/// The keyword arguments of `Engine.configure`, as `sent.media.types.RtpSettings` names them.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub struct SettingsDict {
    receive: Vec<CodecTuple>,
    send: CodecTuple,
    remote: Option<(String, u16)>,
    remote_rtcp: Option<(String, u16)>,
    rtcp_mux: bool,
    latch_from: Vec<String>,
    dtmf_receive: Option<u8>,
    dtmf_send: Option<u8>,
    dtmf_clock: u32,
    packet_ms: u32,
    may_send: bool,
    may_receive: bool,
    local_srtp: Option<(String, Vec<u8>)>,
    remote_srtp: Option<(String, Vec<u8>)>,
    silence_ms: Vec<u32>,
}

impl SettingsDict {
    pub fn into_core(self) -> PyResult<RtpSettings> {
        Ok(RtpSettings {
            receive: self
                .receive
                .into_iter()
                .map(codec)
                .collect::<PyResult<_>>()?,
            send: codec(self.send)?,
            remote: self.remote.map(socket_address).transpose()?,
            remote_rtcp: self.remote_rtcp.map(socket_address).transpose()?,
            rtcp_mux: self.rtcp_mux,
            latch_from: self
                .latch_from
                .iter()
                .map(|text| address(text))
                .collect::<PyResult<_>>()?,
            dtmf_receive: self.dtmf_receive.map(payload_type).transpose()?,
            dtmf_send: self.dtmf_send.map(payload_type).transpose()?,
            dtmf_clock: self.dtmf_clock,
            packet_ms: self.packet_ms,
            may_send: self.may_send,
            may_receive: self.may_receive,
            local_srtp: self.local_srtp.map(srtp_key).transpose()?,
            remote_srtp: self.remote_srtp.map(srtp_key).transpose()?,
            silence_ms: self.silence_ms,
        })
    }
}

pub fn address(text: &str) -> PyResult<IpAddr> {
    text.parse().map_err(|_| {
        bad_settings(format!(
            "{text:?} is no IP address; names are resolved before they come here."
        ))
    })
}

fn socket_address((text, port): (String, u16)) -> PyResult<SocketAddr> {
    Ok(SocketAddr::new(address(&text)?, port))
}

fn payload_type(number: u8) -> PyResult<PayloadType> {
    if number > 127 {
        return Err(bad_settings(format!(
            "{number} is no RTP payload type; they end at 127."
        )));
    }
    Ok(PayloadType(number))
}

fn codec((number, name, clock_rate, channels, fmtp): CodecTuple) -> PyResult<CodecSettings> {
    payload_type(number)?;
    Ok(CodecSettings::new(
        number, &name, clock_rate, channels, &fmtp,
    ))
}

fn srtp_key((suite, key_salt): (String, Vec<u8>)) -> PyResult<SrtpKey> {
    let suite = SrtpSuite::from_name(&suite)
        .ok_or_else(|| bad_settings(format!("{suite} is no SRTP suite that is served.")))?;
    SrtpKey::new(suite, &key_salt).map_err(|error| bad_settings(error.to_string()))
}

/// None for what the I/O crate keeps to itself.
pub fn event(event: EngineEvent) -> Option<EventTuple> {
    Some(match event {
        EngineEvent::RecordingFailed { recording, error } => {
            ("recording_failed", recording.0, error, 0)
        }
        EngineEvent::RecordingClosed { recording } => {
            ("recording_closed", recording.0, String::new(), 0)
        }
        EngineEvent::Media(event) => match event {
            Event::Digit {
                leg,
                digit,
                duration_ms,
            } => ("digit", leg.0, digit.to_string(), duration_ms.into()),
            Event::PlaybackEnded {
                leg,
                playback,
                completed,
            } => {
                let kind = if completed {
                    "playback_completed"
                } else {
                    "playback_stopped"
                };
                (kind, leg.0, String::new(), playback.0)
            }
            Event::Silence { leg, ms } => ("silence", leg.0, String::new(), ms.into()),
            Event::MediaResumed { leg } => ("resumed", leg.0, String::new(), 0),
            Event::MarkReached { leg, name } => ("mark", leg.0, name, 0),
            Event::StreamReadable { leg } => ("readable", leg.0, String::new(), 0),
            Event::Latched { .. } | Event::Unlatched { .. } => return None,
        },
    })
}
