//! *Owns* what the journal has achieved and who waits for it. *Invariant*: `durable` moves only
//! after a sync that covers it has returned; after the first failed sync it never moves again.
//! *Source*: the fsync failures of 2018, and what became of the databases that retried.

use crate::cursor::{Counter, Cursor};
use crate::journal::error::JournalError;
use crate::sequence::Sequence;
use parking_lot::{Condvar, Mutex};
use std::sync::Arc;

/// Shared by the appending thread, the committer, the helper and every handle.
#[derive(Debug)]
pub(crate) struct Progress {
    pub(crate) journaled: Arc<Cursor>,
    pub(crate) durable: Arc<Cursor>,
    /// Somebody waits for everything below to become durable.
    wanted: Cursor,
    /// Set once the journal can do no more.
    is_over: Cursor,
    end: Mutex<Option<JournalError>>,
    /// Why the next segment could not be prepared; the writer meets it at its next roll.
    trouble: Mutex<Option<JournalError>>,
    bell: Condvar,
    pub(crate) counts: Counts,
}

/// What a journal has done since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct JournalStats {
    /// Segments prepared ahead.
    pub segments_prepared: u64,
    /// Times the writer went over to the next segment.
    pub rolls: u64,
    /// Rolls that found the next segment not ready and waited for it.
    pub stalls: u64,
    /// Bytes of frames in segments that were left behind or closed, padding included.
    pub frames_bytes: u64,
    /// Syncs that returned.
    pub syncs: u64,
}

/// The same, counted without a lock.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) segments_prepared: Counter,
    pub(crate) rolls: Counter,
    pub(crate) stalls: Counter,
    pub(crate) frames_bytes: Counter,
    pub(crate) syncs: Counter,
}

impl Progress {
    /// Everything below `start` is on the disk already.
    pub(crate) fn new(start: Sequence) -> Arc<Self> {
        Arc::new(Self {
            journaled: Arc::new(Cursor::new(start)),
            durable: Arc::new(Cursor::new(start)),
            wanted: Cursor::new(start),
            is_over: Cursor::new(Sequence::ZERO),
            end: Mutex::new(None),
            trouble: Mutex::new(None),
            bell: Condvar::new(),
            counts: Counts::default(),
        })
    }

    /// What the appending thread is asked to have synced. One relaxed load.
    #[inline(always)]
    pub(crate) fn wanted(&self) -> Sequence {
        self.wanted.peek()
    }

    /// Whether the journal can do no more. One relaxed load.
    #[inline(always)]
    pub(crate) fn is_over(&self) -> bool {
        self.is_over.peek() != Sequence::ZERO
    }

    /// Blocks until everything below `through` is durable.
    pub(crate) fn wait_durable(&self, through: Sequence) -> Result<Sequence, JournalError> {
        self.wanted.raise(through);
        let mut end = self.end.lock();
        loop {
            let durable = self.durable.acquire();
            if durable >= through {
                return Ok(durable);
            }
            if let Some(error) = &*end {
                return Err(error.clone());
            }
            self.bell.wait(&mut end);
        }
    }

    /// A sync that covers everything below `durable` has returned.
    pub(crate) fn synced(&self, durable: Sequence) {
        // Under the lock, so that no waiter sleeps between its look and the bell.
        let _end = self.end.lock();
        self.durable.publish(durable);
        self.bell.notify_all();
    }

    /// Ends the journal; the first reason is kept.
    pub(crate) fn end(&self, reason: JournalError) {
        let mut end = self.end.lock();
        end.get_or_insert(reason);
        self.is_over.publish(Sequence::new(1));
        self.bell.notify_all();
    }

    /// A failed sync: nothing is acknowledged any more.
    pub(crate) fn poison(&self, first: JournalError) {
        self.end(JournalError::Poisoned { first: Arc::new(first) });
    }

    /// The next segment could not be prepared.
    pub(crate) fn warn(&self, trouble: JournalError) {
        *self.trouble.lock() = Some(trouble);
    }

    pub(crate) fn trouble(&self) -> Option<JournalError> {
        self.trouble.lock().clone()
    }

    /// Why the journal can do no more.
    pub(crate) fn reason(&self) -> JournalError {
        self.end.lock().clone().unwrap_or(JournalError::Closed)
    }

    pub(crate) fn stats(&self) -> JournalStats {
        JournalStats {
            segments_prepared: self.counts.segments_prepared.get(),
            rolls: self.counts.rolls.get(),
            stalls: self.counts.stalls.get(),
            frames_bytes: self.counts.frames_bytes.get(),
            syncs: self.counts.syncs.get(),
        }
    }
}
