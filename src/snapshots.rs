//! *Owns* the live side of snapshots: who takes them, on which thread. *Invariant*: the stage that
//! holds the state only archives it into memory; syncing the journal, writing and renaming happen on
//! a thread of their own, and a snapshot is never ahead of the durable journal. *Source*: event
//! sourcing with snapshots, as in the LMAX exchange and Aeron Cluster.

use crate::event::SchemaId;
use crate::journal::{JournalError, JournalHandle};
use crate::processor::Handler;
use crate::sequence::Sequence;
use crate::state::{self, Projection, SnapshotHead, State};
use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use parking_lot::Mutex;
use rkyv::{Archived, util::AlignedVec};
use std::path::PathBuf;
use std::sync::Arc;

/// A projection as a stage: which snapshots it takes, and what follows each event.
///
/// ```
/// # use tourbillon::{Event, Projected, Projection, Schema, Sequence, rkyv};
/// # #[derive(rkyv::Archive, rkyv::Serialize, Event)]
/// # #[event(name = "bank.moved", version = 1)]
/// # struct Moved { amount: i64 }
/// # #[derive(Default, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize, Schema)]
/// # struct Balance { amount: i64 }
/// # impl Projection for Balance {
/// #     type Event = Moved;
/// #     fn apply(&mut self, moved: &ArchivedMoved, _: Sequence) { self.amount += moved.amount.to_native(); }
/// # }
/// let stage = Projected::new(Balance::default())
///     .snapshot_every(100_000)
///     .then(|balance: &mut Balance, sequence: Sequence| { /* publish what follows */ });
/// ```
pub struct Projected<P, F = fn(&mut P, Sequence)> {
    state: P,
    snapshot_every: Option<u64>,
    then: F,
}

impl<P: Projection> Projected<P> {
    /// A stage that applies every event to `state`, and no more.
    pub fn new(state: P) -> Self {
        Self { state, snapshot_every: None, then: |_, _| {} }
    }
}

impl<P: Projection, F> Projected<P, F> {
    /// Takes a snapshot after every `events` events, counted from the start of the journal. One
    /// that falls due while the last is still being written is passed over and counted.
    #[must_use]
    pub fn snapshot_every(mut self, events: u64) -> Self {
        self.snapshot_every = (events > 0).then_some(events);
        self
    }

    /// Calls `then` after each event, live and never in replay: the place to publish what follows.
    #[must_use]
    pub fn then<G: FnMut(&mut P, Sequence)>(self, then: G) -> Projected<P, G> {
        Projected { state: self.state, snapshot_every: self.snapshot_every, then }
    }

    pub(crate) fn takes_snapshots(&self) -> bool {
        self.snapshot_every.is_some()
    }

    /// Splits into the stage's handler and the job of its snapshot thread.
    pub(crate) fn split(self) -> (Projecting<P, F>, Option<Job>) {
        let (taker, job) = match self.snapshot_every {
            None => (None, None),
            Some(every) => {
                let (sender, receiver) = bounded(1);
                let status = Arc::new(Mutex::new(SnapshotStatus::default()));
                let job = Job {
                    schema: SchemaId::of::<P>(),
                    logic_version: P::LOGIC_VERSION,
                    receiver,
                    status: Arc::clone(&status),
                };
                (Some(Taker { every, sender, status }), Some(job))
            }
        };
        (Projecting { state: self.state, then: self.then, taker }, job)
    }
}

impl<P: core::fmt::Debug, F> core::fmt::Debug for Projected<P, F> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Projected")
            .field("state", &self.state)
            .field("snapshot_every", &self.snapshot_every)
            .finish_non_exhaustive()
    }
}

/// What became of a stage's snapshots so far.
#[derive(Clone, Debug, Default)]
pub struct SnapshotStatus {
    /// Snapshots installed.
    pub installed: u64,
    /// What the newest covers: everything below.
    pub covered: Option<Sequence>,
    /// Snapshots passed over because the last was still being written.
    pub passed_over: u64,
    /// The last error; the bus goes on without the snapshot.
    pub error: Option<JournalError>,
    /// The longest that the stage paused to archive its state, in ns.
    pub pause_ns_max: u64,
}

/// Archives state on the stage's thread and hands it on.
struct Taker {
    every: u64,
    sender: Sender<(Sequence, AlignedVec)>,
    status: Arc<Mutex<SnapshotStatus>>,
}

impl Taker {
    #[inline(always)]
    fn is_due(&self, covered: Sequence) -> bool {
        covered.get().is_multiple_of(self.every)
    }

    #[cold]
    fn take<P: State>(&self, state: &P, covered: Sequence) {
        if self.sender.is_full() {
            self.status.lock().passed_over += 1;
            return;
        }
        let since = std::time::Instant::now();
        let archived = state.to_bytes();
        let pause_ns = u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let mut status = self.status.lock();
        status.pause_ns_max = status.pause_ns_max.max(pause_ns);
        match archived.map(|body| self.sender.try_send((covered, body))) {
            Ok(Ok(()) | Err(TrySendError::Disconnected(_))) => {}
            Ok(Err(TrySendError::Full(_))) => status.passed_over += 1,
            Err(error) => status.error = Some(JournalError::unarchivable(P::NAME, &error)),
        }
    }
}

/// Drives a projection.
pub(crate) struct Projecting<P, F> {
    state: P,
    then: F,
    taker: Option<Taker>,
}

impl<P, F> Projecting<P, F> {
    pub(crate) fn into_state(self) -> P {
        self.state
    }
}

impl<P, F> Handler<P::Event> for Projecting<P, F>
where
    P: Projection,
    F: FnMut(&mut P, Sequence) + Send + 'static,
{
    #[inline]
    fn on_event(&mut self, event: &Archived<P::Event>, sequence: Sequence, _end_of_batch: bool) {
        self.state.apply(event, sequence);
        (self.then)(&mut self.state, sequence);
        if let Some(taker) = &self.taker
            && taker.is_due(sequence.next())
        {
            taker.take(&self.state, sequence.next());
        }
    }

    fn on_stop(&mut self) {
        // Ends the snapshot thread once it has written what was handed to it.
        self.taker = None;
    }
}

/// The work of a snapshot thread.
pub(crate) struct Job {
    schema: SchemaId,
    logic_version: u32,
    receiver: Receiver<(Sequence, AlignedVec)>,
    pub(crate) status: Arc<Mutex<SnapshotStatus>>,
}

impl Job {
    /// Writes snapshots until the stage is gone.
    pub(crate) fn run(self, dir: PathBuf, journal_id: u128, journal: JournalHandle) {
        for (covered, body) in self.receiver {
            let head = SnapshotHead {
                journal_id,
                covered,
                schema: self.schema,
                logic_version: self.logic_version,
            };
            let written = state::write(&dir, &head, &body, &journal);
            let mut status = self.status.lock();
            match written {
                Ok(()) => {
                    status.installed += 1;
                    status.covered = Some(covered);
                }
                Err(error) => status.error = Some(error),
            }
        }
    }
}
