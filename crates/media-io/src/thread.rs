//! One media thread: its legs, its sockets, its clock.
//!
//! The thread wakes for packets, timers and jobs, then naps for `PERIOD` whatever comes, so that under load it handles
//! a batch per wake-up; while it is quiet it sleeps until the next packet or timer and answers that at once. The nap
//! is the latency that a relay adds at most (bar lateness).

use std::io::{self, ErrorKind};
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{bounded, Receiver, Sender};
use media_core::event::Channel;
use media_core::exchange::{Config, Exchange};
use media_core::ids::LegId;
use media_core::time::Time;

use crate::counters::Counter;
use crate::lateness::Lateness;
use crate::outbox::{LegSockets, Outbox};
use crate::wake::{sleep, Bell, Readiness};

/// Long enough for a batch, short enough for 3 ms of added latency at the 99th percentile, lateness included.
const PERIOD: Duration = Duration::from_micros(1_500);
/// Jobs that may wait: far more than a call's set-up asks for at any call rate that one thread carries.
const MAX_JOBS: usize = 8_192;
/// Read rounds before timers and jobs have their turn again.
const MAX_ROUNDS: usize = 16;
/// More than any Ethernet frame carries. A datagram that fills it is not RTP.
const BUFFER: usize = 2_048;
/// Nobody waits longer for a media thread; it is stuck then.
const PATIENCE: Duration = Duration::from_secs(2);

pub type Job = Box<dyn FnOnce(&mut Worker) + Send>;

/// The engine's clock: microseconds since it started.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    #[must_use]
    pub fn start() -> Self {
        Self {
            start: Instant::now(),
        }
    }

    #[must_use]
    pub fn now(&self) -> Time {
        Time::from_micros(u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX))
    }
}

/// The thread did not answer in time, or has ended.
#[derive(Debug, PartialEq, Eq)]
pub struct NoAnswer;

/// The other threads' handle on a media thread.
pub struct MediaThread {
    jobs: Sender<Job>,
    bell: Arc<Bell>,
    pub lateness: Arc<Lateness>,
    handle: Option<JoinHandle<()>>,
}

impl MediaThread {
    pub fn start(number: usize, clock: Clock, config: Config, outbox: Outbox) -> io::Result<Self> {
        let (jobs, inbox) = bounded(MAX_JOBS);
        let bell = Arc::new(Bell::new()?);
        let lateness = Arc::new(Lateness::default());
        let worker = Worker {
            clock,
            exchange: Exchange::new(config),
            outbox,
            readiness: Readiness::new(&bell)?,
            ready: Vec::with_capacity(256),
            buffer: Box::new([0; BUFFER]),
            running: true,
        };
        let handle = {
            let (bell, lateness) = (Arc::clone(&bell), Arc::clone(&lateness));
            std::thread::Builder::new()
                .name(format!("sent-media-{number}"))
                .spawn(move || worker.run(&inbox, &bell, &lateness))?
        };
        Ok(Self {
            jobs,
            bell,
            lateness,
            handle: Some(handle),
        })
    }

    /// Have `job` done; what it returns is lost.
    pub fn cast(&self, job: impl FnOnce(&mut Worker) + Send + 'static) -> Result<(), NoAnswer> {
        self.jobs
            .send_timeout(Box::new(job), PATIENCE)
            .map_err(|_| NoAnswer)?;
        self.bell.ring();
        Ok(())
    }

    /// Have `job` done and wait for what it returns: some tens of microseconds, unless the machine is overloaded.
    pub fn call<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Worker) -> T + Send + 'static,
    ) -> Result<T, NoAnswer> {
        let (reply, answer) = bounded(1);
        self.cast(move |worker| {
            // Who gave up waiting needs no answer.
            let _ = reply.send(job(worker));
        })?;
        answer.recv_timeout(PATIENCE).map_err(|_| NoAnswer)
    }

    /// Drops all legs of the thread with their sockets.
    pub fn shut_down(&mut self) {
        // A thread that does not take the job has ended already.
        let _ = self.cast(|worker| worker.running = false);
        if let Some(handle) = self.handle.take() {
            // A panic in it has been printed where it happened.
            let _ = handle.join();
        }
    }
}

/// What a job works on.
pub struct Worker {
    pub clock: Clock,
    pub exchange: Exchange,
    pub outbox: Outbox,
    readiness: Readiness,
    ready: Vec<u64>,
    buffer: Box<[u8; BUFFER]>,
    running: bool,
}

