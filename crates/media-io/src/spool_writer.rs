//! The thread that writes recordings, so that a disk never holds up a media thread.
//!
//! What a media thread has sealed is written at once, so a process that is killed loses only the chunk in the making;
//! it is forced to the disk once per second, which is what a machine that loses power loses.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{bounded, unbounded, Receiver, RecvTimeoutError, Sender};

/// Octets that may wait for the disk, over all recordings: a minute of a hundred calls.
const MAX_WAITING: usize = 128 * 1024 * 1024;
const SYNC_EVERY: Duration = Duration::from_secs(1);

/// Names a recording between the threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecordingId(pub u64);

enum Order {
    Open(RecordingId, File),
    Chunk(RecordingId, Vec<u8>),
    Close(RecordingId),
    Abandon(RecordingId, &'static str),
    ShutDown,
}

/// The media threads' side. Never waits.
#[derive(Clone)]
pub struct SpoolQueue {
    orders: Sender<Order>,
    waiting: Arc<AtomicUsize>,
}

#[derive(Debug, PartialEq, Eq)]
pub struct DiskTooSlow;

impl SpoolQueue {
    pub fn open(&self, recording: RecordingId, file: File) {
        self.send(Order::Open(recording, file));
    }

    pub fn chunk(&self, recording: RecordingId, sealed: Vec<u8>) -> Result<(), DiskTooSlow> {
        let length = sealed.len();
        if self.waiting.fetch_add(length, Ordering::Relaxed) + length > MAX_WAITING {
            self.waiting.fetch_sub(length, Ordering::Relaxed);
            return Err(DiskTooSlow);
        }
        self.send(Order::Chunk(recording, sealed));
        Ok(())
    }

    /// The writer reports when the file is on the disk and closed.
    pub fn close(&self, recording: RecordingId) {
        self.send(Order::Close(recording));
    }

    /// Ends the recording with what is written so far, and tells the program why.
    pub fn abandon(&self, recording: RecordingId, why: &'static str) {
        self.send(Order::Abandon(recording, why));
    }

    fn send(&self, order: Order) {
        // The writer ends last, after all media threads; there is nobody to tell.
        let _ = self.orders.send(order);
    }
}

/// How a file ended; each is reported once.
#[derive(Debug, PartialEq, Eq)]
pub enum Ended {
    /// Whole, and on the disk.
    Closed,
    /// The system's words; what was written before stays.
    Failed(String),
}

/// Called on the writer's thread.
pub type OnEnd = Box<dyn Fn(RecordingId, Ended) + Send>;

pub struct SpoolWriter {
    queue: SpoolQueue,
    thread: Option<JoinHandle<()>>,
    /// Disconnected when the thread has ended.
    running: Receiver<()>,
}

impl SpoolWriter {
    pub fn start(on_end: OnEnd) -> io::Result<Self> {
        let (orders, receiver) = unbounded();
        let (alive, running) = bounded::<()>(0);
        let queue = SpoolQueue {
            orders,
            waiting: Arc::default(),
        };
        let waiting = Arc::clone(&queue.waiting);
        let thread = std::thread::Builder::new()
            .name("sent-spool".into())
            .spawn(move || {
                Writer {
                    files: HashMap::new(),
                    waiting,
                    on_end,
                }
                .run(&receiver);
                drop(alive);
            })?;
        Ok(Self {
            queue,
            thread: Some(thread),
            running,
        })
    }

    pub fn queue(&self) -> SpoolQueue {
        self.queue.clone()
    }

    /// Writes what waits, closes every file, ends the thread. A disk that does not answer within `patience` keeps its
    /// thread, and the program ends without it.
    pub fn shut_down(&mut self, patience: Duration) {
        self.queue.send(Order::ShutDown);
        let stuck = self.running.recv_timeout(patience) == Err(RecvTimeoutError::Timeout);
        if let Some(thread) = self.thread.take().filter(|_| !stuck) {
            // A panic in it has been printed; the files are closed by unwinding.
            let _ = thread.join();
        }
    }
}

/// A new file for one recording: never over an old one, readable by its owner only.
pub fn create_spool(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
}

struct Spool {
    file: File,
    /// Where the last whole chunk ends.
    whole: u64,
    dirty: bool,
}

struct Writer {
    files: HashMap<RecordingId, Spool>,
    waiting: Arc<AtomicUsize>,
    on_end: OnEnd,
}

impl Writer {
    fn run(mut self, orders: &Receiver<Order>) {
        let mut next_sync = Instant::now() + SYNC_EVERY;
        loop {
            match orders.recv_timeout(next_sync.saturating_duration_since(Instant::now())) {
                Ok(Order::Open(recording, file)) => {
                    self.files.insert(
                        recording,
                        Spool {
                            file,
                            whole: 0,
                            dirty: false,
                        },
                    );
                }
                Ok(Order::Chunk(recording, sealed)) => {
                    self.waiting.fetch_sub(sealed.len(), Ordering::Relaxed);
                    self.write(recording, &sealed);
                }
                Ok(Order::Close(recording)) => self.close(recording),
                Ok(Order::Abandon(recording, why)) => self.fail(recording, why.to_owned()),
                Ok(Order::ShutDown) | Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {}
            }
            if Instant::now() >= next_sync {
                self.sync_all();
                next_sync = Instant::now() + SYNC_EVERY;
            }
        }
        for recording in self.files.keys().copied().collect::<Vec<_>>() {
            self.close(recording);
        }
    }

