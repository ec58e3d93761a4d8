//! How late a media thread wakes: a histogram over the last ten seconds.
//!
//! A thread that wakes late delays every packet that it carries, whatever the cause (load, a busy host, a debugger), so
//! this one figure says whether the machine keeps up.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Upper bounds in µs; the last bucket is open.
const BOUNDS: [u64; 15] = [
    50, 100, 200, 300, 500, 750, 1_000, 1_500, 2_000, 3_000, 5_000, 10_000, 20_000, 50_000, 100_000,
];
const BUCKETS: usize = BOUNDS.len() + 1;
const SECONDS: usize = 10;

#[derive(Debug, Default)]
struct Second {
    number: AtomicU64,
    buckets: [AtomicU32; BUCKETS],
    max: AtomicU64,
}

/// Written by one thread, read by any. A reader may see a second half-cleared, which costs a metric's exactness and
/// saves a lock in the media thread.
#[derive(Debug, Default)]
pub struct Lateness {
    seconds: [Second; SECONDS + 1],
}

#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct LatenessSummary {
    pub p50_ms: f64,
    pub p99_ms: f64,
    pub max_ms: f64,
}

impl Lateness {
    /// `now_us`: since the engine started. `late_us`: after the moment that was asked for.
    pub fn record(&self, now_us: u64, late_us: u64) {
        let number = now_us / 1_000_000 + 1;
        let second = &self.seconds[(number % self.seconds.len() as u64) as usize];
        if second.number.load(Ordering::Relaxed) != number {
            for bucket in &second.buckets {
                bucket.store(0, Ordering::Relaxed);
            }
            second.max.store(0, Ordering::Relaxed);
            second.number.store(number, Ordering::Relaxed);
        }
        let bucket = BOUNDS.partition_point(|bound| *bound < late_us);
        second.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        second.max.fetch_max(late_us, Ordering::Relaxed);
    }

    /// Over all threads together: the worst thread shows in `max`, the usual one in `p50`.
    pub fn summary<'a>(all: impl Iterator<Item = &'a Self>, now_us: u64) -> LatenessSummary {
        let newest = now_us / 1_000_000 + 1;
        let mut counts = [0_u64; BUCKETS];
        let mut max = 0;
        for second in all.flat_map(|one| &one.seconds) {
            let number = second.number.load(Ordering::Relaxed);
            if number == 0 || number + SECONDS as u64 <= newest {
                continue;
            }
            for (count, bucket) in counts.iter_mut().zip(&second.buckets) {
                *count += u64::from(bucket.load(Ordering::Relaxed));
            }
            max = max.max(second.max.load(Ordering::Relaxed));
        }
        LatenessSummary {
            p50_ms: quantile(&counts, 0.50, max),
            p99_ms: quantile(&counts, 0.99, max),
            max_ms: max as f64 / 1000.0,
        }
    }
}

/// The upper bound of the bucket that holds the quantile: never better than the truth.
fn quantile(counts: &[u64; BUCKETS], share: f64, max_us: u64) -> f64 {
    let total: u64 = counts.iter().sum();
    if total == 0 {
        return 0.0;
    }
    let wanted = (total as f64 * share).ceil() as u64;
    let mut seen = 0;
    for (index, count) in counts.iter().enumerate() {
        seen += count;
        if seen >= wanted {
            return BOUNDS
                .get(index)
                .map_or(max_us, |bound| (*bound).min(max_us)) as f64
                / 1000.0;
        }
    }
    max_us as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_the_upper_bounds_of_their_buckets() {
        let late = Lateness::default();
        for _ in 0..98 {
            late.record(1_000, 40);
        }
        late.record(1_000, 900);
        late.record(1_000, 7_500);
        let summary = Lateness::summary([&late].into_iter(), 2_000);
        assert_eq!(
            summary,
            LatenessSummary {
                p50_ms: 0.05,
                p99_ms: 1.0,
                max_ms: 7.5
            }
        );
    }

    #[test]
    fn forgets_after_ten_seconds() {
        let late = Lateness::default();
        late.record(500_000, 60_000);
        assert_eq!(
            Lateness::summary([&late].into_iter(), 9_500_000).max_ms,
            60.0
        );
        assert_eq!(
            Lateness::summary([&late].into_iter(), 10_500_000),
            LatenessSummary::default()
        );
        late.record(11_500_000, 10);
        assert_eq!(
            Lateness::summary([&late].into_iter(), 11_500_000).max_ms,
            0.01
        );
    }

    #[test]
    fn threads_are_summed() {
        let (one, two) = (Lateness::default(), Lateness::default());
        one.record(0, 10);
        two.record(0, 4_000);
        let summary = Lateness::summary([&one, &two].into_iter(), 0);
        assert_eq!((summary.p50_ms, summary.max_ms), (0.05, 4.0));
    }
}
