//! *Owns* what stages of other buses may stand behind. *Invariant*: a link is made before its bus has
//! started, or after; it says nothing until then. *Source*: its own.

use super::{Bus, BusBuilder};
use crate::barrier::{CursorRef, Foreign};
use crate::event::Event;
use crate::ring::Ring;
use crate::topology::Milestone;
use std::sync::{Arc, OnceLock};

/// Cursors that stages of other buses stand behind; they are known once the bus has started.
#[derive(Clone, Debug, Default)]
pub(super) struct Links {
    pub(super) journaled: Arc<OnceLock<(Arc<Ring>, CursorRef)>>,
    pub(super) durable: Arc<OnceLock<(Arc<Ring>, CursorRef)>>,
}

impl Links {
    fn link(&self, milestone: Milestone) -> Link {
        let cell = match milestone {
            Milestone::Journaled => &self.journaled,
            Milestone::Durable => &self.durable,
        };
        Link(Foreign { cell: Arc::clone(cell) })
    }
}

/// A cursor of another bus.
#[derive(Debug)]
pub struct Link(pub(super) Foreign);

mod sealed {
    pub trait Sealed {}
}

/// A bus, built or being built, that stages of other buses may stand behind.
pub trait Linked: sealed::Sealed {
    #[doc(hidden)]
    fn link(&self, milestone: Milestone) -> Link;
}

impl<E: Event> sealed::Sealed for Bus<E> {}
impl<E: Event> Linked for Bus<E> {
    fn link(&self, milestone: Milestone) -> Link {
        self.links.link(milestone)
    }
}
impl<E: Event> sealed::Sealed for BusBuilder<E> {}
impl<E: Event> Linked for BusBuilder<E> {
    fn link(&self, milestone: Milestone) -> Link {
        self.links().link(milestone)
    }
}
