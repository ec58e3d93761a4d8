//! Recordings: what two legs receive, into one spool.

use std::cmp::Reverse;

use super::{Exchange, ExchangeError, Leg, Timer};
use crate::codec::CodecId;
use crate::event::Sink;
use crate::ids::{LegId, PayloadType, RecordingHandle};
use crate::rtp_leg::Incoming;
use crate::spool::{CodecRecord, PacketRecord, Side, SpoolHeader, SpoolWriter};
use crate::time::Time;

/// RTP payload type under which a stream leg's own audio is recorded.
pub(super) const STREAM_PAYLOAD_TYPE: PayloadType = PayloadType(96);

/// All that a recording needs to start.
pub struct RecordingSetup {
    pub key: [u8; 32],
    pub recording_id: [u8; 16],
    /// Random, from the operating system: no two files may share it under one key.
    pub nonce_seed: [u8; 12],
    pub started_unix_ms: u64,
    pub left: LegId,
    pub right: LegId,
}

pub(super) struct Recording {
    pub(super) writer: SpoolWriter,
    pub(super) legs: [LegId; 2],
}

impl Exchange {
    /// Record what both legs receive. The file's header comes at once through `sink.chunk`.
    ///
    /// # Errors
    /// `NoSuchLeg`, `RecordingExists`.
    pub fn start_recording(
        &mut self,
        handle: RecordingHandle,
        setup: &RecordingSetup,
        now: Time,
        sink: &mut dyn Sink,
    ) -> Result<(), ExchangeError> {
        self.slot(setup.left)?;
        self.slot(setup.right)?;
        if self.recordings.contains_key(&handle) {
            return Err(ExchangeError::RecordingExists(handle));
        }
        let header = SpoolHeader {
            recording_id: setup.recording_id,
            started_unix_ms: setup.started_unix_ms,
        };
        let writer =
            SpoolWriter::new(&header, &setup.key, setup.nonce_seed, now).ok_or_else(|| {
                ExchangeError::BadSettings("the recording key cannot be used".to_owned())
            })?;
        sink.chunk(handle, writer.header());
        let legs = [setup.left, setup.right];
        self.recordings.insert(handle, Recording { writer, legs });
        for (leg, side) in legs.into_iter().zip([Side::Left, Side::Right]) {
            self.slot(leg)?.recordings.push((handle, side));
            self.record_codecs(handle, side, leg, now);
        }
        self.timers
            .push(Reverse((now.plus_millis(1_000), Timer::Recording(handle))));
        Ok(())
    }

    pub(super) fn record_codecs(
        &mut self,
        handle: RecordingHandle,
        side: Side,
        leg: LegId,
        now: Time,
    ) {
        let (Some(slot), Some(recording)) =
            (self.slots.get(&leg), self.recordings.get_mut(&handle))
        else {
            return;
        };
        match &slot.leg {
            Leg::Rtp(rtp) => {
                for codec in rtp.receiver.codecs() {
                    let record = CodecRecord {
                        side,
                        payload_type: codec.payload_type,
                        codec: codec.codec.clone(),
                        clock_rate: codec.clock_rate,
                        channels: codec.channels,
                    };
                    recording.writer.push_codec(&record, now);
                }
            }
            Leg::Stream(stream) => {
                let record = CodecRecord {
                    side,
                    payload_type: STREAM_PAYLOAD_TYPE,
                    codec: CodecId::L16,
                    clock_rate: stream.buffer.rate(),
                    channels: 1,
                };
                recording.writer.push_codec(&record, now);
            }
        }
    }

    /// The rest and the end mark come through `sink.chunk`. Idempotent.
    pub fn stop_recording(&mut self, handle: RecordingHandle, now: Time, sink: &mut dyn Sink) {
        let Some(recording) = self.recordings.remove(&handle) else {
            return;
        };
        for leg in recording.legs {
            if let Some(slot) = self.slots.get_mut(&leg) {
                slot.recordings.retain(|(held, _)| *held != handle);
            }
        }
        sink.chunk(handle, &recording.writer.finish(now));
    }

    /// Drop a recording whose file cannot be written any more.
    pub fn abandon_recording(&mut self, handle: RecordingHandle) {
        if let Some(recording) = self.recordings.remove(&handle) {
            for leg in recording.legs {
                if let Some(slot) = self.slots.get_mut(&leg) {
                    slot.recordings.retain(|(held, _)| *held != handle);
                }
            }
        }
    }
}

/// Put a received packet into a spool.
pub(super) fn record(
    writer: &mut SpoolWriter,
    side: Side,
    incoming: &Incoming,
    packet: &[u8],
    now: Time,
) {
    let record = PacketRecord {
        side,
        arrival_micros: writer.elapsed(now),
        ssrc: incoming.header.ssrc,
        timestamp: incoming.header.timestamp,
        sequence: incoming.header.sequence,
        payload_type: incoming.header.payload_type,
        payload: &packet[incoming.payload.clone()],
    };
    writer.push_packet(&record, now);
}
