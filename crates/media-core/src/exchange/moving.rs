//! Moving legs from one thread's exchange to another's: the legs of a bridge must share one.
//!
//! The legs of a recording share one as well, so a leg that is being recorded takes its recordings along, and these
//! take their other leg: what moves is a group. Bridges inside the group stay; others are dissolved.

use std::cmp::Reverse;

use super::{Exchange, Recording, Slot, Timer};
use crate::ids::{LegId, RecordingHandle};
use crate::time::Time;

/// Legs and recordings on their way to another thread. Both threads must use the same origin of `Time`.
pub struct Parked {
    legs: Vec<(LegId, Slot)>,
    recordings: Vec<(RecordingHandle, Recording)>,
}

impl Parked {
    /// All legs that move.
    pub fn legs(&self) -> impl Iterator<Item = LegId> + '_ {
        self.legs.iter().map(|(id, _)| *id)
    }

    /// All recordings that move with them.
    pub fn recordings(&self) -> impl Iterator<Item = RecordingHandle> + '_ {
        self.recordings.iter().map(|(handle, _)| *handle)
    }
}

impl Exchange {
    /// What `take` of this leg would move, the leg itself first; empty when there is none.
    #[must_use]
    pub fn group(&self, leg: LegId) -> Vec<LegId> {
        let mut group: Vec<LegId> = self
            .slots
            .contains_key(&leg)
            .then_some(leg)
            .into_iter()
            .collect();
        let mut at = 0;
        while let Some(slot) = group.get(at).and_then(|id| self.slots.get(id)) {
            let recordings = slot
                .recordings
                .iter()
                .filter_map(|(handle, _)| self.recordings.get(handle));
            for other in recordings.flat_map(|recording| recording.legs) {
                if !group.contains(&other) && self.slots.contains_key(&other) {
                    group.push(other);
                }
            }
            at += 1;
        }
        group
    }

    /// Take a leg away with all that is tied to it by recordings, to `put` it into another thread's exchange. None when
    /// there is no such leg.
    pub fn take(&mut self, leg: LegId, now: Time) -> Option<Parked> {
        let group = self.group(leg);
        if group.is_empty() {
            return None;
        }
        for id in &group {
            let partner = self.slots.get(id).and_then(|slot| slot.partner);
            if partner.is_some_and(|partner| !group.contains(&partner)) {
                self.part(*id, now);
            }
        }
        let mut parked = Parked {
            legs: Vec::new(),
            recordings: Vec::new(),
        };
        for id in group {
            let Some(slot) = self.slots.remove(&id) else {
                continue;
            };
            for (handle, _) in &slot.recordings {
                parked
                    .recordings
                    .extend(self.recordings.remove_entry(handle));
            }
            parked.legs.push((id, slot));
        }
        Some(parked)
    }

    /// Accept what another thread's exchange gave away.
    pub fn put(&mut self, parked: Parked, now: Time) {
        for (handle, recording) in parked.recordings {
            self.recordings.insert(handle, recording);
            self.timers.push(Reverse((now, Timer::Recording(handle))));
        }
        let ids: Vec<LegId> = parked.legs.iter().map(|(id, _)| *id).collect();
        for (id, mut slot) in parked.legs {
            slot.scheduled = None;
            self.slots.insert(id, slot);
        }
        for id in ids {
            self.update_clock(id, now);
        }
    }
}