impl Worker {
    pub fn attach(&mut self, leg: LegId, sockets: LegSockets) -> io::Result<()> {
        for channel in [Channel::Rtp, Channel::Rtcp] {
            self.readiness
                .add(sockets.socket(channel), token(leg, channel))?;
        }
        self.outbox.sockets.insert(leg, sockets);
        Ok(())
    }

    pub fn detach(&mut self, leg: LegId) -> Option<LegSockets> {
        let sockets = self.outbox.sockets.remove(&leg)?;
        for channel in [Channel::Rtp, Channel::Rtcp] {
            self.readiness.remove(sockets.socket(channel));
        }
        Some(sockets)
    }

    fn run(mut self, jobs: &Receiver<Job>, bell: &Bell, lateness: &Lateness) {
        prefer_this_thread();
        while self.running {
            let woken = Instant::now();
            bell.answer();
            // A bug that one packet or job brings out must not end the other calls of this thread.
            if catch_unwind(AssertUnwindSafe(|| self.turn(jobs))).is_err() {
                self.outbox.counters.add(Counter::Panics);
            }
            if self.running {
                self.rest(woken + PERIOD, bell, lateness);
            }
        }
    }

    /// All that is due now: jobs, packets, timers.
    fn turn(&mut self, jobs: &Receiver<Job>) {
        self.outbox.counters.add(Counter::Wakeups);
        while let Ok(job) = jobs.try_recv() {
            job(self);
        }
        self.receive_all();
        let now = self.clock.now();
        if self.exchange.next_timer().is_some_and(|due| due <= now) {
            self.exchange.handle_timer(now, &mut self.outbox);
        }
    }

    /// The nap, then sleep until there is something to do.
    fn rest(&self, until: Instant, bell: &Bell, lateness: &Lateness) {
        let nap = until.saturating_duration_since(Instant::now());
        if !nap.is_zero() {
            sleep(bell, Some(nap));
            self.note_lateness(until, lateness);
        }
        let due = self
            .exchange
            .next_timer()
            .map(|due| self.clock.start + Duration::from_micros(due.micros()));
        let limit = due.map(|due| due.saturating_duration_since(Instant::now()));
        if limit.is_none_or(|limit| !limit.is_zero()) {
            sleep(&self.readiness, limit);
            if let Some(due) = due {
                self.note_lateness(due, lateness);
            }
        }
    }

    /// Counts only a wake-up by the clock; one by a packet or a job comes before its time.
    fn note_lateness(&self, wanted: Instant, lateness: &Lateness) {
        if let Some(late) = Instant::now().checked_duration_since(wanted) {
            let late = u64::try_from(late.as_micros()).unwrap_or(u64::MAX);
            lateness.record(self.clock.now().micros(), late);
        }
    }

    fn receive_all(&mut self) {
        for _ in 0..MAX_ROUNDS {
            let mut ready = std::mem::take(&mut self.ready);
            self.readiness.collect(&mut ready);
            let now = self.clock.now();
            for token in &ready {
                self.receive_one(*token, now);
            }
            let quiet = ready.is_empty();
            self.ready = ready;
            if quiet {
                return;
            }
        }
    }

    fn receive_one(&mut self, token: u64, now: Time) {
        let (leg, channel) = (
            LegId(token >> 1),
            if token & 1 == 0 {
                Channel::Rtp
            } else {
                Channel::Rtcp
            },
        );
        let Some(sockets) = self.outbox.sockets.get(&leg) else {
            return;
        };
        match sockets.socket(channel).recv_from(&mut self.buffer[..]) {
            Ok((length, _)) if length == BUFFER => self.outbox.counters.add(Counter::Oversized),
            Ok((length, from)) => {
                self.outbox.counters.add(Counter::Received);
                self.exchange.receive(
                    leg,
                    channel,
                    &mut self.buffer[..length],
                    from,
                    now,
                    &mut self.outbox,
                );
            }
            // An ICMP error is collected by reading it; there is nothing else to read.
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
                self.outbox.counters.add(Counter::SendRefused);
            }
            Err(_) => {}
        }
    }
}

fn token(leg: LegId, channel: Channel) -> u64 {
    leg.0 << 1 | u64::from(channel == Channel::Rtcp)
}

/// Before other work where the system permits it. It needs no permission to run without.
fn prefer_this_thread() {
    let _ = rustix::process::setpriority_process(Some(rustix::thread::gettid()), -11);
    if let Some(slack) = std::num::NonZeroU64::new(10_000) {
        let _ = rustix::thread::set_current_timer_slack(Some(slack));
    }
}
