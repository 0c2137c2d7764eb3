//! *Owns* how a thread goes to sleep and how it is woken. *Invariant*: nobody who was called sleeps
//! on: neither at a change of the bus's life, nor, where stages asked for it, at a new event.
//! *Source*: Vyukov's eventcount; the two-sided fence is Dekker's.
//!
//! **Life.** A sleeper locks, looks at the life of its bus, and sleeps, which unlocks. Whoever
//! changes the life stores it, then locks, unlocks and rings. If the sleeper locks first, it sleeps
//! before the other gets the lock, and the ring wakes it; if the other does, the sleeper's look
//! comes after the store, and it does not sleep.
//!
//! **Events.** One word holds a round and, in its lowest bit, whether somebody wants to be called.
//!
//! ```text
//!  63                    1   0          sleeper              caller
//!  ├─────────────────────┼───┤          ─────────────────    ─────────────────────────────
//!  │ round               │ w │          word |= 1: ticket    stamp (or gate)
//!  └─────────────────────┴───┘          fence(SeqCst)        fence(SeqCst)
//!                                       look again           word & 1? else nothing
//!   w: somebody wants a call            lock                 lock; word += 1; unlock; wake all
//!   + 1 clears w and begins a round     word = ticket? sleep
//! ```
//!
//! Why no call is lost. Of the two fences one comes first in the single order of all sequentially
//! consistent fences:
//!
//! - the caller's: the sleeper's look comes after the stamp and finds it; it does not sleep.
//! - the sleeper's: the caller reads `w` set. Under the lock it either begins a round itself, or
//!   finds that another caller has done so since. Either way the ticket is of a past round: if the
//!   sleeper had the lock first, it sleeps already and is woken; otherwise it sees that its ticket
//!   is past and does not sleep. It looks, and takes a new ticket before it sleeps; for that one
//!   the argument begins anew.
//!
//! The lock is held for a compare and a place in the queue, never for a look, so a caller does not
//! wait for a sleeper's handler. A sleeper that finds something after all leaves `w` set, and the
//! next caller calls in vain: once, since that begins a round.

use crate::sync::{AtomicU64, Monitor, Ordering, fence};
use core::time::Duration;
use crossbeam_utils::CachePadded;
use std::sync::Arc;

/// Somebody wants to be called.
const WANTED: u64 = 1;

/// What the threads of a bus, and producers at a full ring, sleep on.
#[derive(Debug)]
pub(crate) struct Sleepers {
    monitor: Monitor,
    word: CachePadded<AtomicU64>,
    /// Whether whoever moves a cursor calls; fixed when the bus is built.
    is_direct: bool,
}

/// The round in which a sleeper has asked to be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket(u64);

impl Sleepers {
    /// `is_direct`: some stage sleeps until producers and other stages call it.
    pub(crate) fn new(is_direct: bool) -> Arc<Self> {
        let word = CachePadded::new(AtomicU64::new(0));
        Arc::new(Self { monitor: Monitor::default(), word, is_direct })
    }

    /// The end of whoever moves a cursor.
    pub(crate) fn caller(self: &Arc<Self>) -> Caller {
        Caller(self.is_direct.then(|| Arc::clone(self)))
    }

    /// Sleeps for at most `max`, unless `awake` says not to; `awake` is asked under the lock.
    /// Gives whether it slept.
    pub(crate) fn sleep(&self, max: Duration, awake: impl Fn() -> bool) -> bool {
        let guard = self.monitor.lock();
        let tired = !awake();
        if tired {
            self.monitor.sleep(guard, max);
        }
        tired
    }

    #[cfg(all(test, not(loom)))]
    pub(crate) fn lock(&self) -> impl Sized + '_ {
        self.monitor.lock()
    }

    /// Asks to be called. Whoever has asked looks once more, and only then sleeps on the ticket.
    pub(crate) fn announce(&self) -> Ticket {
        // ORDERING: Relaxed; the fence orders it before the look.
        let word = self.word.fetch_or(WANTED, Ordering::Relaxed);
        // ORDERING: SeqCst fence; partner of the fence in `call`, see the proof above.
        fence(Ordering::SeqCst);
        Ticket(word | WANTED)
    }

    /// As `sleep`, unless somebody has called since `ticket` was taken.
    pub(crate) fn sleep_on(&self, ticket: Ticket, max: Duration, awake: impl Fn() -> bool) -> bool {
        // ORDERING: Relaxed; rounds begin under the lock, which is held here.
        self.sleep(max, || self.word.load(Ordering::Relaxed) != ticket.0 || awake())
    }

    /// Wakes every sleeper at a change of life, which must be stored before.
    pub(crate) fn ring(&self) {
        drop(self.monitor.lock());
        self.monitor.notify_all();
    }

    /// Wakes whoever asked to be called. What they wait for must be stored before.
    #[inline]
    fn call(&self) {
        // ORDERING: SeqCst fence; partner of the fence in `announce`, see the proof above.
        fence(Ordering::SeqCst);
        if self.is_wanted() {
            self.wake();
        }
    }

    /// Whether somebody wants to be called.
    #[inline(always)]
    pub(crate) fn is_wanted(&self) -> bool {
        // ORDERING: Relaxed; in `call` the fence orders it behind the stamp, and the waker thread
        // looks again.
        self.word.load(Ordering::Relaxed) & WANTED != 0
    }

    /// Begins a round and wakes every sleeper.
    #[cold]
    pub(crate) fn wake(&self) {
        let guard = self.monitor.lock();
        if !self.is_wanted() {
            return;
        }
        // ORDERING: Relaxed; tickets are compared under the lock, which is held here.
        self.word.fetch_add(1, Ordering::Relaxed);
        drop(guard);
        self.monitor.notify_all();
    }
}

/// What whoever moves a cursor holds: a producer, or the thread of a stage.
#[derive(Clone, Debug)]
pub(crate) struct Caller(Option<Arc<Sleepers>>);

impl Caller {
    /// Calls sleepers after a stamp, a batch of stamps, or a step of a gate. Where no stage asked
    /// for it at build, a test of this word; else a full fence, and with a sleeper a lock and a
    /// system call.
    #[inline(always)]
    pub(crate) fn after_publish(&self) {
        if let Some(sleepers) = &self.0 {
            sleepers.call();
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_of_a_past_round_does_not_sleep() {
        let sleepers = Sleepers::new(true);
        let (first, second) = (sleepers.announce(), sleepers.announce());
        assert_eq!(first, second, "one round");
        sleepers.caller().after_publish();
        assert!(!sleepers.sleep_on(first, Duration::MAX, || false), "it was called");
        assert!(!sleepers.is_wanted(), "a call begins a round");
        assert_ne!(sleepers.announce(), first);
    }

    #[test]
    fn nobody_calls_where_no_stage_asked_for_it() {
        let sleepers = Sleepers::new(false);
        sleepers.announce();
        sleepers.caller().after_publish();
        assert!(sleepers.is_wanted(), "the announcement stands");
    }
}
