//! The leg's reports: RTCP in and out, and the statistics that come of it.

use std::net::SocketAddr;

use super::RtpLeg;
use crate::emodel;
use crate::event::{Channel, Sink};
use crate::rtcp::{self, Rtcp, SenderInfo};
use crate::stats::LegStatistics;
use crate::time::Time;

/// Packets from which a quality can be told.
const ENOUGH_PACKETS: u64 = 50;
/// One-way delay outside the network: packetisation and playout, when nothing is measured.
const LOCAL_DELAY_MS: f64 = 20.0;

impl RtpLeg {
    pub(super) fn receive_control(
        &mut self,
        packet: &mut [u8],
        from: SocketAddr,
        unix_micros: u64,
        now: Time,
    ) {
        let mut length = packet.len();
        if let Some(srtp) = &mut self.srtp_in {
            match srtp.unprotect_rtcp(packet) {
                Ok(plain) => length = plain,
                Err(_) => {
                    self.statistics.srtp_failures += 1;
                    return;
                }
            }
        } else if !self.latch.trusts_host(from.ip()) {
            self.statistics.strangers += 1;
            return;
        }
        let ntp = rtcp::ntp_from_unix_micros(unix_micros);
        let mut alive = false;
        for part in rtcp::packets(&packet[..length]) {
            match part {
                Ok(Rtcp::Report {
                    ssrc,
                    sender,
                    blocks,
                }) => {
                    self.rtcp_from = Some(from);
                    alive = true;
                    if let (Some(info), Some(reception)) = (sender, self.receiver.reception()) {
                        if reception.ssrc() == ssrc {
                            reception.sender_report((info.ntp >> 16) as u32, now);
                        }
                    }
                    for block in
                        rtcp::report_blocks(blocks).filter(|block| block.ssrc == self.sender.ssrc())
                    {
                        if let Some(rtt) = rtcp::round_trip_ms(&block, ntp) {
                            self.statistics.round_trip_ms = Some(rtt);
                        }
                        if self.sender.packets > 0 {
                            let lost = block.cumulative_lost.max(0);
                            self.statistics.remote_loss_percent =
                                (100.0 * f64::from(lost) / self.sender.packets as f64).min(100.0);
                        }
                    }
                }
                Ok(Rtcp::Goodbye { .. }) => alive = false,
                Ok(Rtcp::Other(_)) => {}
                Err(_) => {
                    self.statistics.malformed += 1;
                    return;
                }
            }
        }
        if alive {
            self.alive = now;
        }
    }

    pub(super) fn send_report(
        &mut self,
        goodbye: bool,
        unix_micros: u64,
        now: Time,
        sink: &mut dyn Sink,
    ) {
        let Some(settings) = &self.settings else {
            return;
        };
        let Some(rtp_remote) = self.latch.remote() else {
            return;
        };
        let (channel, to) = if settings.rtcp_mux {
            (Channel::Rtp, rtp_remote)
        } else {
            let beside = SocketAddr::new(rtp_remote.ip(), rtp_remote.port().saturating_add(1));
            // Behind a NAT the signalled address is of no use; the one that reports come from is.
            let latched_elsewhere = settings
                .remote
                .is_some_and(|signalled| signalled != rtp_remote);
            let signalled = settings.remote_rtcp.filter(|_| !latched_elsewhere);
            (
                Channel::Rtcp,
                self.rtcp_from.or(signalled).unwrap_or(beside),
            )
        };
        let info = (self.sender.packets > self.reported_packets).then(|| SenderInfo {
            ntp: rtcp::ntp_from_unix_micros(unix_micros),
            timestamp: self.sender.timestamp_at(now),
            packets: self.sender.packets as u32,
            octets: self.sender.octets as u32,
        });
        self.reported_packets = self.sender.packets;
        let block = self
            .receiver
            .reception()
            .map(|reception| reception.report(now));
        let mut packet = Vec::with_capacity(128);
        rtcp::write_report(
            &mut packet,
            self.sender.ssrc(),
            info.as_ref(),
            block.as_ref(),
            &self.cname,
        );
        if goodbye {
            rtcp::write_goodbye(&mut packet, self.sender.ssrc());
        }
        if let Some(srtp) = &mut self.srtp_out {
            if srtp.protect_rtcp(&packet, &mut self.scratch).is_ok() {
                sink.send(self.id, channel, to, &self.scratch);
            }
        } else {
            sink.send(self.id, channel, to, &packet);
        }
    }

    /// Say goodbye, once.
    pub fn close(&mut self, unix_micros: u64, now: Time, sink: &mut dyn Sink) {
        if !self.goodbye && (self.sender.packets > 0 || self.statistics.packets_received > 0) {
            self.goodbye = true;
            self.send_report(true, unix_micros, now, sink);
        }
    }

    #[must_use]
    pub fn statistics(&self) -> LegStatistics {
        let jitter = self.receiver.jitter().statistics();
        let mut out = self.statistics.clone();
        out.packets_sent = self.sender.packets;
        out.packets_discarded = jitter.discarded;
        out.concealed_ms = jitter.concealed_ms;
        out.buffer_delay_ms = jitter.delay_ms;
        out.remote = self.latch.latched();
        let Some(reception) = self.receiver.reception_ref() else {
            return out;
        };
        out.packets_lost = reception.lost();
        out.jitter_ms = reception.jitter_ms(self.receiver.clock_rate());
        let expected = reception.expected_total();
        if expected > 0 {
            out.loss_percent = (100.0 * (out.packets_lost + out.packets_discarded) as f64
                / expected as f64)
                .min(100.0);
        }
        if expected >= ENOUGH_PACKETS {
            if let Some(codec) = self.receiver.last_codec() {
                let one_way =
                    out.round_trip_ms.unwrap_or(0.0) / 2.0 + LOCAL_DELAY_MS + out.buffer_delay_ms;
                if let Some((impairment, model)) = codec.codec.impairment() {
                    let r = emodel::r_factor(impairment, out.loss_percent, 1.0, one_way);
                    out.r_factor = Some(r);
                    out.mos = Some(emodel::mos(r));
                    out.model = Some(model);
                }
            }
        }
        out
    }
}
