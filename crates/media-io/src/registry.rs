//! Which thread each leg lives on, and which legs must live on one: pure bookkeeping.
//!
//! Legs that hear each other, or are recorded into one file, share a thread, so that no packet crosses a lock.

use std::collections::{BTreeMap, BTreeSet};

use media_core::ids::{LegId, RecordingHandle};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LegKind {
    Rtp,
    Stream,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    thread: usize,
    kind: LegKind,
}

#[derive(Debug, Clone, Copy)]
struct Recorded {
    left: LegId,
    right: LegId,
    /// Kept here too, since a recording outlives its legs.
    thread: usize,
}

impl Recorded {
    fn has(&self, leg: LegId) -> bool {
        self.left == leg || self.right == leg
    }
}

/// A set of legs that has to move, from where and to where, with what joins them.
#[derive(Debug, PartialEq, Eq)]
pub struct Move {
    pub legs: Vec<LegId>,
    pub bridges: Vec<(LegId, LegId)>,
    pub recordings: Vec<RecordingHandle>,
    pub from: usize,
    pub to: usize,
}

#[derive(Debug, Default)]
pub struct Registry {
    legs: BTreeMap<LegId, Entry>,
    bridges: BTreeMap<LegId, LegId>,
    recordings: BTreeMap<RecordingHandle, Recorded>,
    last_id: u64,
}

impl Registry {
    /// Legs, playbacks and recordings are numbered from one counter, so none is taken for another.
    pub fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// The thread with the fewest legs.
    pub fn least_loaded(&self, threads: usize) -> usize {
        let mut loads = vec![0_usize; threads];
        for entry in self.legs.values() {
            loads[entry.thread] += 1;
        }
        (0..threads)
            .min_by_key(|thread| loads[*thread])
            .unwrap_or(0)
    }

    pub fn add(&mut self, leg: LegId, kind: LegKind, thread: usize) {
        self.legs.insert(leg, Entry { thread, kind });
    }

    /// The leg's thread, once: it is forgotten here.
    pub fn remove(&mut self, leg: LegId) -> Option<usize> {
        self.separate(leg);
        self.legs.remove(&leg).map(|entry| entry.thread)
    }

    pub fn thread_of(&self, leg: LegId) -> Option<usize> {
        self.legs.get(&leg).map(|entry| entry.thread)
    }

    pub fn join(&mut self, a: LegId, b: LegId) {
        self.separate(a);
        self.separate(b);
        self.bridges.insert(a, b);
        self.bridges.insert(b, a);
    }

    pub fn separate(&mut self, leg: LegId) {
        if let Some(other) = self.bridges.remove(&leg) {
            self.bridges.remove(&other);
        }
    }

    pub fn add_recording(&mut self, recording: RecordingHandle, left: LegId, right: LegId) {
        if let Some(thread) = self.thread_of(left) {
            self.recordings.insert(
                recording,
                Recorded {
                    left,
                    right,
                    thread,
                },
            );
        }
    }

    /// The thread that writes it, once: the recording is forgotten here.
    pub fn remove_recording(&mut self, recording: RecordingHandle) -> Option<usize> {
        self.recordings
            .remove(&recording)
            .map(|recorded| recorded.thread)
    }

    pub fn recordings(&self) -> Vec<RecordingHandle> {
        self.recordings.keys().copied().collect()
    }

    /// What must move so that `a` and `b` share a thread: the smaller company, and rather one that is not recorded.
    pub fn bring_together(&self, a: LegId, b: LegId) -> Option<Move> {
        let (home_a, home_b) = (self.thread_of(a)?, self.thread_of(b)?);
        if home_a == home_b {
            return None;
        }
        let (move_a, move_b) = (
            self.moving(a, home_a, home_b),
            self.moving(b, home_b, home_a),
        );
        let cost = |one: &Move| (one.recordings.len(), one.legs.len());
        Some(if cost(&move_b) <= cost(&move_a) {
            move_b
        } else {
            move_a
        })
    }

    fn moving(&self, leg: LegId, from: usize, to: usize) -> Move {
        let legs = self.company(leg);
        let inside = |one: &LegId| legs.contains(one);
        let bridges = self.bridges.iter().map(|(one, other)| (*one, *other));
        let bridges = bridges
            .filter(|(one, other)| one <= other && inside(one))
            .collect();
        let recordings = self.recordings.iter();
        let recordings = recordings.filter(|(_, both)| inside(&both.left) || inside(&both.right));
        let recordings = recordings.map(|(handle, _)| *handle).collect();
        Move {
            legs,
            bridges,
            recordings,
            from,
            to,
        }
    }

