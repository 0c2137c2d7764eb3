//! *Owns* nothing: stands in for `journal_side.rs` where the `journal` feature is off. *Invariant*:
//! a bus without the feature has no journal stage. *Source*: its own.

use super::Report;
use super::stage::Make;
use crate::barrier::CursorRef;
use crate::error::BuildError;
use crate::event::Event;
use crate::sequence::Sequence;

#[derive(Default)]
pub(super) struct JournalSide(());

pub(super) struct OpenSide;

#[derive(Default)]
pub(super) struct Running(());

pub(super) type Snapshots = ();

impl JournalSide {
    #[allow(clippy::extra_unused_type_parameters, reason = "as where there is a journal")]
    pub(super) fn open<E: Event>(self) -> Result<OpenSide, BuildError> {
        Ok(OpenSide)
    }
}

impl OpenSide {
    pub(super) fn start(&self) -> Option<Sequence> {
        None
    }

    pub(super) fn durable(&self) -> Option<CursorRef> {
        None
    }

    pub(super) fn make<E: Event>(&mut self) -> Option<Make<E>> {
        None
    }

    pub(super) fn into_running(self) -> Running {
        Running(())
    }
}

impl Running {
    pub(super) fn join(&mut self) {}

    pub(super) fn tell(&self, _report: &mut Report) {}
}
