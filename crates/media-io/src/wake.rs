//! Waking a thread that sleeps, and learning which sockets have something to read.

use std::io;
use std::mem::MaybeUninit;
use std::net::UdpSocket;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::event::{epoll, eventfd, poll, EventfdFlags, PollFd, PollFlags, Timespec};

/// The token of the bell among those of sockets.
const BELL: u64 = u64::MAX;
/// Sockets told of in one call; the rest comes with the next.
const AT_ONCE: usize = 256;

/// An eventfd: any thread rings it, one thread sleeps on it. Rings add up and are answered together.
#[derive(Debug)]
pub struct Bell {
    fd: OwnedFd,
}

impl Bell {
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            fd: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
        })
    }

    pub fn ring(&self) {
        // The only error is a full counter, and then the sleeper is awake already.
        let _ = rustix::io::write(&self.fd, &1_u64.to_ne_bytes());
    }

    pub fn answer(&self) {
        let mut count = [0_u8; 8];
        // Nothing to read means that nobody rang.
        let _ = rustix::io::read(&self.fd, &mut count);
    }
}

impl AsFd for Bell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Sleeps until `fd` is readable, at most for `limit`. Precise to the kernel's timer slack, unlike `epoll_wait`'s
/// whole milliseconds.
pub fn sleep(fd: &impl AsFd, limit: Option<Duration>) {
    let mut fds = [PollFd::new(fd, PollFlags::IN)];
    let limit = limit.map(|limit| Timespec {
        tv_sec: i64::try_from(limit.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(limit.subsec_nanos()),
    });
    // Interrupted by a signal: the caller looks at the clock anyhow.
    let _ = poll(&mut fds, limit.as_ref());
}

/// Which sockets are readable. Level-triggered: what is not read now shows again.
#[derive(Debug)]
pub struct Readiness {
    epoll: OwnedFd,
}

impl Readiness {
    pub fn new(bell: &Bell) -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        epoll::add(
            &epoll,
            bell,
            epoll::EventData::new_u64(BELL),
            epoll::EventFlags::IN,
        )?;
        Ok(Self { epoll })
    }

    pub fn add(&self, socket: &UdpSocket, token: u64) -> io::Result<()> {
        Ok(epoll::add(
            &self.epoll,
            socket,
            epoll::EventData::new_u64(token),
            epoll::EventFlags::IN,
        )?)
    }

    pub fn remove(&self, socket: &UdpSocket) {
        // Fails only where it was never added.
        let _ = epoll::delete(&self.epoll, socket);
    }

    /// Fills `ready` with the tokens of readable sockets, without waiting.
    pub fn collect(&self, ready: &mut Vec<u64>) {
        ready.clear();
        let mut space = [MaybeUninit::<epoll::Event>::uninit(); AT_ONCE];
        let now = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        if let Ok((events, _)) = epoll::wait(&self.epoll, &mut space, Some(&now)) {
            let tokens = events.iter().map(|event| event.data.u64());
            ready.extend(tokens.filter(|token| *token != BELL));
        }
    }
}

impl AsFd for Readiness {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn a_ring_ends_the_sleep_and_an_answer_silences_it() {
        let bell = Bell::new().unwrap();
        bell.ring();
        bell.ring();
        let before = Instant::now();
        sleep(&bell, Some(Duration::from_secs(5)));
        assert!(before.elapsed() < Duration::from_secs(1));
        bell.answer();
        let before = Instant::now();
        sleep(&bell, Some(Duration::from_millis(3)));
        assert!(before.elapsed() >= Duration::from_millis(3));
    }

    #[test]
    fn readable_sockets_show_until_they_are_read() {
        let bell = Bell::new().unwrap();
        let readiness = Readiness::new(&bell).unwrap();
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
        receiver.set_nonblocking(true).unwrap();
        readiness.add(&receiver, 7).unwrap();
        let mut ready = Vec::new();
        readiness.collect(&mut ready);
        assert_eq!(ready, []);
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        sender
            .send_to(b"x", receiver.local_addr().unwrap())
            .unwrap();
        sleep(&readiness, Some(Duration::from_secs(1)));
        for _ in 0..2 {
            readiness.collect(&mut ready);
            assert_eq!(ready, [7]);
        }
        receiver.recv(&mut [0; 4]).unwrap();
        readiness.collect(&mut ready);
        assert_eq!(ready, []);
        bell.ring();
        readiness.collect(&mut ready);
        assert_eq!(ready, [], "the bell wakes, it is no socket");
    }
}
