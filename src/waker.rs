//! *Owns* the waker thread of a bus: it naps, looks whether a stage that sleeps could go on, and wakes
//! it, so that no producer does. *Invariant*: whoever sleeps while there is something for it is
//! woken at the next look: a look compares cursors as they are and remembers nothing, so it misses
//! nothing. *Source*: its own.

use crate::barrier::CursorRef;
use crate::ring::{Life, Ring};
use crate::sequence::Sequence;
use core::time::Duration;
use std::sync::Arc;

/// One stage that sleeps until it is woken.
#[derive(Debug)]
pub(crate) struct Watched {
    pub(crate) cursor: CursorRef,
    /// What it stands behind; empty: straight on the ring.
    pub(crate) upstream: Vec<CursorRef>,
}

impl Watched {
    /// Whether there may be something for it. A claim that is not published yet counts, and so does
    /// an event that waits for its cause: the stage is then woken in vain.
    fn could_go_on(&self, claimed: Sequence) -> bool {
        let available = self.upstream.iter().map(CursorRef::acquire).min().unwrap_or(claimed);
        self.cursor.acquire() < available
    }
}

/// What the waker thread runs.
#[derive(Debug)]
pub(crate) struct Waker {
    pub(crate) ring: Arc<Ring>,
    pub(crate) watched: Vec<Watched>,
    /// Between two looks.
    pub(crate) period: Duration,
}

impl Waker {
    /// Looks and naps until the bus ends. Nobody sleeps after that: stages then run to their ends.
    pub(crate) fn run(&self) {
        while self.ring.life() == Life::Open {
            self.look();
            self.ring.sleepers().sleep(self.period, || self.ring.life() != Life::Open);
        }
    }

    /// Wakes the sleepers if there may be something for one of them. Gives whether it did.
    pub(crate) fn look(&self) -> bool {
        let sleepers = self.ring.sleepers();
        let is_due = sleepers.is_wanted() && {
            let claimed = self.ring.claimed();
            self.watched.iter().any(|stage| stage.could_go_on(claimed))
        };
        if is_due {
            sleepers.wake();
        }
        is_due
    }
}
