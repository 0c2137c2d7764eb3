//! *Owns* one step of waiting, for consumer threads and for producers at a full ring. *Invariant*: a
//! step is bounded, so whoever looks again after each notices a halt. *Source*: Agrona's idle
//! strategies; the back-off of `BurstSpin` is TCP's additive increase, multiplicative decrease.

use crate::ring::{Life, Ring};
use crate::sleepers::{Caller, Ticket};
use crate::sync;
use crate::wait::{Idling, Wait, WhenFull};
use core::time::Duration;
use std::sync::OnceLock;
use std::time::Instant;

/// The longest sleep of [`Wait::Auto`].
const AUTO_PARK: Duration = Duration::from_micros(50);
/// The longest step of a [`Wait::Sleep`] or a [`Wait::Custom`], whatever they ask for.
const STEP_MAX: Duration = Duration::from_millis(100);
/// The first sleep of [`Wait::Sleep`].
const SLEEP_MIN: Duration = Duration::from_micros(1);
/// The longest sleep of a stage that is called.
pub(crate) const CALLED_PARK: Duration = Duration::from_millis(100);
/// The same, where something that it stands behind moves without calling.
pub(crate) const UNCALLED_PARK: Duration = Duration::from_millis(1);
/// The longest sleep of a producer at a full ring.
const FULL_PARK: Duration = Duration::from_micros(20);

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
    back_off: BackOff,
    /// Taken before the look that has just found nothing.
    ticket: Option<Ticket>,
    called_park_max: Duration,
    caller: Caller,
}

impl Idler {
    /// `called_park_max` bounds the sleep of a stage that is called.
    pub(crate) fn new(wait: Wait, cores: usize, called_park_max: Duration, ring: &Ring) -> Self {
        Self {
            back_off: if wait == Wait::BurstSpin { BackOff::calibrated() } else { BackOff::none() },
            wait,
            cores: cores as u64,
            idle_steps: 0,
            ticket: None,
            called_park_max,
            caller: ring.sleepers().caller(),
        }
    }

    /// A stage of this thread went on: whoever sleeps behind it is called.
    #[inline(always)]
    pub(crate) fn went_on(&self) {
        self.caller.after_publish();
    }

    /// There was something to do.
    #[inline(always)]
    pub(crate) fn reset(&mut self) {
        self.back_off.hit(self.idle_steps);
        self.idle_steps = 0;
        self.ticket = None;
    }

    /// There was nothing to do: one bounded step of waiting.
    #[inline]
    pub(crate) fn idle(&mut self, ring: &Ring) {
        let step = self.idle_steps;
        self.idle_steps = step.saturating_add(1);
        match &self.wait {
            Wait::Spin => sync::spin_hint(),
            Wait::BurstSpin => self.back_off.miss(step),
            Wait::Custom(strategy) => obey(strategy.idle(step), ring),
            _ if step < SPINS => sync::spin_hint(),
            Wait::Auto if sync::bus_threads() < self.cores => sync::spin_hint(),
            Wait::Yield => sync::yield_now(),
            _ if step < SPINS + YIELDS => sync::yield_now(),
            Wait::Auto => park(ring, AUTO_PARK),
            Wait::Park { max } => park(ring, *max),
            Wait::Sleep { max } => sync::nap(growing_sleep(step - SPINS - YIELDS).min(*max)),
            Wait::Waker { .. } | Wait::DirectWake => self.park_until_called(ring),
        }
    }

    /// Asks to be called and has the stages look once more; then sleeps.
    fn park_until_called(&mut self, ring: &Ring) {
        let Some(ticket) = self.ticket.take() else {
            self.ticket = Some(ring.sleepers().announce());
            return;
        };
        let ends = || ring.life() != Life::Open;
        // A call that came meanwhile says that there is something; an end of the bus, that the
        // last looks must not be made in haste.
        if !ring.sleepers().sleep_on(ticket, self.called_park_max, ends) && ends() {
            sync::yield_now();
        }
    }
}

/// Sleeps until the time is up or the bus's life changes.
fn park(ring: &Ring, max: Duration) {
    if !ring.sleepers().sleep(max, || ring.life() != Life::Open) {
        sync::yield_now();
    }
}

/// Does what a custom strategy asks for.
fn obey(idling: Idling, ring: &Ring) {
    match idling {
        Idling::Spin { pauses } => (0..pauses).for_each(|_| sync::spin_hint()),
        Idling::Yield => sync::yield_now(),
        Idling::Park { max } => park(ring, max.min(STEP_MAX)),
    }
}

/// Twice as long each time.
fn growing_sleep(sleeps: u32) -> Duration {
    (SLEEP_MIN * (1 << sleeps.min(20))).min(STEP_MAX)
}

/// How long to leave the next slot alone after a miss, in PAUSEs.
#[derive(Debug, PartialEq, Eq)]
struct BackOff {
    pauses: u32,
    /// What one PAUSE would be on the machine that the figures are from.
    growth: u32,
    pauses_max: u32,
}

impl BackOff {
    /// The longest back-off: what a lone event may have to wait after a burst.
    const MAX: Duration = Duration::from_nanos(500);
    /// Growth after each hit: 24 steps to the longest.
    const GROWTH: Duration = Duration::from_nanos(21);
    /// A producer is right ahead if its event came within as many polls.
    const NEAR_POLLS: u32 = 2;

    /// For waits that have none.
    fn none() -> Self {
        Self { pauses: 1, growth: 0, pauses_max: 1 }
    }

