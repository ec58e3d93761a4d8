//! The guarded latch of symmetric RTP: whose packets a leg believes.
//!
//! ```text
//!              from:   signalled      allowed       same host,     anybody else   authentic
//!                      address        address       other port                    (SRTP)
//!   open               latch          latch         -              drop           latch
//!   latched            (current:      drop          latch after    drop           latch
//!                       accept)                     2 s silence
//! ```
//! *Allowed*: the host of the signalled address, and the hosts that the negotiation named besides (where the phone's
//! signalling came from). After those 2 s the shell is told to stop filtering by address, so that it sees the new port;
//! the next packet that is believed latches again, also when it comes from the old one. A latched address itself is always accepted. New settings with another remote open the latch.

use std::net::{IpAddr, SocketAddr};

use crate::time::Time;

/// A phone that moved to another port of its host (a NAT re-bound it) is followed after so long without a packet.
const REBIND_AFTER_MICROS: u64 = 2_000_000;

/// What to do with a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    Accept,
    /// Accept, and send there from now on.
    Latch,
    Drop,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum From {
    Current,
    Signalled,
    Allowed,
    SameHost,
    Stranger,
}

/// The latch of one leg.
#[derive(Clone, Debug, Default)]
pub struct Latch {
    signalled: Option<SocketAddr>,
    allowed: Vec<IpAddr>,
    current: Option<(SocketAddr, Time)>,
    /// The shell was told that the peer has gone quiet, so it listens to all again.
    loose: bool,
}

impl Latch {
    /// Apply a negotiation; true when it opened a closed latch.
    pub fn configure(&mut self, signalled: Option<SocketAddr>, allowed: &[IpAddr]) -> bool {
        let changed = self.signalled != signalled;
        self.loose &= !changed;
        self.signalled = signalled;
        self.allowed = allowed.to_vec();
        changed && self.current.take().is_some()
    }

    /// Where packets go: where they come from, or where the peer said.
    #[must_use]
    pub fn remote(&self) -> Option<SocketAddr> {
        self.current.map(|(address, _)| address).or(self.signalled)
    }

    #[must_use]
    pub fn latched(&self) -> Option<SocketAddr> {
        self.current.map(|(address, _)| address)
    }

    /// When a latched peer will have been quiet long enough to look for it elsewhere.
    #[must_use]
    pub fn quiet_at(&self) -> Option<Time> {
        let (_, last) = self.current.filter(|_| !self.loose)?;
        Some(last.plus_micros(REBIND_AFTER_MICROS))
    }

    /// Call at `quiet_at`: true when the shell must stop filtering by address. The next accepted packet latches again.
    pub fn loosen(&mut self, now: Time) -> bool {
        let due = self.quiet_at().is_some_and(|due| due <= now);
        self.loose |= due;
        due
    }

    /// Judge a packet from `from`; `authentic` when SRTP proved that the peer sent it.
    pub fn judge(&mut self, from: SocketAddr, authentic: bool, now: Time) -> Verdict {
        let quiet = self
            .current
            .is_some_and(|(_, last)| now.since(last) >= REBIND_AFTER_MICROS);
        let verdict = match (self.current.is_some(), self.classify(from)) {
            (_, From::Current) if self.loose => Verdict::Latch,
            (_, From::Current) => Verdict::Accept,
            (_, _) if authentic => Verdict::Latch,
            (false, From::Signalled | From::Allowed) => Verdict::Latch,
            (true, From::SameHost) if quiet => Verdict::Latch,
            (_, _) => Verdict::Drop,
        };
        if verdict != Verdict::Drop {
            self.current = Some((from, now));
            self.loose = false;
        }
        verdict
    }

    /// Whether a control packet from `host` may be believed.
    #[must_use]
    pub fn trusts_host(&self, host: IpAddr) -> bool {
        match self.current {
            Some((address, _)) => address.ip() == host,
            None => self.is_allowed(host),
        }
    }

    fn is_allowed(&self, host: IpAddr) -> bool {
        self.signalled.is_some_and(|address| address.ip() == host) || self.allowed.contains(&host)
    }

