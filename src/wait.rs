//! *Owns* what a thread does while there is nothing to do. *Invariant*: no wait is unbounded in one
//! step, so a thread that looks again after each step notices a halt; a publisher never makes a
//! system call for a sleeper. *Source*: the LMAX Disruptor's wait strategies.
//!
//! Parking against halting. A parker locks, looks at the life of its bus, and sleeps on the bell,
//! which unlocks. A halt first stores the new life, then locks, unlocks and rings. If the parker
//! locks first, it is asleep before the halt gets the lock, and the bell wakes it; if the halt
//! locks first, the parker's look happens after the store and it does not sleep. For *events*
//! nobody rings: the park is timed, and that is its price.

use crate::sync::{self, Bell};
use core::time::Duration;
use std::time::Instant;

/// What a consumer thread does when it finds nothing to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Wait {
    /// Spins while the threads of all buses of this process are fewer than its cores, which leaves
    /// one to a producer; otherwise spins a little, yields, then parks for up to 50 µs.
    #[default]
    Auto,
    /// Polls without a pause but the PAUSE instruction: lowest latency, a core of its own.
    Spin,
    /// Spins a little, then gives its quantum away: for shared cores.
    Yield,
    /// Spins, yields, then sleeps for at most this long. An event that comes meanwhile waits.
    Park {
        /// Longest sleep.
        max: Duration,
    },
}

impl Wait {
    /// Whether a thread that waits like this never leaves its core.
    pub(crate) fn spins(self) -> bool {
        self == Self::Spin
    }
}

impl core::fmt::Display for Wait {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Spin => f.write_str("spin"),
            Self::Yield => f.write_str("yield"),
            Self::Park { max } => write!(f, "park {} us", max.as_micros()),
        }
    }
}

/// What a producer does when the ring is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhenFull {
    /// Refuses at once.
    Fail,
    /// Spins until there is room; `None` waits for ever.
    Spin(Option<Duration>),
    /// Spins a little, then yields, until there is room; `None` waits for ever.
    Yield(Option<Duration>),
}

impl WhenFull {
    /// The same way to wait, for `limit` at most; a refusal becomes a yield.
    pub(crate) fn at_most(self, limit: Duration) -> Self {
        match self {
            Self::Spin(_) => Self::Spin(Some(limit)),
            Self::Fail | Self::Yield(_) => Self::Yield(Some(limit)),
        }
    }
}

impl Default for WhenFull {
    /// Yields for up to a second; then the error names the consumer in the way.
    fn default() -> Self {
        Self::Yield(Some(Duration::from_secs(1)))
    }
}

/// The longest sleep of [`Wait::Auto`].
const AUTO_PARK: Duration = Duration::from_micros(50);

/// Steps of spinning before a wait that may yield does so. In a model a step decides nothing.
const SPINS: u32 = if cfg!(loom) { 0 } else { 100 };
/// Steps of yielding before a wait that may park does so.
const YIELDS: u32 = if cfg!(loom) { 0 } else { 32 };

/// A consumer thread's idle steps in a row.
#[derive(Debug)]
pub(crate) struct Idler {
    wait: Wait,
    cores: u64,
    idle_steps: u32,
}

impl Idler {
    pub(crate) fn new(wait: Wait, cores: usize) -> Self {
        Self { wait, cores: cores as u64, idle_steps: 0 }
    }

    /// There was something to do.
    #[inline(always)]
    pub(crate) fn reset(&mut self) {
        self.idle_steps = 0;
    }

    /// There was nothing to do: one bounded step of waiting. `awake` is looked at before sleeping.
    #[inline]
    pub(crate) fn idle(&mut self, bell: &Bell, awake: impl Fn() -> bool) {
        let step = self.idle_steps;
        self.idle_steps = step.saturating_add(1);
        let park_max = match self.wait {
            Wait::Park { max } => max,
            _ => AUTO_PARK,
        };
        match self.wait {
            Wait::Spin => sync::spin_hint(),
            _ if step < SPINS => sync::spin_hint(),
            Wait::Auto if sync::bus_threads() < self.cores => sync::spin_hint(),
            Wait::Yield => sync::yield_now(),
            _ if step < SPINS + YIELDS => sync::yield_now(),
            _ if bell.sleep(park_max, awake) => {}
            _ => sync::yield_now(),
        }
    }
}

/// A blocked producer's patience. The clock is read only once waiting has begun.
#[derive(Debug)]
pub(crate) struct Patience {
    when_full: WhenFull,
    steps: u32,
    since: Option<Instant>,
}

impl Patience {
    pub(crate) fn new(when_full: WhenFull) -> Self {
        Self { when_full, steps: 0, since: None }
    }

    /// Waits one step; `false` at the end of the patience.
    pub(crate) fn go_on(&mut self) -> bool {
        let (spins, limit) = match self.when_full {
            WhenFull::Fail => return false,
            WhenFull::Spin(limit) => (u32::MAX, limit),
            WhenFull::Yield(limit) => (SPINS, limit),
        };
        if self.steps < spins {
            self.steps = self.steps.saturating_add(1);
            sync::spin_hint();
        } else {
            sync::yield_now();
        }
        match limit {
            None => true,
            Some(limit) => self.since.get_or_insert_with(Instant::now).elapsed() < limit,
        }
    }
}
