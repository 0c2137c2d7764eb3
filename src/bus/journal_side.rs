//! *Owns* what of a bus concerns its journal: the journal itself and the snapshot threads beside it.
//! *Invariant*: a snapshot thread outlives the stage that feeds it and ends before the bus is gone.
//! *Source*: its own; without the `journal` feature `no_journal.rs` stands in.

use super::stage::Make;
use super::{Bus, BusBuilder, Report, StageBuilder};
use crate::barrier::CursorRef;
use crate::error::BuildError;
use crate::event::Event;
use crate::journal::{JournalHandle, JournalOptions, JournalStats, JournalWriter};
use crate::journaler::{self, Opened, Source};
use crate::sequence::Sequence;
use crate::snapshots::{Job, Projected, SnapshotStatus};
use crate::state::Projection;
use crate::topology::{JOURNAL, Role};
use parking_lot::Mutex;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;

/// The journal as asked for.
#[derive(Default)]
pub(super) struct JournalSide {
    source: Option<Source>,
    jobs: Vec<(String, Job)>,
}

/// The journal, open, while the bus is put together.
pub(super) struct OpenSide {
    start: Sequence,
    durable: Option<CursorRef>,
    writer: Option<JournalWriter>,
    running: Running,
}

/// The journal of a running bus.
#[derive(Default)]
pub(super) struct Running {
    handle: Option<JournalHandle>,
    snapshots: Vec<(String, Arc<Mutex<SnapshotStatus>>)>,
    threads: Vec<JoinHandle<()>>,
}

/// What became of the snapshots of each stage.
pub(super) type Snapshots = Vec<(String, SnapshotStatus)>;

impl JournalSide {
    /// Opens the journal and starts the snapshot threads.
    pub(super) fn open<E: Event>(self) -> Result<OpenSide, BuildError> {
        let mut side = OpenSide {
            start: Sequence::ZERO,
            durable: None,
            writer: None,
            running: Running::default(),
        };
        let Some(source) = self.source else { return Ok(side) };
        let opened = source.open::<E>()?;
        for (stage, job) in self.jobs {
            side.running.start(stage, job, &opened)?;
        }
        side.start = opened.next_sequence();
        side.durable = Some(opened.durable_cursor());
        let (handle, writer) = opened.split();
        side.running.handle = Some(handle);
        side.writer = Some(writer);
        Ok(side)
    }
}

impl OpenSide {
    /// The sequence at which the journal goes on, if there is one.
    pub(super) fn start(&self) -> Option<Sequence> {
        self.durable.as_ref().map(|_| self.start)
    }

    pub(super) fn durable(&self) -> Option<CursorRef> {
        self.durable.clone()
    }

    /// What makes the journal stage of its poller.
    pub(super) fn make<E: Event>(&mut self) -> Option<Make<E>> {
        let writer = self.writer.take()?;
        Some(Box::new(move |poller| journaler::stage(poller, writer)))
    }

    pub(super) fn into_running(self) -> Running {
        self.running
    }
}

impl Running {
    fn start(&mut self, stage: String, job: Job, opened: &Opened) -> Result<(), BuildError> {
        let (dir, id, handle) = opened.home();
        self.snapshots.push((stage.clone(), Arc::clone(&job.status)));
        let thread = std::thread::Builder::new()
            .name(format!("tb-snap-{stage}"))
            .spawn(move || job.run(dir, id, handle))
            .map_err(|source| BuildError::Thread { stage, source })?;
        self.threads.push(thread);
        Ok(())
    }

    /// Waits for the snapshots under way. The stages that feed them are gone.
    pub(super) fn join(&mut self) {
        for thread in self.threads.drain(..) {
            // A panic there has been printed; its status stays as it was.
            drop(thread.join());
        }
    }

    /// Writes what became of each stage's snapshots into the report.
    pub(super) fn tell(&self, report: &mut Report) {
        report.snapshots = self.statuses();
        report.journal = self.handle.as_ref().map(JournalHandle::stats);
    }

    fn statuses(&self) -> Snapshots {
        self.snapshots
            .iter()
            .map(|(stage, status)| (stage.clone(), status.lock().clone()))
            .collect()
    }
}

impl<E: Event> BusBuilder<E> {
    /// Adds the journal stage, named `journal`, over a new journal in `dir`, which is created where
    /// missing. A directory that holds a journal already is refused: recover it.
    pub fn journal(
        &mut self,
        dir: impl Into<PathBuf>,
        options: JournalOptions,
    ) -> StageBuilder<'_, E> {
        self.journal_from(Source::Create { dir: dir.into(), options })
    }

    pub(crate) fn journal_from(&mut self, source: Source) -> StageBuilder<'_, E> {
        self.journal_side().source = Some(source);
        self.push(JOURNAL, Role::Journal, None)
    }

    /// Adds a projection as a stage. [`Report::take`] gives the state back.
    pub fn projection<P, F>(&mut self, name: &str, stage: Projected<P, F>) -> StageBuilder<'_, E>
    where
        P: Projection<Event = E>,
        F: FnMut(&mut P, Sequence) + Send + 'static,
    {
        let needs_journal = stage.takes_snapshots();
        let (handler, job) = stage.split();
        self.journal_side().jobs.extend(job.map(|job| (name.to_owned(), job)));
        let stage =
            self.stage(name, Role::Handler, handler, |handler| Box::new(handler.into_state()));
        stage.needs_journal(needs_journal).has_state().rebuilt()
    }
}

impl<E: Event> Bus<E> {
    /// The journal of this bus, if it has one.
    #[must_use]
    pub fn journal(&self) -> Option<&JournalHandle> {
        self.core.journal.handle.as_ref()
    }

    /// What became of the snapshots of the stage `name` so far.
    #[must_use]
    pub fn snapshots(&self, name: &str) -> Option<SnapshotStatus> {
        find(self.core.journal.statuses(), name)
    }
}

impl Report {
    /// What the journal did, if the bus had one.
    #[must_use]
    pub fn journal(&self) -> Option<JournalStats> {
        self.journal
    }

    /// What became of the snapshots of the stage `name`.
    #[must_use]
    pub fn snapshots(&self, name: &str) -> Option<SnapshotStatus> {
        find(self.snapshots.clone(), name)
    }
}

fn find(statuses: Vec<(String, SnapshotStatus)>, name: &str) -> Option<SnapshotStatus> {
    statuses.into_iter().find_map(|(stage, status)| (stage == name).then_some(status))
}
