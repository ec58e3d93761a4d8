//! What happened on the media threads that is nobody's event; for metrics.

use std::sync::atomic::{AtomicU64, Ordering};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counter {
    /// Datagrams that came in, on all sockets.
    Received,
    /// The far host said that nothing listens there (ICMP); the packet after it is sent all the same.
    SendRefused,
    /// The kernel took a packet not: no route, no buffer, not permitted.
    SendFailed,
    /// Datagrams too long to be RTP over any usual network; dropped unread.
    Oversized,
    Wakeups,
    /// Bugs that were survived; each has printed where it happened.
    Panics,
}

const ALL: [(Counter, &str); 6] = [
    (Counter::Received, "received"),
    (Counter::SendRefused, "send_refused"),
    (Counter::SendFailed, "send_failed"),
    (Counter::Oversized, "oversized"),
    (Counter::Wakeups, "wakeups"),
    (Counter::Panics, "panics"),
];

/// One set per thread, so that counting shares no cache line between them.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct Counters {
    values: [AtomicU64; ALL.len()],
}

impl Counters {
    pub fn add(&self, counter: Counter) {
        self.add_many(counter, 1);
    }

    pub fn add_many(&self, counter: Counter, count: u64) {
        self.values[counter as usize].fetch_add(count, Ordering::Relaxed);
    }

    /// The sums over all threads, by name.
    pub fn sum<'a>(all: impl Iterator<Item = &'a Self> + Clone) -> Vec<(&'static str, u64)> {
        ALL.iter()
            .map(|(counter, name)| {
                let values = all
                    .clone()
                    .map(|one| one.values[*counter as usize].load(Ordering::Relaxed));
                (*name, values.sum())
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_counter_has_its_name_and_its_sum() {
        let (one, two) = (Counters::default(), Counters::default());
        one.add(Counter::SendFailed);
        two.add_many(Counter::SendFailed, 2);
        two.add(Counter::Wakeups);
        let sums = Counters::sum([&one, &two].into_iter());
        assert!(sums.contains(&("send_failed", 3)));
        assert!(sums.contains(&("wakeups", 1)));
        assert!(sums.contains(&("received", 0)));
        for (index, (counter, _)) in ALL.iter().enumerate() {
            assert_eq!(*counter as usize, index);
        }
    }
}