    fn classify(&self, from: SocketAddr) -> From {
        if let Some((current, _)) = self.current {
            if current == from {
                return From::Current;
            }
            if current.ip() == from.ip() {
                return From::SameHost;
            }
        }
        if self.signalled == Some(from) {
            From::Signalled
        } else if self.is_allowed(from.ip()) {
            From::Allowed
        } else {
            From::Stranger
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    const SIGNALLED: &str = "10.0.0.5:4000";
    const NAT: &str = "203.0.113.9:61000";
    const STRANGER: &str = "198.51.100.66:4000";

    fn open() -> Latch {
        let mut latch = Latch::default();
        latch.configure(Some(at(SIGNALLED)), &[at(NAT).ip()]);
        latch
    }

    #[test]
    fn open_accepts_signalled_and_allowed_only() {
        for (from, authentic, expected) in [
            (SIGNALLED, false, Verdict::Latch),
            ("10.0.0.5:4002", false, Verdict::Latch),
            (NAT, false, Verdict::Latch),
            (STRANGER, false, Verdict::Drop),
            (STRANGER, true, Verdict::Latch),
        ] {
            let mut latch = open();
            assert_eq!(latch.remote(), Some(at(SIGNALLED)));
            assert_eq!(
                latch.judge(at(from), authentic, Time::ZERO),
                expected,
                "{from}"
            );
            let expected_remote = if expected == Verdict::Drop {
                SIGNALLED
            } else {
                from
            };
            assert_eq!(latch.remote(), Some(at(expected_remote)));
        }
    }

    #[test]
    fn latched_drops_everybody_else() {
        let now = Time::from_millis(1_999);
        for (from, authentic, expected) in [
            (NAT, false, Verdict::Accept),
            (SIGNALLED, false, Verdict::Drop),
            ("203.0.113.9:61002", false, Verdict::Drop),
            (STRANGER, false, Verdict::Drop),
            (STRANGER, true, Verdict::Latch),
        ] {
            let mut latch = open();
            latch.judge(at(NAT), false, Time::ZERO);
            assert_eq!(latch.judge(at(from), authentic, now), expected, "{from}");
        }
    }

    #[test]
    fn same_host_rebinds_after_silence() {
        let mut latch = open();
        latch.judge(at(NAT), false, Time::ZERO);
        let moved = at("203.0.113.9:61002");
        let later = Time::from_millis(2_000);
        assert_eq!(latch.judge(at(STRANGER), false, later), Verdict::Drop);
        assert_eq!(latch.judge(at(SIGNALLED), false, later), Verdict::Drop);
        assert_eq!(latch.judge(moved, false, later), Verdict::Latch);
        assert_eq!(latch.latched(), Some(moved));
        assert_eq!(latch.judge(at(NAT), false, later), Verdict::Drop);
    }

    #[test]
    fn a_quiet_peer_is_announced_once_and_latches_again() {
        let mut latch = open();
        latch.judge(at(NAT), false, Time::ZERO);
        assert_eq!(latch.quiet_at(), Some(Time::from_millis(2_000)));
        assert!(!latch.loosen(Time::from_millis(1_999)));
        assert!(latch.loosen(Time::from_millis(2_000)));
        assert!(!latch.loosen(Time::from_millis(3_000)));
        let later = Time::from_millis(4_000);
        assert_eq!(latch.judge(at(STRANGER), false, later), Verdict::Drop);
        assert_eq!(latch.judge(at(NAT), false, later), Verdict::Latch);
        assert_eq!(latch.judge(at(NAT), false, later), Verdict::Accept);
    }

    #[test]
    fn new_settings_open_it_again() {
        let mut latch = open();
        latch.judge(at(NAT), false, Time::ZERO);
        assert!(
            !latch.configure(Some(at(SIGNALLED)), &[]),
            "the same remote keeps the latch"
        );
        assert_eq!(latch.latched(), Some(at(NAT)));
        let new = at("192.0.2.1:5000");
        assert!(latch.configure(Some(new), &[]));
        assert_eq!(latch.remote(), Some(new));
        assert_eq!(latch.judge(at(NAT), false, Time::ZERO), Verdict::Drop);
    }

    #[test]
    fn with_nothing_signalled_nobody_is_believed() {
        let mut latch = Latch::default();
        assert_eq!(latch.remote(), None);
        assert_eq!(latch.judge(at(STRANGER), false, Time::ZERO), Verdict::Drop);
        assert!(!latch.trusts_host(at(STRANGER).ip()));
    }
}
