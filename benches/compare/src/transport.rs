//! *Owns* what a contender is: two ends and a few words about them. *Invariant*: a sender builds
//! its event from a number, so each contender fills its slot in its own best form, and waits by
//! spinning while the ring is full. *Source*: none.

use crate::numbered::{Numbered, Seen};

/// What is printed beside a contender's figures.
#[derive(Clone, Copy)]
pub(crate) struct About {
    pub(crate) name: &'static str,
    /// Ring, wait and the calls that are used.
    pub(crate) configuration: &'static str,
    /// Its own published figure, in its own words.
    pub(crate) published: Option<&'static str>,
}

/// A way from one thread to another.
pub(crate) trait Transport: 'static {
    type Payload: Numbered;
    type Tx: Tx;
    type Rx: Rx;
    /// How often the receiving end sees each event.
    const COPIES: u64 = 1;
    fn about() -> About;
    fn open(slots: usize) -> (Self::Tx, Self::Rx);
}

pub(crate) trait Tx: Send {
    /// Publishes number `n`; spins while there is no room.
    fn send(&mut self, n: u64);

    /// Publishes `count` events from number `first` on, together where the contender can.
    #[inline(always)]
    fn send_batch(&mut self, first: u64, count: u64) {
        for n in first..first + count {
            self.send(n);
        }
    }

    /// Makes the next send fast after a pause, where the contender has a call for it.
    fn warm(&mut self) {}
}

pub(crate) trait Rx: Send {
    /// Walks what is there, in the contender's best form.
    fn drain(&mut self, each: impl FnMut(Seen));

    /// One event, if one is there, without a look at the next.
    #[inline(always)]
    fn take(&mut self) -> Option<Seen> {
        let mut last = None;
        self.drain(|seen| last = Some(seen));
        last
    }

    /// Spins, without a pause instruction, until one event is there.
    #[inline(always)]
    fn wait(&mut self) -> Seen {
        loop {
            if let Some(seen) = self.take() {
                return seen;
            }
        }
    }
}

/// The sum over all words of the numbers `0..end`.
pub(crate) fn expected_sum<P: Numbered>(end: u64) -> u64 {
    (0..end).fold(0, |sum: u64, n| sum.wrapping_add(P::expected(n)))
}
