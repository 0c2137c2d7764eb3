//! The process that is killed: what it does follows from a seed, and what has returned is told in a
//! shared page, so that the parent knows both.

#![allow(clippy::disallowed_types, reason = "a shared page is atomics by hand")]
#![allow(dead_code, reason = "each test uses a part")]

use rustix::mm::{MapFlags, ProtFlags, mmap};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering::Acquire, Ordering::Release};
use tourbillon::{Bus, BusBuilder, Event, Polled, Poller, Producer, Sequence};

pub(crate) const SLOTS: usize = 64;
pub(crate) const BATCH_EVENTS_MAX: u64 = 24;

/// Says of itself all that can be checked.
#[derive(Clone, Copy, Debug, PartialEq, rkyv::Archive, rkyv::Serialize, Event)]
#[event(name = "test.entry", version = 1)]
#[rkyv(derive(Debug))]
pub(crate) struct Entry {
    pub(crate) sequence: u64,
    pub(crate) batch: u64,
    pub(crate) events: u64,
    pub(crate) check: u64,
}

impl Entry {
    pub(crate) fn new(sequence: u64, batch: u64, events: u64) -> Self {
        Self { sequence, batch, events, check: mix(sequence ^ mix(batch ^ mix(events))) }
    }
}

impl ArchivedEntry {
    pub(crate) fn native(&self) -> Entry {
        Entry {
            sequence: self.sequence.to_native(),
            batch: self.batch.to_native(),
            events: self.events.to_native(),
            check: self.check.to_native(),
        }
    }
}

pub(crate) fn mix(word: u64) -> u64 {
    let mut z = word.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// One call of the child.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Call {
    Publish,
    Batch(u64),
    Dropped,
}

impl Call {
    /// The call that begins at `first`: it follows from seed and sequence alone.
    pub(crate) fn at(seed: u64, first: u64) -> Self {
        let roll = mix(seed ^ mix(first));
        match roll % 8 {
            0..3 => Self::Publish,
            3 => Self::Dropped,
            _ => Self::Batch(1 + (roll >> 8) % BATCH_EVENTS_MAX),
        }
    }

    pub(crate) fn events(self) -> u64 {
        match self {
            Self::Publish | Self::Dropped => 1,
            Self::Batch(events) => events,
        }
    }
}

/// What the child tells.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Word {
    /// Everything below was returned.
    Returned,
    /// Everything below was handled by `book`.
    Book,
    /// Everything below was handled by `slow`.
    Slow,
    /// Calls of the first of several producers that returned; those of the second stand behind it.
    Calls,
    /// Behind the last sequence of an event whose publish by the first of several producers was told
    /// in `Calls`; the second's stands behind it.
    Last = 5,
}

