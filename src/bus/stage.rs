//! *Owns* what is asked of one stage, until its bus starts. *Invariant*: it holds data alone, and all of
//! it is validated once, with the bus. *Source*: its own.

use super::Linked;
use crate::barrier::CauseGate;
use crate::control::{KillSwitch, OnPanic};
use crate::event::Event;
use crate::poller::Poller;
use crate::processor::Stage;
use crate::sequence::Sequence;
use crate::topology::{Milestone, Node};
use crate::wait::Wait;
use rkyv::Archived;

/// Makes a stage of its poller.
pub(super) type Make<E> = Box<dyn FnOnce(Poller<E>) -> Box<dyn Stage>>;

/// One stage as asked for.
pub(super) struct Spec<E: Event> {
    pub(super) node: Node,
    pub(super) causes: Vec<CauseGate<E>>,
    /// `None` for pollers.
    pub(super) make: Option<Make<E>>,
    /// Its state covers what the journal holds, so in an adopted ring it goes on where that ends.
    pub(super) is_rebuilt: bool,
}

/// One stage of a bus that is being described.
pub struct StageBuilder<'a, E: Event> {
    pub(super) spec: &'a mut Spec<E>,
}

impl<E: Event> StageBuilder<'_, E> {
    /// Stands behind other stages: they have handled an event before this one sees it.
    pub fn after<N: AsRef<str>>(self, stages: impl IntoIterator<Item = N>) -> Self {
        self.spec.node.after.extend(stages.into_iter().map(|name| name.as_ref().to_owned()));
        self
    }

    /// Stands behind the journal of this bus.
    pub fn behind(self, milestone: Milestone) -> Self {
        self.spec.node.behind.push(milestone);
        self
    }

    /// Stands behind the journal of another bus: an event passes once its `cause`, a sequence over
    /// there, has passed `milestone`.
    pub fn behind_ring(
        self,
        other: &impl Linked,
        milestone: Milestone,
        cause: impl Fn(&Archived<E>) -> Sequence + Send + 'static,
    ) -> Self {
        self.spec.node.is_behind_ring = true;
        self.spec.causes.push(CauseGate {
            foreign: other.link(milestone).0,
            cause: Box::new(cause),
            seen: Sequence::ZERO,
        });
        self
    }

    /// Pins the stage's thread. Stages on one core share one thread and run in graph order.
    pub fn core(self, core: usize) -> Self {
        self.spec.node.core = Some(core);
        self.spec.node.is_isolated = false;
        self
    }

    /// Pins the stage's thread to a core that the scheduler leaves alone (`isolcpus=` at boot): the
    /// first of `/sys/devices/system/cpu/isolated` that no other stage of this bus has. Other buses
    /// and processes are not asked; where there are some, choose by [`StageBuilder::core`]. Which core
    /// it was stands in [`Bus::placements`](crate::Bus::placements).
    ///
    /// The builder refuses it where none is left ([`BuildError`](crate::BuildError)), and a poller,
    /// which has no thread, takes none.
    pub fn isolated(self) -> Self {
        self.spec.node.core = None;
        self.spec.node.is_isolated = true;
        self
    }

    /// Bounds the stage's batches; by default a quarter of the ring. Small batches let stages behind
    /// this one and producers go on sooner, and make a pause, a halt or a kill switch bite sooner;
    /// each costs a look at the gate's line. The builder refuses 0.
    pub fn batch_events_max(self, events: u64) -> Self {
        self.spec.node.batch_events_max = Some(events);
        self
    }

    /// What becomes of the stage, and of its bus, when its handler panics.
    pub fn on_panic(self, on_panic: OnPanic) -> Self {
        self.spec.node.on_panic = on_panic;
        self
    }

    /// Hangs the stage on `switch`: while it is pulled, the stage discards its events and counts
    /// them. Refused for a stage that others stand behind, a projection, a poller and the journal.
    pub fn kill_switch(self, switch: &KillSwitch) -> Self {
        self.spec.node.switch = Some(switch.clone());
        self
    }

    #[cfg(feature = "journal")]
    pub(super) fn has_state(self) -> Self {
        self.spec.node.has_state = true;
        self
    }

    #[cfg(feature = "journal")]
    pub(super) fn needs_journal(self, needs_journal: bool) -> Self {
        self.spec.node.needs_journal = needs_journal;
        self
    }

    #[cfg(feature = "journal")]
    pub(super) fn rebuilt(self) -> Self {
        self.spec.is_rebuilt = true;
        self
    }

    /// What the stage's thread does when there is nothing to do.
    pub fn wait(self, wait: Wait) -> Self {
        self.spec.node.wait = wait;
        self
    }
}

impl<E: Event> core::fmt::Debug for StageBuilder<'_, E> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.spec.node.fmt(f)
    }
}
