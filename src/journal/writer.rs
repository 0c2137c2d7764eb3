//! *Owns* appending: one thread, one open segment, one frame after the other. *Invariant*: on return
//! from `append` the whole frame is in the map, so it survives the process; a page that was given to
//! a sync is never stored into again. *Source*: the journaler of the LMAX architecture; Aeron's
//! length-last publication.

use crate::cursor::Cursor;
use crate::journal::error::JournalError;
use crate::journal::frame::{self, Head, Kind, NO_LAG, PAGE_BYTES};
use crate::journal::helper::{Commit, Prepared};
use crate::journal::map::SegmentMap;
use crate::journal::progress::{JournalStats, Progress};
use crate::sequence::Sequence;
use core::time::Duration;
use crossbeam_channel::{Receiver, Sender, TryRecvError, TrySendError};
use std::sync::Arc;
use std::thread::JoinHandle;

/// The one appending thread's end of a journal.
#[derive(Debug)]
pub(crate) struct JournalWriter {
    open: Open,
    /// The sequence of the next frame.
    next: Sequence,
    last_time_ns: u64,
    /// Everything below was given to the committer.
    committed: Sequence,
    /// Everything below stands in a MARK as durable.
    marked: Sequence,
    progress: Arc<Progress>,
    helpers: Option<Helpers>,
}

/// The segment being written.
#[derive(Debug)]
struct Open {
    map: Arc<SegmentMap>,
    /// Where the next frame lies.
    at: usize,
    /// No frame fits behind the last one any more.
    is_full: bool,
    /// Everything below was given to a sync.
    given: usize,
    first: Sequence,
}

impl Open {
    /// Bytes that the next frame may take.
    #[inline(always)]
    fn room_bytes(&self) -> usize {
        if self.is_full { 0 } else { self.map.frames_end() - self.at }
    }

    fn frames_bytes(&self) -> u64 {
        (self.at - self.map.frames_start()) as u64
    }
}

/// The threads beside the writer, and the ways to them.
#[derive(Debug)]
pub(crate) struct Helpers {
    pub(crate) prepared: Receiver<Prepared>,
    pub(crate) commits: Sender<Commit>,
    pub(crate) preparer: JoinHandle<()>,
    pub(crate) committer: JoinHandle<()>,
    /// Held until the journal is closed.
    pub(crate) lock: crate::journal::lock::Lock,
}

impl JournalWriter {
    /// A writer that opens `map` as its first segment.
    pub(crate) fn new(
        map: Arc<SegmentMap>,
        next: Sequence,
        last_time_ns: u64,
        progress: Arc<Progress>,
        helpers: Helpers,
    ) -> Self {
        let at = map.frames_start();
        let open = Open { map, at, is_full: false, given: at, first: next };
        let mut writer = Self {
            open,
            next,
            last_time_ns,
            committed: next,
            marked: next,
            progress,
            helpers: Some(helpers),
        };
        writer.write(Kind::Open, writer.next, &[]);
        writer
    }

    /// Appends the event `sequence`, which must be the next one.
    ///
    /// Returns when the whole frame is in the map. Allocates nothing and makes no system call,
    /// except at a roll.
    #[inline]
    pub(crate) fn append(
        &mut self,
        sequence: Sequence,
        time_ns: u64,
        payload: &[u8],
    ) -> Result<(), JournalError> {
        assert_eq!(sequence, self.next, "the journal has no gap");
        let space_bytes = frame::space_bytes(payload.len());
        if self.open.room_bytes() < space_bytes {
            self.roll(space_bytes)?;
        }
        self.last_time_ns = self.last_time_ns.max(time_ns);
        self.write(Kind::Event(0), sequence, payload);
        self.next = sequence.next();
        Ok(())
    }

    /// Appends `sequence` as aborted.
    pub(crate) fn append_aborted(&mut self, sequence: Sequence) -> Result<(), JournalError> {
        assert_eq!(sequence, self.next, "the journal has no gap");
        let space_bytes = frame::space_bytes(0);
        if self.open.room_bytes() < space_bytes {
            self.roll(space_bytes)?;
        }
        self.write(Kind::Abort, sequence, &[]);
        self.next = sequence.next();
        Ok(())
    }

