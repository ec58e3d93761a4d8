//! Events on their way to the program: the media threads push, one reader drains when the bell rings.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::wake::Bell;

/// A reader that is away for seconds at hundreds of calls stays far below it.
const MAX_WAITING: usize = 65_536;

/// Rings when the first event comes into an empty queue. Beyond the bound the newest is lost and counted: the ones
/// that wait tell the story up to there, in order.
#[derive(Debug)]
pub struct EventQueue<E> {
    events: Mutex<VecDeque<E>>,
    bell: Bell,
    lost: AtomicU64,
}

impl<E> EventQueue<E> {
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            events: Mutex::default(),
            bell: Bell::new()?,
            lost: AtomicU64::new(0),
        })
    }

    pub fn push(&self, event: E) {
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        if events.len() >= MAX_WAITING {
            self.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        events.push_back(event);
        if events.len() == 1 {
            self.bell.ring();
        }
    }

    pub fn drain(&self) -> Vec<E> {
        self.bell.answer();
        self.events
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .drain(..)
            .collect()
    }

    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

impl<E> AsFd for EventQueue<E> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wake::sleep;
    use std::time::{Duration, Instant};

    fn is_readable(queue: &EventQueue<u32>) -> bool {
        let before = Instant::now();
        sleep(queue, Some(Duration::from_millis(50)));
        before.elapsed() < Duration::from_millis(40)
    }

    #[test]
    fn readable_while_something_waits() {
        let queue = EventQueue::new().unwrap();
        assert!(!is_readable(&queue));
        queue.push(1);
        queue.push(2);
        assert!(is_readable(&queue));
        assert_eq!(queue.drain(), [1, 2]);
        assert!(!is_readable(&queue));
        queue.push(3);
        assert!(is_readable(&queue));
    }

    #[test]
    fn bounded_and_counted() {
        let queue = EventQueue::new().unwrap();
        for number in 0..MAX_WAITING as u32 + 3 {
            queue.push(number);
        }
        assert_eq!(queue.lost(), 3);
        assert_eq!(queue.drain().len(), MAX_WAITING);
    }
}
