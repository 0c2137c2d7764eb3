//! *Owns* the two cores: pinning, the probe between them, what to print of the machine.
//! *Invariant*: every measured thread is pinned. *Source*: the round-trip bench's row `bare`.

use crate::clock::Clock;
use crossbeam_utils::CachePadded;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use std::fs::read_to_string;
use std::process::Command;
use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering::Acquire, Ordering::Relaxed, Ordering::Release};

pub(crate) const PROBE_TRIPS: u64 = 20_000;

/// Where everything runs.
pub(crate) struct Machine {
    /// The first sends, the second receives, more are for more producers.
    pub(crate) cores: Vec<usize>,
    pub(crate) clock: Clock,
    /// How often the kernel took a core from a thread of [`Machine::both`], so far.
    preempted: AtomicU64,
}

impl Machine {
    /// Takes the cores asked for, or all that this process may run on.
    pub(crate) fn new(asked: &[usize]) -> Result<Self, String> {
        let granted = sched_getaffinity(None).map_err(|error| error.to_string())?;
        let all: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|&core| granted.is_set(core)).collect();
        if let Some(core) = asked.iter().find(|core| !all.contains(core)) {
            return Err(format!("core {core} is not one of this process: {all:?}"));
        }
        let rest = all.iter().filter(|core| !asked.contains(core));
        let cores: Vec<usize> = asked.iter().chain(rest).copied().collect();
        if cores.len() < 2 {
            return Err("two threads that spin need two cores".to_owned());
        }
        pin(cores[0]);
        Ok(Self { cores, clock: Clock::calibrated(), preempted: AtomicU64::new(0) })
    }

    /// Runs `start` on any core but the first: threads that it starts inherit that.
    pub(crate) fn off_the_first<R>(&self, start: impl FnOnce() -> R) -> R {
        let mut others = CpuSet::new();
        self.cores[1..].iter().for_each(|&core| others.set(core));
        sched_setaffinity(None, &others).expect("cores of this process's own mask");
        let started = start();
        pin(self.cores[0]);
        started
    }

    /// Runs `far` on the second core while `near` runs here, both from the same moment on.
    pub(crate) fn both<F: Send, N>(
        &self,
        near: impl FnOnce() -> N,
        far: impl FnOnce() -> F + Send,
    ) -> (N, F) {
        let together = Barrier::new(2);
        std::thread::scope(|scope| {
            let far = scope.spawn(|| {
                pin(self.cores[1]);
                self.counted(&together, far)
            });
            let near = self.counted(&together, near);
            (near, far.join().expect("the receiving end does not panic"))
        })
    }

    /// Runs `work` from the common moment on, and notes how often it lost its core.
    fn counted<R>(&self, together: &Barrier, work: impl FnOnce() -> R) -> R {
        together.wait();
        let before = times_preempted();
        let result = work();
        let preempted = times_preempted().saturating_sub(before);
        // ORDERING: Relaxed; read after the threads were joined.
        self.preempted.fetch_add(preempted, Relaxed);
        result
    }

    pub(crate) fn preempted(&self) -> u64 {
        // ORDERING: Relaxed; whoever added has been joined.
        self.preempted.load(Relaxed)
    }

    /// Throws one word to and fro `trips` times; gives ns per trip.
    pub(crate) fn ping_pong(&self, trips: u64) -> f64 {
        const WARM_TRIPS: u64 = 200;
        let word = CachePadded::new(AtomicU64::new(0));
        let end = trips + WARM_TRIPS;
        let (ticks, ()) = self.both(
            || {
                let mut began = 0;
                for trip in 0..end {
                    if trip == WARM_TRIPS {
                        began = self.clock.now();
                    }
                    word.store(2 * trip + 1, Release);
                    while word.load(Acquire) != 2 * trip + 2 {}
                }
                self.clock.now() - began
            },
            || {
                for trip in 0..end {
                    while word.load(Acquire) != 2 * trip + 1 {}
                    word.store(2 * trip + 2, Release);
                }
            },
        );
        debug_assert_eq!(word.load(Relaxed), 2 * end);
        self.clock.ns(ticks) / trips as f64
    }

    /// Lines that say what was measured on, as (what, value).
    pub(crate) fn lines(&self) -> Vec<(&'static str, String)> {
        let info = read_to_string("/proc/cpuinfo").unwrap_or_default();
        let field = |name: &str| {
            let line = info.lines().find(|line| line.starts_with(name));
            line.and_then(|line| line.split(": ").nth(1)).unwrap_or("unknown").trim().to_owned()
        };
        let kernel = read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let is_virtual = field("flags").contains("hypervisor");
        let siblings = read_to_string(format!(
            "/sys/devices/system/cpu/cpu{}/topology/thread_siblings_list",
            self.cores[0]
        ));
        let rustc = Command::new("rustc").arg("--version").output();
        let rustc = rustc.map(|out| String::from_utf8_lossy(&out.stdout).trim().to_owned());
        vec![
            ("processor", field("model name")),
            ("virtual machine", if is_virtual { "yes" } else { "not said" }.to_owned()),
            ("kernel", kernel.trim().to_owned()),
            ("compiler", rustc.unwrap_or_else(|_| "unknown".to_owned())),
            ("cores", format!("{:?}, the first sends, the second receives", self.cores)),
            ("siblings of the first", siblings.unwrap_or_default().trim().to_owned()),
            ("clock", self.clock.describe()),
            ("crates", versions()),
        ]
    }
}

/// The versions that were built, from the lock file.
fn versions() -> String {
    const SHOWN: [&str; 7] = [
        "tourbillon",
        "disruptor",
        "photon-ring",
        "rtrb",
        "crossbeam-channel",
        "crossbeam-queue",
        "kanal",
    ];
    let lock = include_str!("../Cargo.lock");
    let version = |name: &str| {
        let (_, rest) = lock.split_once(&format!("name = \"{name}\"\nversion = \""))?;
        Some(format!("{name} {}", rest.split('"').next()?))
    };
    SHOWN.into_iter().filter_map(version).collect::<Vec<_>>().join(", ")
}

/// How often the kernel took the core from the calling thread.
fn times_preempted() -> u64 {
    let status = read_to_string("/proc/thread-self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("nonvoluntary_ctxt_switches"));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok()).unwrap_or(0)
}

/// Pins the calling thread.
pub(crate) fn pin(core: usize) {
    let mut wanted = CpuSet::new();
    wanted.set(core);
    sched_setaffinity(None, &wanted).expect("a core of this process's own mask");
}
