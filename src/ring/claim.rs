//! *Owns* how a producer wins a sequence. *Invariant* (R3): a won sequence's slot is free, and is
//! stamped by its winner alone. *Source*: the LMAX Disruptor's two sequencers; R3's order of looks,
//! first the gates and then the exchange, is ours.
//!
//! The two claims differ only in how a sequence is won; slots, stamps, gates and consumers know
//! nothing of it.
//!
//! | | wins by | a claim that is forgotten | `claimed` says |
//! |---|---|---|---|
//! | [`Single`] | a plain field, moved by publishing | is claimed again | everything below is stamped; told at each scan, the stamps know the rest |
//! | [`Multi`] | compare-exchange on `claimed` | is aborted at the handle's next claim or drop | everything below is won |
//!
//! A sequence is never won before its slot is free: a fetch-add that must then wait can be neither
//! filled nor aborted, and a halt would hang on it.

#![allow(private_interfaces, reason = "sealed: nobody outside can name or call what it is about")]

use crate::cursor::Cursor;
use crate::error::Full;
use crate::ring::{Header, Ring};
use crate::sequence::Sequence;
use core::ops::Range;
use std::sync::Arc;

/// How a producer wins its sequences: [`Single`] or [`Multi`]. Sealed.
pub trait Claims: sealed::Claims + Send + core::fmt::Debug + 'static {}

impl<C: sealed::Claims + Send + core::fmt::Debug + 'static> Claims for C {}

pub(crate) mod sealed {
    use super::{Full, Header, Range, Ring, Sequence};

    /// What a producer asks of its claim.
    pub trait Claims {
        /// The first of `count` sequences, if slots for them were free at the last scan. The caller
        /// stamps all of them, then calls [`Claims::settle`].
        fn win(&mut self, header: &Header, count: u64) -> Option<Sequence>;

        /// Scans the gates for `count` free slots behind the next sequence.
        fn scan(&mut self, ring: &Ring, count: u64) -> Result<(), Full>;

        /// Everything won is stamped, up to `end`.
        fn settle(&mut self, end: Sequence);

        /// What was won and is not settled: empty, unless a guard was forgotten.
        fn unsettled(&self) -> Range<Sequence>;

        /// The producer is gone.
        fn leave(&self, ring: &Ring);
    }
}

/// The claim of an only producer.
#[derive(Debug)]
pub struct Single {
    /// The next sequence to publish.
    next: Sequence,
    /// Slots below this sequence are free, as far as the last scan of the gates could tell.
    limit: Sequence,
}

impl Single {
    pub(crate) fn new(start: Sequence) -> Self {
        Self { next: start, limit: start }
    }
}

impl sealed::Claims for Single {
    #[inline(always)]
    fn win(&mut self, _header: &Header, count: u64) -> Option<Sequence> {
        (self.next.advance(count) <= self.limit).then_some(self.next)
    }

    #[cold]
    fn scan(&mut self, ring: &Ring, count: u64) -> Result<(), Full> {
        let next = self.next;
        // Before `limit` is raised, which is never above it. A store per publish would cost a fifth
        // of the throughput: the processor keeps a bounded number of them waiting for their lines.
        ring.header().claimed.publish(next);
        self.limit = ring.free_below(next, count, |_| next)?;
        Ok(())
    }

    #[inline(always)]
    fn settle(&mut self, end: Sequence) {
        self.next = end;
    }

    #[inline(always)]
    fn unsettled(&self) -> Range<Sequence> {
        self.next..self.next
    }

    fn leave(&self, ring: &Ring) {
        ring.header().claimed.publish(self.next);
    }
}

/// The claim of one of several producers; a clone of the producer has one of its own.
#[derive(Debug)]
pub struct Multi {
    /// As in [`Single`]; each producer scans for itself.
    limit: Sequence,
    /// Sequences won from the one in `held` on, and not settled yet.
    unsettled: u64,
    held: Arc<Held>,
}

/// The claim that one producer has reached for last, said to whoever asks: it holds it as long as it
/// is not stamped. A line that only its producer writes.
#[derive(Debug)]
pub(crate) struct Held {
    name: Arc<str>,
    first: Cursor,
}

impl Held {
    const NOTHING: Sequence = Sequence::from_word(u64::MAX);

    pub(crate) fn nothing(name: Arc<str>) -> Self {
        Self { name, first: Cursor::new(Self::NOTHING) }
    }

    pub(crate) fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// The first sequence of the claim. Of two producers that reach for one sequence at this very
    /// moment both may name it.
    pub(crate) fn first(&self) -> Sequence {
        self.first.acquire()
    }
}

impl Multi {
    pub(crate) fn new(start: Sequence, held: Arc<Held>) -> Self {
        Self { limit: start, unsettled: 0, held }
    }

    pub(crate) fn held(&self) -> &Arc<Held> {
        &self.held
    }
}

impl sealed::Claims for Multi {
    #[inline(always)]
    fn win(&mut self, header: &Header, count: u64) -> Option<Sequence> {
        let mut next = header.claimed.peek();
        while next.advance(count) <= self.limit {
            // Said before it is won: a winner that is stopped right behind the exchange has a name.
            // An empty batch holds nothing; what it would name is another's a moment later.
            if count > 0 {
                self.held.first.publish(next);
            }
            match header.claimed.win(next, next.advance(count)) {
                Ok(()) => {
                    self.unsettled = count;
                    return Some(next);
                }
                Err(now) => next = now,
            }
        }
        None
    }

    #[cold]
    fn scan(&mut self, ring: &Ring, count: u64) -> Result<(), Full> {
        self.held.first.publish(Held::NOTHING);
        let next = ring.claimed();
        self.limit = ring.free_below(next, count, |from| ring.region().stamped(from..next))?;
        Ok(())
    }

    #[inline(always)]
    fn settle(&mut self, _end: Sequence) {
        self.unsettled = 0;
    }

    #[inline(always)]
    fn unsettled(&self) -> Range<Sequence> {
        let first = self.held.first.peek();
        first..Sequence::from_word(first.get().wrapping_add(self.unsettled))
    }

    fn leave(&self, ring: &Ring) {
        ring.leave(&self.held);
    }
}