    /// Publishes `journaled` and serves whoever waits for `durable`.
    #[inline]
    pub(crate) fn end_batch(&mut self) -> Result<(), JournalError> {
        if self.progress.journaled.peek() != self.next {
            self.progress.journaled.publish(self.next);
        }
        if self.progress.is_over() {
            return Err(self.progress.reason());
        }
        let durable = self.progress.durable.peek();
        // One commit at a time: what comes meanwhile goes together into the next, so that somebody
        // who waits for events still to come does not cost a page and a sync per batch.
        let is_settled = durable == self.committed;
        if is_settled && self.progress.wanted() > self.committed && self.next > self.committed {
            self.commit();
        } else if self.marked < self.committed && durable == self.next {
            self.mark();
        }
        Ok(())
    }

    /// Syncs everything, says so in a MARK, syncs that, and ends the helpers.
    pub(crate) fn finish(mut self) -> Result<(), JournalError> {
        let outcome = self.close();
        self.end_helpers();
        match self.progress.reason() {
            JournalError::Closed => outcome,
            poisoned => Err(poisoned),
        }
    }

    fn close(&mut self) -> Result<(), JournalError> {
        self.progress.journaled.publish(self.next);
        self.commit();
        self.progress.wait_durable(self.next)?;
        self.mark();
        self.progress.counts.frames_bytes.add(self.open.frames_bytes());
        Ok(())
    }

    fn end_helpers(&mut self) {
        if let Some(Helpers { prepared, commits, preparer, committer, lock }) = self.helpers.take()
        {
            drop((prepared, commits));
            // A panic in either has been printed; what it left undone, recovery does.
            let _ = (committer.join(), preparer.join());
            self.progress.end(JournalError::Closed);
            drop(lock);
        }
    }

    /// Writes a frame at the end, where the caller has made room, and publishes it.
    #[inline(always)]
    fn write(&mut self, kind: Kind, sequence: Sequence, payload: &[u8]) {
        let behind = sequence.events_since(self.progress.durable.peek());
        let lag = u32::try_from(behind).unwrap_or(NO_LAG);
        let head = Head { kind, sequence, time_ns: self.last_time_ns, lag };
        let at = self.open.at;
        // SAFETY: M1: `&mut self` is the one appending thread, and everything from `at` on is
        // unpublished; `at` starts at the frames' start and grows by multiples of 16, and every
        // caller has made room below the frames' end.
        unsafe { self.open.map.write(at, &head, payload) };
        self.open.at = at + frame::space_bytes(payload.len());
    }

    /// Gives everything written so far to the committer, up to a page of its own.
    #[cold]
    fn commit(&mut self) {
        self.pad();
        self.give(self.open.at);
    }

    fn give(&mut self, to: usize) {
        let (map, from) = (Arc::clone(&self.open.map), self.open.given);
        self.hand_over(Commit::Sync { map, from, to, durable: self.next });
        self.open.given = to;
        self.committed = self.next;
    }

    /// Gives the committer work, and naps where it is far behind: a blocking send would allocate.
    fn hand_over(&self, mut commit: Commit) {
        let Some(helpers) = &self.helpers else { return };
        loop {
            match helpers.commits.try_send(commit) {
                // A committer that is gone has poisoned the journal first; whoever waits is told.
                Ok(()) | Err(TrySendError::Disconnected(_)) => return,
                Err(TrySendError::Full(back)) => {
                    commit = back;
                    std::thread::park_timeout(NAP);
                }
            }
        }
    }

    /// Fills the page, so that the next frame starts one that no sync has seen. Fewer bytes than a
    /// frame's header cannot be filled alone: then the filler runs to the end of the next page.
    fn pad(&mut self) {
        let rest = self.open.at.next_multiple_of(PAGE_BYTES) - self.open.at;
        let filler = match rest {
            0 => return,
            rest if rest < frame::HEADER_BYTES => rest + PAGE_BYTES,
            rest => rest,
        };
        let end = self.open.map.frames_end();
        let payload_bytes = filler.min(end - self.open.at).checked_sub(frame::HEADER_BYTES);
        match payload_bytes {
            Some(bytes) => self.write(Kind::Pad, self.next, &ZEROS[..bytes]),
            // No frame fits behind the last: the next goes into the next segment.
            None => self.open.is_full = true,
        }
    }

