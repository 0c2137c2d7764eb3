//! *Owns* the journal stage: where the ring meets the journal. *Invariant*: the stage's gate passes
//! an event only when the event's whole frame is in the map, so to stand behind the gate is to stand
//! behind `journaled`; and it drains what is published however the bus ends. *Source*: the journaler
//! of the LMAX architecture.

use crate::barrier::CursorRef;
use crate::control::Control;
use crate::error::Outcome;
use crate::event::{Event, SchemaId};
use crate::journal::{
    Journal, JournalError, JournalHandle, JournalOptions, JournalWriter, OpenJournal,
};
use crate::poller::Poller;
use crate::processor::{Failure, Stage, Work};
use crate::ring::Life;
use crate::sequence::Sequence;
use core::any::Any;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

/// Where a bus's journal comes from.
pub(crate) enum Source {
    /// A new one.
    Create {
        /// Its directory.
        dir: PathBuf,
        /// Its options.
        options: JournalOptions,
    },
    /// A recovered one, whose lock is held.
    Resume(Box<OpenJournal>),
}

/// A journal that is ready to be written.
pub(crate) struct Opened {
    next: Sequence,
    dir: PathBuf,
    id: u128,
    writer: JournalWriter,
    handle: JournalHandle,
}

impl Source {
    pub(crate) fn open<E: Event>(self) -> Result<Opened, JournalError> {
        let open = match self {
            Self::Create { dir, options } => {
                Journal::create(&dir, &options, &[SchemaId::of::<E>()])?
            }
            Self::Resume(open) => *open,
        };
        let (next, dir, id) = (open.next_sequence(), open.dir().to_owned(), open.id());
        let (writer, handle) = open.into_writer()?;
        Ok(Opened { next, dir, id, writer, handle })
    }
}

impl Opened {
    pub(crate) fn next_sequence(&self) -> Sequence {
        self.next
    }

    pub(crate) fn durable_cursor(&self) -> CursorRef {
        CursorRef::Shared(self.handle.durable_cursor())
    }

    /// Directory, id and handle for whoever takes snapshots beside the journal.
    pub(crate) fn home(&self) -> (PathBuf, u128, JournalHandle) {
        (self.dir.clone(), self.id, self.handle.clone())
    }

    pub(crate) fn split(self) -> (JournalHandle, JournalWriter) {
        (self.handle, self.writer)
    }
}

/// The stage over `poller` that writes to `writer`.
pub(crate) fn stage<E: Event>(poller: Poller<E>, writer: JournalWriter) -> Box<dyn Stage> {
    Box::new(Journaling { poller, writer: Some(writer) })
}

struct Journaling<E: Event> {
    poller: Poller<E>,
    /// Taken when the journal is finished.
    writer: Option<JournalWriter>,
}

impl<E: Event> Journaling<E> {
    /// Writes one batch; `false` if there was none.
    fn write_batch(
        poller: &mut Poller<E>,
        writer: &mut JournalWriter,
    ) -> Result<bool, JournalError> {
        let Some(mut batch) = poller.poll_to_the_end() else { return Ok(false) };
        let now_ns = unix_time_ns();
        let mut written = Ok(());
        while let Some((sequence, raw)) = batch.next_raw() {
            written = match raw {
                Some(raw) => {
                    let time_ns = E::time_ns(raw.event).unwrap_or(now_ns);
                    writer.append(sequence, time_ns, raw.bytes)
                }
                None => writer.append_aborted(sequence),
            };
            if written.is_err() {
                break;
            }
        }
        match written {
            Ok(()) => {
                drop(batch);
                Ok(true)
            }
            Err(error) => {
                batch.refuse();
                Err(error)
            }
        }
    }

    /// Whether everything that will ever come here has been written. On a halted bus a stage above
    /// this one may have stopped short of the end.
    fn is_over(&self) -> bool {
        match self.poller.life() {
            Life::Open => false,
            Life::Draining => self.poller.lag_events() == 0,
            Life::Halted | Life::Stopped => {
                self.poller.lag_events() == 0 || self.poller.has_upstream()
            }
        }
    }
}

impl<E: Event> Stage for Journaling<E> {
    fn start(&mut self) {}

    fn work(&mut self, _control: &Control) -> Work {
        let Some(writer) = &mut self.writer else { return Work::Over(Outcome::Stopped) };
        let wrote = Self::write_batch(&mut self.poller, writer);
        match wrote.and_then(|wrote| writer.end_batch().map(|()| wrote)) {
            Ok(true) => Work::Done,
            Ok(false) if self.is_over() => Work::Over(Outcome::Stopped),
            Ok(false) => Work::Idle,
            Err(error) => Work::Failed(Failure::Journal(error)),
        }
    }

    fn stop(&mut self) -> Result<(), Failure> {
        match self.writer.take() {
            Some(writer) => writer.finish().map_err(Failure::Journal),
            None => Ok(()),
        }
    }

    fn retire(&mut self) {
        // A writer that is left over belongs to a stage that failed: its cursors stay, too.
        self.writer = None;
        self.poller.end_journal();
    }

    fn into_handler(self: Box<Self>) -> Box<dyn Any + Send> {
        Box::new(())
    }
}

/// The journaler's clock, for events that carry no time of their own. Read once per batch.
fn unix_time_ns() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}
