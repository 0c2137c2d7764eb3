//! *Owns* the way back: newest snapshot, then replay, then on with the same numbering. *Invariant*:
//! from `open` to the end of the resumed bus the journal's lock is held, so nobody slips in between
//! what was rebuilt and what is appended. *Source*: event sourcing; the recovery of Aeron Cluster.

use crate::bus::{BusBuilder, StageBuilder};
use crate::event::{Codec, Event, SchemaId};
use crate::journal::{Journal, JournalError, JournalOptions, OpenJournal, RecordKind};
use crate::journaler::Source;
use crate::sequence::Sequence;
use crate::state::{self, Projection, SetAside, SnapshotExpected};
use core::{fmt, marker::PhantomData, time::Duration};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Events between two calls of the progress callback.
const PROGRESS_EVERY: u64 = 1 << 16;

/// A journal that is about to be recovered.
///
/// ```no_run
/// # use tourbillon::{Bus, Event, Projected, Projection, Recovery, Schema, Sequence, rkyv};
/// # #[derive(rkyv::Archive, rkyv::Serialize, Event)]
/// # #[event(name = "bank.moved", version = 1)]
/// # struct Moved { amount: i64 }
/// # #[derive(Default, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize, Schema)]
/// # struct Balance { amount: i64 }
/// # impl Projection for Balance {
/// #     type Event = Moved;
/// #     fn apply(&mut self, moved: &ArchivedMoved, _: Sequence) { self.amount += moved.amount.to_native(); }
/// # }
/// let recovered = Recovery::open("day-07")?.state::<Balance>()?;
/// println!("{} events replayed", recovered.replayed());
/// let mut builder = Bus::builder(1 << 16);
/// let (balance, _journal) = recovered.resume(&mut builder);
/// builder.projection("balance", Projected::new(balance));
/// let (mut producer, bus) = builder.start()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Recovery<E: Event> {
    open: OpenJournal,
    on_progress: Box<dyn FnMut(Progress)>,
    event: PhantomData<fn(&E)>,
}

/// How far a replay has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Everything below is part of the state.
    pub sequence: Sequence,
    /// The end of the journal.
    pub end: Sequence,
}

/// State rebuilt from a journal whose lock is still held.
pub struct Recovered<P: Projection> {
    state: P,
    open: OpenJournal,
    snapshot: Option<Sequence>,
    set_aside: Vec<SetAside>,
    replayed: u64,
    load_time: Duration,
    replay_time: Duration,
}

/// Why state could not be rebuilt.
#[derive(Debug)]
#[non_exhaustive]
pub enum RecoveryError {
    /// The journal was refused.
    Journal(JournalError),
    /// A frame passed its checksum, but its payload is no valid event of the type.
    Event {
        /// The event's sequence.
        sequence: Sequence,
        /// The type it should be.
        event: SchemaId,
        /// The journal's directory.
        dir: PathBuf,
    },
}

impl<E: Event> Recovery<E> {
    /// Takes the lock of the journal in `dir`, validates every segment and cuts a torn tail.
    ///
    /// # Errors
    /// [`JournalError`]: no journal, another event schema, locked, damaged below what was
    /// acknowledged, …
    pub fn open(dir: impl AsRef<Path>) -> Result<Self, JournalError> {
        Self::open_with(dir, &JournalOptions::default())
    }

    /// As [`Recovery::open`]; `options` hold for the segments that the resumed bus will write.
    ///
    /// # Errors
    /// As [`Recovery::open`].
    pub fn open_with(
        dir: impl AsRef<Path>,
        options: &JournalOptions,
    ) -> Result<Self, JournalError> {
        let open = Journal::open(dir.as_ref(), options, &[SchemaId::of::<E>()])?;
        Ok(Self { open, on_progress: Box::new(|_| {}), event: PhantomData })
    }

    /// Calls `on_progress` now and then during the replay, and at its end.
    #[must_use]
    pub fn on_progress(mut self, on_progress: impl FnMut(Progress) + 'static) -> Self {
        self.on_progress = Box::new(on_progress);
        self
    }

    /// The end of the journal: the sequence that the next event will have.
    #[must_use]
    pub fn end(&self) -> Sequence {
        self.open.next_sequence()
    }

    /// Rebuilds the state from its default.
    ///
    /// # Errors
    /// [`RecoveryError`].
    pub fn state<P: Projection<Event = E> + Default>(self) -> Result<Recovered<P>, RecoveryError> {
        self.state_from(P::default())
    }