    /// Says in the journal what is durable, so that damage can be told from a torn tail.
    #[cold]
    fn mark(&mut self) {
        let durable = self.progress.durable.acquire();
        let space_bytes = frame::space_bytes(size_of::<u64>());
        if self.open.room_bytes() >= space_bytes {
            self.write(Kind::Mark, self.next, &durable.get().to_le_bytes());
            self.commit();
        }
        self.marked = durable;
    }

    /// Goes over to the next segment, in which a frame of `space_bytes` must fit.
    #[cold]
    fn roll(&mut self, space_bytes: usize) -> Result<(), JournalError> {
        let fits = self.open.map.frames_end() - self.open.map.frames_start();
        if fits < space_bytes + frame::HEADER_BYTES {
            return Err(JournalError::FrameTooLarge {
                needed_bytes: space_bytes as u64,
                segment_bytes: fits as u64,
            });
        }
        let map = self.next_segment()?;
        self.give(self.open.at);
        let at = map.frames_start();
        let opened = Open { map, at, is_full: false, given: at, first: self.next };
        let left = core::mem::replace(&mut self.open, opened);
        self.progress.counts.rolls.add(1);
        self.progress.counts.frames_bytes.add(left.frames_bytes());
        self.write(Kind::Open, self.next, &[]);
        self.hand_over(Commit::Seal {
            map: left.map,
            frames_end: left.at,
            first: left.first,
            end: self.next,
            last_time_ns: self.last_time_ns,
        });
        Ok(())
    }

    /// Takes the segment that was prepared ahead, or waits for it.
    fn next_segment(&self) -> Prepared {
        let Some(helpers) = &self.helpers else { return Err(JournalError::Closed) };
        match helpers.prepared.try_recv() {
            Ok(prepared) => prepared,
            Err(TryRecvError::Disconnected) => Err(JournalError::Closed),
            Err(TryRecvError::Empty) => {
                self.progress.counts.stalls.add(1);
                Self::wait_for_segment(&helpers.prepared)
            }
        }
    }

    /// Naps until the next segment is there: a blocking receive would allocate.
    fn wait_for_segment(prepared: &Receiver<Prepared>) -> Prepared {
        loop {
            match prepared.try_recv() {
                Ok(prepared) => return prepared,
                Err(TryRecvError::Disconnected) => return Err(JournalError::Closed),
                Err(TryRecvError::Empty) => std::thread::park_timeout(NAP),
            }
        }
    }
}

/// How long a writer that waits for its helpers sleeps between two looks.
const NAP: Duration = Duration::from_micros(50);

static ZEROS: [u8; 2 * PAGE_BYTES] = [0; 2 * PAGE_BYTES];

impl Drop for JournalWriter {
    /// A writer that was not finished leaves an unsynced, unmarked tail, as a crash would.
    fn drop(&mut self) {
        self.end_helpers();
    }
}

/// What anybody may ask of a journal that is being written, from any thread.
#[derive(Clone, Debug)]
pub struct JournalHandle {
    progress: Arc<Progress>,
}

impl JournalHandle {
    pub(crate) fn new(progress: Arc<Progress>) -> Self {
        Self { progress }
    }

    /// Everything below is in the journal's map, frames whole: it survives the process.
    #[must_use]
    pub fn journaled(&self) -> Sequence {
        self.progress.journaled.acquire()
    }

    /// A sync that covers everything below has returned: it survives the power.
    #[must_use]
    pub fn durable(&self) -> Sequence {
        self.progress.durable.acquire()
    }

    /// Blocks until everything below `through` is durable; gives how far that is. What is not even
    /// published yet is waited for. One system call on the committer's thread, and a sleep here.
    ///
    /// # Errors
    /// [`JournalError::Poisoned`] after a failed sync, for ever; [`JournalError::Closed`] if the
    /// bus ends first.
    pub fn flush(&self, through: Sequence) -> Result<Sequence, JournalError> {
        self.progress.wait_durable(through)
    }

    /// Why the next segment could not be prepared: a warning, a segment ahead. The bus halts with
    /// this error when the open segment is full.
    #[must_use]
    pub fn trouble(&self) -> Option<JournalError> {
        self.progress.trouble()
    }

    /// What the journal has done since it was opened.
    #[must_use]
    pub fn stats(&self) -> JournalStats {
        self.progress.stats()
    }

    pub(crate) fn durable_cursor(&self) -> Arc<Cursor> {
        Arc::clone(&self.progress.durable)
    }
}
