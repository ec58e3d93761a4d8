//! Time as an argument: microseconds since an origin that the caller chose.

use core::ops::Add;
use core::time::Duration;

/// A moment in microseconds since the caller's origin. The core never reads a clock.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Time(u64);

impl Time {
    pub const ZERO: Time = Time(0);

    #[must_use]
    pub const fn from_micros(micros: u64) -> Self {
        Time(micros)
    }

    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Time(millis * 1_000)
    }

    #[must_use]
    pub const fn micros(self) -> u64 {
        self.0
    }

    /// Microseconds from `earlier` to `self`; 0 when `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Time) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    #[must_use]
    pub const fn plus_millis(self, millis: u64) -> Self {
        Time(self.0.saturating_add(millis * 1_000))
    }

    #[must_use]
    pub const fn plus_micros(self, micros: u64) -> Self {
        Time(self.0.saturating_add(micros))
    }

    #[must_use]
    pub const fn minus_micros(self, micros: u64) -> Self {
        Time(self.0.saturating_sub(micros))
    }
}

impl Add<Duration> for Time {
    type Output = Time;

    fn add(self, rhs: Duration) -> Time {
        Time(
            self.0
                .saturating_add(u64::try_from(rhs.as_micros()).unwrap_or(u64::MAX)),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_never_underflow() {
        let early = Time::from_millis(1);
        let late = early.plus_millis(2);
        assert_eq!(late.since(early), 2_000);
        assert_eq!(early.since(late), 0);
        assert_eq!(early + Duration::from_micros(5), Time::from_micros(1_005));
    }
}