    /// Rebuilds the state: the newest valid snapshot, or `initial` where there is none, then every
    /// event after it.
    ///
    /// # Errors
    /// [`RecoveryError`].
    pub fn state_from<P>(mut self, initial: P) -> Result<Recovered<P>, RecoveryError>
    where
        P: Projection<Event = E>,
    {
        let since = Instant::now();
        let (mut state, snapshot, set_aside) = self.load(initial)?;
        let load_time = since.elapsed();
        let since = Instant::now();
        let from = snapshot.unwrap_or_else(|| self.open.first_sequence());
        let replayed = self.replay(&mut state, from)?;
        let replay_time = since.elapsed();
        let open = self.open;
        Ok(Recovered { state, open, snapshot, set_aside, replayed, load_time, replay_time })
    }

    /// The newest snapshot that is valid and comes back as a state.
    fn load<P: Projection>(
        &self,
        initial: P,
    ) -> Result<(P, Option<Sequence>, Vec<SetAside>), RecoveryError> {
        let expected = SnapshotExpected {
            journal_id: self.open.id(),
            journal_end: self.open.next_sequence(),
            schema: SchemaId::of::<P>(),
            logic_version: P::LOGIC_VERSION,
        };
        let mut set_aside = Vec::new();
        let found = state::load_newest(self.open.directory(), &expected, &mut set_aside, |body| {
            P::from_bytes(body).map_err(|error| error.to_string())
        })?;
        Ok(match found {
            Some((covered, state)) => (state, Some(covered), set_aside),
            None => (initial, None, set_aside),
        })
    }

    /// Applies every event from `from` on; gives how many.
    fn replay<P>(&mut self, state: &mut P, from: Sequence) -> Result<u64, RecoveryError>
    where
        P: Projection<Event = E>,
    {
        let end = self.open.next_sequence();
        let mut events = 0;
        let mut replay = self.open.replay(from);
        while let Some(record) = replay.next() {
            let record = record?;
            if let RecordKind::Event { payload, .. } = record.kind {
                let event = <E::Codec as Codec<E>>::view_checked(payload).ok_or_else(|| {
                    RecoveryError::Event {
                        sequence: record.sequence,
                        event: SchemaId::of::<E>(),
                        dir: self.open.dir().to_owned(),
                    }
                })?;
                state.apply(event, record.sequence);
                events += 1;
            }
            if record.sequence.get().is_multiple_of(PROGRESS_EVERY) {
                (self.on_progress)(Progress { sequence: record.sequence, end });
            }
        }
        (self.on_progress)(Progress { sequence: end, end });
        Ok(events)
    }
}

impl<P: Projection> Recovered<P> {
    /// The rebuilt state.
    #[must_use]
    pub fn state(&self) -> &P {
        &self.state
    }

    /// The sequence that the next event will have.
    #[must_use]
    pub fn next_sequence(&self) -> Sequence {
        self.open.next_sequence()
    }

    /// What the snapshot that was loaded covers: everything below. `None` without a snapshot.
    #[must_use]
    pub fn snapshot_sequence(&self) -> Option<Sequence> {
        self.snapshot
    }

    /// Snapshots that were not loaded, and why.
    #[must_use]
    pub fn set_aside(&self) -> &[SetAside] {
        &self.set_aside
    }

    /// Events applied after the snapshot.
    #[must_use]
    pub fn replayed(&self) -> u64 {
        self.replayed
    }

    /// How long it took to find, check and load the snapshot.
    #[must_use]
    pub fn load_time(&self) -> Duration {
        self.load_time
    }

    /// How long the replay took.
    #[must_use]
    pub fn replay_time(&self) -> Duration {
        self.replay_time
    }

    /// What the journal's recovery found.
    #[must_use]
    pub fn journal(&self) -> &OpenJournal {
        &self.open
    }

    /// Hands the journal on to `builder`, whose events go on with the same numbering. Gives the
    /// state, and the journal's stage for whoever wants to pin it.
    pub fn resume(self, builder: &mut BusBuilder<P::Event>) -> (P, StageBuilder<'_, P::Event>) {
        (self.state, builder.journal_from(Source::Resume(Box::new(self.open))))
    }
}

impl From<JournalError> for RecoveryError {
    fn from(error: JournalError) -> Self {
        Self::Journal(error)
    }
}

impl fmt::Display for RecoveryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Journal(error) => error.fmt(f),
            Self::Event { sequence, event, dir } => write!(
                f,
                "event {sequence} in {} has a sound checksum but is no valid {event}; the journal was written by another program",
                dir.display()
            ),
        }
    }
}

impl std::error::Error for RecoveryError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Journal(error) => Some(error),
            Self::Event { .. } => None,
        }
    }
}

impl<E: Event> fmt::Debug for Recovery<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recovery").field("end", &self.end()).finish_non_exhaustive()
    }
}

impl<P: Projection> fmt::Debug for Recovered<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recovered")
            .field("next_sequence", &self.next_sequence())
            .field("snapshot", &self.snapshot)
            .field("replayed", &self.replayed)
            .finish_non_exhaustive()
    }
}
