//! *Owns* the clock. *Invariant*: one tick is the same time on both cores: the invariant time-stamp
//! counter where the processor says that it has one, else the system's monotonic clock. *Source*:
//! the processor manuals; the counter is read without a fence, so a stamp is good to some ns.

use std::time::{Duration, Instant};

/// Ticks and what they are worth.
#[derive(Clone, Copy)]
pub(crate) struct Clock {
    base: Instant,
    ns_per_tick: f64,
    is_counter: bool,
    /// The usual time between two readings that differ: the counter's step where that is wide, as
    /// it is on some machines, and else what a reading takes. Not the least: a counter that moves
    /// 26 ticks at a time may be off by one now and then.
    pub(crate) step_ns: f64,
}

impl Clock {
    /// Takes some 50 ms to learn how fast the counter runs.
    pub(crate) fn calibrated() -> Self {
        let base = Instant::now();
        let is_counter = has_counter();
        let mut clock = Self { base, ns_per_tick: 1.0, is_counter, step_ns: 0.0 };
        if is_counter {
            let (began, first) = (Instant::now(), clock.now());
            while began.elapsed() < Duration::from_millis(50) {}
            let (took, last) = (began.elapsed(), clock.now());
            clock.ns_per_tick = took.as_nanos() as f64 / (last - first) as f64;
        }
        let step = (0..10_000).filter_map(|_| {
            let first = clock.now();
            clock.now().checked_sub(first).filter(|&ticks| ticks > 0)
        });
        let mut steps: Vec<u64> = step.collect();
        steps.sort_unstable();
        clock.step_ns = clock.ns(steps.get(steps.len() / 2).copied().unwrap_or(1));
        clock
    }

    /// The clock of another process on this machine, which has measured it; see
    /// [`Clock::is_shared`].
    pub(crate) fn of_another(ns_per_tick: f64) -> Self {
        Self { base: Instant::now(), ns_per_tick, is_counter: has_counter(), step_ns: 0.0 }
    }

    /// Whether all processes read the same ticks.
    pub(crate) fn is_shared() -> bool {
        has_counter()
    }

    #[inline(always)]
    pub(crate) fn now(&self) -> u64 {
        if self.is_counter { counter() } else { self.base.elapsed().as_nanos() as u64 }
    }

    pub(crate) fn ns(&self, ticks: u64) -> f64 {
        ticks as f64 * self.ns_per_tick
    }

    pub(crate) fn ticks(&self, ns: f64) -> u64 {
        (ns / self.ns_per_tick) as u64
    }

    /// Spins until `tick`; gives the reading that was past it.
    #[inline(always)]
    pub(crate) fn wait_until(&self, tick: u64) -> u64 {
        loop {
            let now = self.now();
            if now >= tick {
                return now;
            }
        }
    }

    pub(crate) fn describe(&self) -> String {
        let what = if self.is_counter { "time-stamp counter" } else { "monotonic clock" };
        format!("{what}, step {:.1} ns", self.step_ns)
    }
}

#[cfg(target_arch = "x86_64")]
fn has_counter() -> bool {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let flags = info.lines().find(|line| line.starts_with("flags")).unwrap_or_default();
    ["constant_tsc", "nonstop_tsc"].iter().all(|flag| flags.contains(flag))
}

#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn counter() -> u64 {
    // SAFETY: every x86-64 processor has the counter; user code may read it on Linux by default.
    unsafe { core::arch::x86_64::_rdtsc() }
}

#[cfg(not(target_arch = "x86_64"))]
fn has_counter() -> bool {
    false
}

#[cfg(not(target_arch = "x86_64"))]
fn counter() -> u64 {
    0
}