    fn write(&mut self, recording: RecordingId, sealed: &[u8]) {
        let Some(spool) = self.files.get_mut(&recording) else {
            return;
        };
        match spool.file.write_all(sealed) {
            Ok(()) => {
                spool.whole += sealed.len() as u64;
                spool.dirty = true;
            }
            Err(error) => self.fail(recording, words(&error)),
        }
    }

    fn close(&mut self, recording: RecordingId) {
        let Some(spool) = self.files.get(&recording) else {
            return;
        };
        match spool.file.sync_all() {
            Ok(()) => {
                self.files.remove(&recording);
                (self.on_end)(recording, Ended::Closed);
            }
            Err(error) => self.fail(recording, words(&error)),
        }
    }

    fn sync_all(&mut self) {
        let mut failed = Vec::new();
        for (recording, spool) in &mut self.files {
            if std::mem::take(&mut spool.dirty) {
                if let Err(error) = spool.file.sync_data() {
                    failed.push((*recording, error));
                }
            }
        }
        for (recording, error) in failed {
            self.fail(recording, words(&error));
        }
    }

    fn fail(&mut self, recording: RecordingId, error: String) {
        if let Some(spool) = self.files.remove(&recording) {
            // Cuts off half a chunk. Where even that fails, the reader finds the last whole chunk itself.
            let _ = spool.file.set_len(spool.whole);
            (self.on_end)(recording, Ended::Failed(error));
        }
    }
}

/// The system's words without Rust's `(os error 28)`.
pub fn words(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error")
        .next()
        .unwrap_or_default()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    const PATIENCE: Duration = Duration::from_secs(2);

    fn writer() -> (SpoolWriter, Receiver<(RecordingId, Ended)>) {
        let (ended, ends) = unbounded();
        let on_end = move |recording, end| ended.send((recording, end)).unwrap();
        (SpoolWriter::start(Box::new(on_end)).unwrap(), ends)
    }

    #[test]
    fn chunks_arrive_in_order_in_a_private_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("one.spool");
        let (mut writer, ends) = writer();
        let queue = writer.queue();
        queue.open(RecordingId(1), create_spool(&path).unwrap());
        queue.chunk(RecordingId(1), b"head".to_vec()).unwrap();
        queue.chunk(RecordingId(1), b"body".to_vec()).unwrap();
        queue.close(RecordingId(1));
        queue.close(RecordingId(1));
        assert_eq!(
            ends.recv_timeout(PATIENCE),
            Ok((RecordingId(1), Ended::Closed))
        );
        assert_eq!(std::fs::read(&path).unwrap(), b"headbody");
        assert_eq!(
            std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert!(create_spool(&path).is_err(), "never over an old recording");
        writer.shut_down(PATIENCE);
        assert!(ends.try_recv().is_err(), "told once");
    }

    #[test]
    fn a_disk_that_hangs_does_not_hold_up_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &path,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RWXU,
            0,
        )
        .unwrap();
        // A pipe that nobody reads takes 64 KiB and then holds its writer.
        let both_ends = OpenOptions::new()
            .read(true)
            .write(true)
            .open(&path)
            .unwrap();
        let (mut writer, _ends) = writer();
        let queue = writer.queue();
        queue.open(RecordingId(1), both_ends);
        queue.chunk(RecordingId(1), vec![7; 1 << 20]).unwrap();
        let begun = Instant::now();
        writer.shut_down(Duration::from_millis(100));
        assert!(begun.elapsed() < Duration::from_secs(1));
    }

    #[test]
    fn a_full_disk_fails_that_recording_only() {
        let folder = tempfile::tempdir().unwrap();
        let (mut writer, failures) = writer();
        let queue = writer.queue();
        // /dev/full refuses every write with "No space left on device".
        queue.open(
            RecordingId(1),
            OpenOptions::new().write(true).open("/dev/full").unwrap(),
        );
        let path = folder.path().join("good.spool");
        queue.open(RecordingId(2), create_spool(&path).unwrap());
        queue.chunk(RecordingId(1), b"lost".to_vec()).unwrap();
        queue.chunk(RecordingId(2), b"kept".to_vec()).unwrap();
        queue.chunk(RecordingId(1), b"lost too".to_vec()).unwrap();
        let failure = failures.recv_timeout(Duration::from_secs(2)).unwrap();
        let words = "No space left on device".to_owned();
        assert_eq!(failure, (RecordingId(1), Ended::Failed(words)));
        writer.shut_down(PATIENCE);
        assert_eq!(std::fs::read(&path).unwrap(), b"kept");
        let rest: Vec<_> = failures.try_iter().collect();
        assert_eq!(rest, [(RecordingId(2), Ended::Closed)], "told once each");
    }

    #[test]
    fn what_waits_is_bounded() {
        let (orders, _receiver) = unbounded();
        let queue = SpoolQueue {
            orders,
            waiting: Arc::default(),
        };
        assert_eq!(queue.chunk(RecordingId(1), vec![0; MAX_WAITING]), Ok(()));
        assert_eq!(queue.chunk(RecordingId(1), vec![0]), Err(DiskTooSlow));
    }
}