    pub fn moved(&mut self, legs: &[LegId], to: usize) {
        for leg in legs {
            if let Some(entry) = self.legs.get_mut(leg) {
                entry.thread = to;
            }
            for recorded in self
                .recordings
                .values_mut()
                .filter(|recorded| recorded.has(*leg))
            {
                recorded.thread = to;
            }
        }
    }

    pub fn leg_count(&self) -> usize {
        self.legs.len()
    }

    pub fn rtp_count(&self) -> usize {
        self.legs
            .values()
            .filter(|entry| entry.kind == LegKind::Rtp)
            .count()
    }

    pub fn recording_count(&self) -> usize {
        self.recordings.len()
    }

    /// Everyone who must be on one thread with `leg`.
    fn company(&self, leg: LegId) -> Vec<LegId> {
        let mut found = BTreeSet::from([leg]);
        let mut open = vec![leg];
        while let Some(one) = open.pop() {
            let recorded = self
                .recordings
                .values()
                .filter(|recorded| recorded.has(one));
            let others = recorded
                .flat_map(|both| [both.left, both.right])
                .chain(self.bridges.get(&one).copied());
            for other in others {
                if self.legs.contains_key(&other) && found.insert(other) {
                    open.push(other);
                }
            }
        }
        found.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: LegId = LegId(1);
    const B: LegId = LegId(2);
    const C: LegId = LegId(3);
    const D: LegId = LegId(4);

    fn four_legs_on_two_threads() -> Registry {
        let mut registry = Registry::default();
        for leg in [A, B, C, D] {
            let thread = registry.least_loaded(2);
            registry.add(leg, LegKind::Rtp, thread);
        }
        registry
    }

    #[test]
    fn legs_go_to_the_least_loaded_thread() {
        let mut registry = four_legs_on_two_threads();
        assert_eq!(
            [A, B, C, D].map(|leg| registry.thread_of(leg).unwrap()),
            [0, 1, 0, 1]
        );
        registry.remove(B);
        assert_eq!(registry.least_loaded(2), 1);
    }

    #[test]
    fn legs_on_one_thread_stay() {
        assert_eq!(four_legs_on_two_threads().bring_together(A, C), None);
    }

    #[test]
    fn the_smaller_company_moves() {
        let mut registry = four_legs_on_two_threads();
        registry.join(A, C);
        let moving = registry.bring_together(A, B).unwrap();
        let alone = Move {
            legs: vec![B],
            bridges: vec![],
            recordings: vec![],
            from: 1,
            to: 0,
        };
        assert_eq!(moving, alone);
        registry.moved(&moving.legs, moving.to);
        assert_eq!(registry.bring_together(A, B), None);
    }

    #[test]
    fn what_is_recorded_stays_where_it_can() {
        let mut registry = four_legs_on_two_threads();
        registry.add_recording(RecordingHandle(9), B, B);
        registry.join(A, C);
        let moving = registry.bring_together(A, B).unwrap();
        assert_eq!((&moving.legs[..], moving.to), (&[A, C][..], 1));
        assert_eq!(moving.bridges, [(A, C)]);
    }

    #[test]
    fn a_recording_moves_with_its_legs_and_outlives_them() {
        let mut registry = four_legs_on_two_threads();
        registry.add_recording(RecordingHandle(9), B, D);
        registry.add_recording(RecordingHandle(10), A, C);
        let moving = registry.bring_together(A, B).unwrap();
        assert_eq!(
            (&moving.legs[..], &moving.recordings[..]),
            (&[B, D][..], &[RecordingHandle(9)][..])
        );
        registry.moved(&moving.legs, moving.to);
        assert_eq!(registry.bring_together(A, D), None);
        registry.remove(B);
        assert_eq!(registry.remove_recording(RecordingHandle(9)), Some(0));
        assert_eq!(registry.remove_recording(RecordingHandle(9)), None);
    }

    #[test]
    fn a_new_partner_replaces_the_old() {
        let mut registry = four_legs_on_two_threads();
        registry.join(A, B);
        registry.join(A, D);
        assert_eq!(registry.company(B), [B]);
        assert_eq!(registry.company(D), [A, D]);
        registry.remove(D);
        assert_eq!(registry.company(A), [A]);
    }

    #[test]
    fn an_echo_is_company_for_nobody() {
        let mut registry = four_legs_on_two_threads();
        registry.join(A, A);
        assert_eq!(registry.company(A), [A]);
        registry.separate(A);
        assert_eq!(registry.company(A), [A]);
    }
}