/// A page that two processes share.
pub(crate) struct Page(&'static [AtomicU64; 512]);

impl Page {
    pub(crate) fn map(path: &Path) -> Self {
        let mut options = File::options();
        let file = options.read(true).write(true).create(true).truncate(false).open(path);
        let file = file.expect("a page");
        file.set_len(4096).expect("a page's size");
        let (access, at) = (ProtFlags::READ | ProtFlags::WRITE, std::ptr::null_mut());
        // SAFETY: the kernel chooses the place.
        let page = unsafe { mmap(at, 4096, access, MapFlags::SHARED, &file, 0) }.expect("mapped");
        // SAFETY: a page of words, never unmapped, only ever accessed as atomics.
        Self(unsafe { &*page.cast() })
    }

    pub(crate) fn tell(&self, word: Word, sequence: Sequence) {
        self.tell_of(0, word, sequence.get());
    }

    pub(crate) fn hear(&self, word: Word) -> u64 {
        self.hear_of(0, word)
    }

    /// As `tell`, of one of several producers.
    pub(crate) fn tell_of(&self, producer: usize, word: Word, number: u64) {
        self.0[word as usize + producer].store(number, Release);
    }

    pub(crate) fn hear_of(&self, producer: usize, word: Word) -> u64 {
        self.0[word as usize + producer].load(Acquire)
    }
}

/// A child at work; killed when it is dropped.
pub(crate) struct Work(Child);

impl Work {
    /// Starts a child over the ring at `path`. It runs until it is killed.
    pub(crate) fn start(mode: &str, path: &Path, page: &Path, seed: u64) -> Self {
        use std::io::Write;
        let me = std::env::current_exe().expect("this test has a file");
        let mut command = Command::new(me);
        command.args(["--exact", "a_child_at_work", "--ignored", "--nocapture"]);
        let command = command.stdin(Stdio::piped()).stdout(Stdio::null());
        let mut child = command.spawn().expect("a child");
        let line = format!("{mode}|{}|{}|{seed}\n", path.display(), page.display());
        // The pipe stays open: a child whose parent is gone ends by itself.
        child.stdin.as_mut().expect("piped").write_all(line.as_bytes()).expect("told");
        Self(child)
    }

    /// Whether it still runs.
    pub(crate) fn is_alive(&mut self) -> bool {
        self.0.try_wait().expect("asked").is_none()
    }

    /// SIGKILL.
    pub(crate) fn kill(mut self) {
        use std::os::unix::process::ExitStatusExt;
        self.0.kill().expect("killed");
        let status = self.0.wait().expect("it ended");
        assert_eq!(status.signal(), Some(9), "the child died by itself");
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The stages of every ring of these tests.
pub(crate) fn builder(stages: &[&str]) -> BusBuilder<Entry> {
    let mut builder = Bus::<Entry>::builder(SLOTS);
    for stage in stages {
        builder.poller(stage);
    }
    builder
}

/// What a child is told.
pub(crate) struct Orders {
    pub(crate) adopts: bool,
    pub(crate) path: PathBuf,
    pub(crate) page: Page,
    pub(crate) seed: u64,
}

impl Orders {
    /// Reads them. Without a line on its input a process has no parent and nothing to do. It ends with
    /// its parent, whatever happens to that.
    pub(crate) fn read() -> Option<Self> {
        use std::io::IsTerminal;
        let mut line = String::new();
        if !std::io::stdin().is_terminal() {
            std::io::stdin().read_line(&mut line).expect("a line or none");
        }
        let mut fields = line.trim().split('|');
        let (mode, path, page, seed) =
            (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
        std::thread::spawn(|| {
            let _ = std::io::stdin().read_line(&mut String::new());
            std::process::abort();
        });
        let (path, page) = (PathBuf::from(path), Page::map(Path::new(page)));
        Some(Self { adopts: mode != "create", path, page, seed: seed.parse().expect("a seed") })
    }

    /// The bus as ordered, with two pollers.
    pub(crate) fn builder(&self) -> BusBuilder<Entry> {
        let mut builder = builder(&["book", "slow"]);
        match self.adopts {
            false => builder.named(&self.path),
            true => builder.adopt(&self.path),
        };
        builder
    }
}

/// The child's life.
pub(crate) fn work() {
    let Some(orders) = Orders::read() else { return };
    let (producer, mut bus) = orders.builder().start().expect("a ring");
    let pollers = ["book", "slow"].map(|name| bus.take_poller(name).expect("named above"));
    publish(producer, pollers, &orders.page, orders.seed);
}

fn publish(mut producer: Producer<Entry>, pollers: [Poller<Entry>; 2], page: &Page, seed: u64) {
    let [mut book, mut slow] = pollers;
    loop {
        let first = producer.next_sequence().get();
        let call = Call::at(seed, first);
        while producer.remaining_capacity() < BATCH_EVENTS_MAX {
            handle(&mut book, page, Word::Book);
            handle(&mut slow, page, Word::Slow);
        }
        match call {
            Call::Publish => drop(producer.publish(&Entry::new(first, first, 1)).expect("room")),
            Call::Dropped => drop(producer.claim().expect("room")),
            Call::Batch(events) => {
                let entries = first..first + events;
                let entries = entries.map(|sequence| Entry::new(sequence, first, events));
                producer.publish_batch(entries.collect::<Vec<_>>()).expect("room");
            }
        }
        page.tell(Word::Returned, producer.next_sequence());
        if mix(seed ^ first).is_multiple_of(4) {
            handle(&mut book, page, Word::Book);
        }
    }
}

pub(crate) fn handle(poller: &mut Poller<Entry>, page: &Page, word: Word) {
    if let Polled::Batch(mut batch) = poller.poll() {
        while let Some((entry, sequence)) = batch.next() {
            assert_eq!(entry.native().sequence, sequence.get());
        }
    }
    page.tell(word, poller.sequence());
}