    /// In PAUSEs of this machine, which last between 1 and 50 ns.
    fn calibrated() -> Self {
        static PAUSE_PS: OnceLock<u64> = OnceLock::new();
        Self::of_pause_ps(*PAUSE_PS.get_or_init(pause_ps))
    }

    fn of_pause_ps(pause_ps: u64) -> Self {
        let pauses = |time: Duration| {
            let pauses = time.as_nanos() as u64 * 1000 / pause_ps.max(1);
            u32::try_from(pauses.max(1)).unwrap_or(u32::MAX)
        };
        Self { pauses: 1, growth: pauses(Self::GROWTH), pauses_max: pauses(Self::MAX) }
    }

    /// Nothing there, for the `step + 1`th time in a row.
    #[inline(always)]
    fn miss(&mut self, step: u32) {
        if step >= Self::NEAR_POLLS {
            self.pauses = (self.pauses / 2).max(1);
        }
        for _ in 0..self.pauses {
            sync::spin_hint();
        }
    }

    /// Something there, after `misses` in a row.
    #[inline(always)]
    fn hit(&mut self, misses: u32) {
        if misses.wrapping_sub(1) < Self::NEAR_POLLS {
            self.pauses = (self.pauses + self.growth).min(self.pauses_max);
        }
    }
}

/// How long a PAUSE takes, in picoseconds: the least of some runs, since a thread can be preempted
/// in one.
fn pause_ps() -> u64 {
    const PAUSES: u32 = 64;
    let run = |_| {
        let began = Instant::now();
        (0..PAUSES).for_each(|_| sync::spin_hint());
        began.elapsed().as_nanos() as u64 * 1000 / u64::from(PAUSES)
    };
    (0..16).map(run).min().unwrap_or_default().max(100)
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

    /// Waits in the manner of `when_full`, but for `limit`; where that would not wait, yields.
    pub(crate) fn within(when_full: WhenFull, limit: Duration) -> Self {
        let limit = Some(limit);
        Self::new(match when_full {
            WhenFull::Spin(_) => WhenFull::Spin(limit),
            WhenFull::Fail | WhenFull::Yield(_) => WhenFull::Yield(limit),
            WhenFull::Park(_) => WhenFull::Park(limit),
        })
    }

    /// Waits one step; `false` at the end of the patience.
    pub(crate) fn go_on(&mut self, ring: &Ring) -> bool {
        let (spins, yields, limit) = match self.when_full {
            WhenFull::Fail => return false,
            WhenFull::Spin(limit) => (u32::MAX, 0, limit),
            WhenFull::Yield(limit) => (SPINS, u32::MAX, limit),
            WhenFull::Park(limit) => (SPINS, YIELDS, limit),
        };
        let left = match limit {
            None => FULL_PARK,
            Some(limit) => limit.saturating_sub(self.waited()),
        };
        if left.is_zero() {
            return false;
        }
        let step = self.steps;
        self.steps = step.saturating_add(1);
        if step < spins {
            sync::spin_hint();
        } else if step - spins < yields {
            sync::yield_now();
        } else {
            park(ring, FULL_PARK.min(left));
        }
        true
    }

    /// Time since the first step.
    fn waited(&mut self) -> Duration {
        self.since.get_or_insert_with(Instant::now).elapsed()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// Misses `misses` times, then hits.
    fn after(back_off: &mut BackOff, misses: u32) -> u32 {
        (0..misses).for_each(|step| back_off.miss(step));
        back_off.hit(misses);
        back_off.pauses
    }

    #[test]
    fn a_back_off_grows_at_the_producers_heels_up_to_its_bound() {
        let mut back_off = BackOff::of_pause_ps(21_000);
        assert_eq!((back_off.growth, back_off.pauses_max), (1, 23));
        assert_eq!(after(&mut back_off, 0), 1, "no miss, no growth");
        assert_eq!(after(&mut back_off, 1), 2);
        assert_eq!(after(&mut back_off, 2), 3);
        for _ in 0..100 {
            after(&mut back_off, 1);
        }
        assert_eq!(back_off.pauses, 23);
    }

    #[test]
    fn a_back_off_is_gone_a_few_polls_after_a_burst() {
        let mut back_off = BackOff::of_pause_ps(21_000);
        back_off.pauses = back_off.pauses_max;
        assert_eq!(after(&mut back_off, 3), 11, "halved, not grown");
        assert_eq!(after(&mut back_off, 8), 1);
    }

    #[test]
    fn a_back_off_is_measured_in_time() {
        let short = BackOff::of_pause_ps(1_000);
        assert_eq!((short.growth, short.pauses_max), (21, 500));
        let long = BackOff::of_pause_ps(1_000_000);
        assert_eq!((long.growth, long.pauses_max), (1, 1), "never none, or a hit could not grow");
        let here = BackOff::calibrated();
        assert!(here.growth <= here.pauses_max && here.growth >= 1);
    }

    #[test]
    fn sleeps_grow_up_to_a_bound() {
        assert_eq!(growing_sleep(0), SLEEP_MIN);
        assert_eq!(growing_sleep(3), SLEEP_MIN * 8);
        assert_eq!(growing_sleep(u32::MAX), STEP_MAX);
    }

    #[test]
    fn a_limit_of_its_own_keeps_the_manner_of_waiting() {
        let limit = Duration::from_millis(3);
        let manner = |when_full| Patience::within(when_full, limit).when_full;
        assert_eq!(manner(WhenFull::Spin(None)), WhenFull::Spin(Some(limit)));
        assert_eq!(manner(WhenFull::Park(None)), WhenFull::Park(Some(limit)));
        assert_eq!(manner(WhenFull::Fail), WhenFull::Yield(Some(limit)));
    }
}
