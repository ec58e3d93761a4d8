//! The leg whose audio goes to and comes from Python, beside its shared buffer.

use super::recording::STREAM_PAYLOAD_TYPE;
use crate::event::{Event, Sink};
use crate::ids::{LegId, Ssrc};
use crate::resample::Resampler;
use crate::spool::{PacketRecord, Side, SpoolWriter};
use crate::stream_buffer::StreamHandle;
use crate::time::Time;

/// See the module.
pub(super) struct StreamLeg {
    pub(super) buffer: StreamHandle,
    ssrc: Ssrc,
    sequence: u16,
    timestamp: u32,
    /// For frames whose rate is not the stream's.
    resampler: Option<(u32, Resampler)>,
}

impl StreamLeg {
    pub(super) fn new(buffer: StreamHandle, ssrc: Ssrc) -> Self {
        Self {
            buffer,
            ssrc,
            sequence: 0,
            timestamp: 0,
            resampler: None,
        }
    }

    /// The next 20 ms that the owner wrote; silence where there is none.
    pub(super) fn speak(&mut self, leg: LegId, frame: &mut Vec<i16>, sink: &mut dyn Sink) -> u32 {
        let (rate, reached) = {
            let mut buffer = self.buffer.lock();
            let rate = buffer.rate();
            frame.clear();
            frame.resize(rate as usize / 50, 0);
            buffer.take(frame);
            (rate, buffer.reached())
        };
        for name in reached {
            sink.event(Event::MarkReached { leg, name });
        }
        rate
    }

    /// Give 20 ms to the owner.
    pub(super) fn hear(&mut self, leg: LegId, frame: &[i16], rate: u32, sink: &mut dyn Sink) {
        let own = self.buffer.rate();
        let tell = if own == rate {
            self.buffer.lock().hear(frame)
        } else {
            if self
                .resampler
                .as_ref()
                .is_none_or(|(from, _)| *from != rate)
            {
                self.resampler = Some((rate, Resampler::new(rate, own)));
            }
            let mut converted = Vec::with_capacity(own as usize / 50 + 1);
            if let Some((_, resampler)) = &mut self.resampler {
                resampler.process(frame, &mut converted);
            }
            self.buffer.lock().hear(&converted)
        };
        if tell {
            sink.event(Event::StreamReadable { leg });
        }
    }

    pub(super) fn record(&self, writer: &mut SpoolWriter, side: Side, frame: &[i16], now: Time) {
        let payload: Vec<u8> = frame
            .iter()
            .flat_map(|sample| sample.to_be_bytes())
            .collect();
        let record = PacketRecord {
            side,
            arrival_micros: writer.elapsed(now),
            ssrc: self.ssrc,
            timestamp: self.timestamp,
            sequence: self.sequence,
            payload_type: STREAM_PAYLOAD_TYPE,
            payload: &payload,
        };
        writer.push_packet(&record, now);
    }

    pub(super) fn advance(&mut self, samples: usize) {
        self.sequence = self.sequence.wrapping_add(1);
        self.timestamp = self.timestamp.wrapping_add(samples as u32);
    }
}
