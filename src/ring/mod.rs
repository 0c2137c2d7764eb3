//! *Owns* the ring: one region of slots, one total order of events.
//!
//! ```text
//!            claimed ─┐ (exclusive: everything below is claimed)
//!   ┌────┬────┬────┬──▼─┬────┬────┬────┬────┐
//!   │ 8✓ │ 9✗ │ 10✓│ 3✓ │ 4✓ │ 5✓ │ 6✗ │ 7✓ │   capacity 8; ✓ published, ✗ aborted
//!   └────┴────┴────┴────┴────┴──▲─┴────┴────┘
//!                        gate ──┘ the slowest consumer: 11 … 12 may be claimed, 13 may not
//! ```
//!
//! Invariants:
//!
//! - **R1** One total order: sequences have no gap; a claim that is dropped or unwinds is published
//!   as aborted.
//! - **R2** The stamp is the publication: bytes first, then the stamp (Release); a consumer
//!   acquires the stamp, then reads.
//! - **R3** A sequence is won by one producer, and only when its slot is free.
//! - **R4** A batch is stamped from its last slot to its first. Consumers walk forwards, so none
//!   gets past the first slot before all are stamped; one that joins in the middle finds each stamp
//!   published with Release on its own account.
//! - **R5** Nobody is lapped, and gates can come and go ([`gate`]).
//! - **R6** What is safe to read comes from upstream cursors; what it is comes from the stamp.
//!
//! *Source*: the LMAX Disruptor; Vyukov's bounded queue for the stamp in the slot.

mod claim;
mod gate;
mod region;
mod slot;
mod state;

pub(crate) use claim::Single;
pub(crate) use gate::{GateIndex, Gates};
pub(crate) use region::{Header, Region, Shape};
pub(crate) use slot::{Slots, Stamp};
pub(crate) use state::Life;

use crate::sequence::Sequence;
use crate::sleepers::Sleepers;
use parking_lot::RwLock;
use std::sync::Arc;

/// What producers, consumers and the bus share, whatever the event type.
pub(crate) struct Ring {
    region: Arc<Region>,
    /// Who stands at which gate; read for errors and reports alone.
    names: RwLock<Vec<Arc<str>>>,
    /// The name of a gate that was given up meanwhile; made ahead, since errors allocate nothing.
    nobody: Arc<str>,
    sleepers: Arc<Sleepers>,
}

impl Ring {
    /// A ring of `shape` whose next event is `start`; `None` if it exceeds the address space.
    ///
    /// `is_direct`: a stage sleeps until whoever moves a cursor wakes it.
    pub(crate) fn new(shape: Shape, start: Sequence, is_direct: bool) -> Option<Arc<Self>> {
        let region = Arc::new(Region::new(shape, start)?);
        let (names, nobody) = (RwLock::new(Vec::new()), Arc::from("(left)"));
        Some(Arc::new(Self { region, names, nobody, sleepers: Sleepers::new(is_direct) }))
    }

    /// Adds a consumer that starts at `from`; `None` if all gates are taken.
    pub(crate) fn join(&self, name: &Arc<str>, from: Sequence) -> Option<(GateIndex, Sequence)> {
        let mut names = self.names.write();
        let (gate, at) = self.header().gate_table.join(from)?;
        let unnamed: Arc<str> = Arc::from("");
        let needed = names.len().max(gate.get() + 1);
        names.resize(needed, unnamed);
        names[gate.get()] = Arc::clone(name);
        Some((gate, at))
    }

    #[inline(always)]
    pub(crate) fn header(&self) -> &Header {
        self.region.header()
    }

    pub(crate) fn region(&self) -> &Arc<Region> {
        &self.region
    }

    pub(crate) fn capacity(&self) -> u64 {
        self.region.shape().capacity
    }

    /// The producers' claim counter.
    pub(crate) fn claimed(&self) -> Sequence {
        self.header().claimed.acquire()
    }

    /// Slots that are free now.
    pub(crate) fn remaining_capacity(&self) -> u64 {
        let claimed = self.claimed();
        let slowest = self.header().gate_table.slowest(claimed).0;
        self.capacity().saturating_sub(claimed.events_since(slowest))
    }

    pub(crate) fn life(&self) -> Life {
        self.header().state.get()
    }

    /// Moves on to `life`, unless the bus is further already, and wakes every sleeper.
    pub(crate) fn advance(&self, life: Life) {
        self.header().state.advance(life);
        self.sleepers.ring();
    }

    pub(crate) fn sleepers(&self) -> &Arc<Sleepers> {
        &self.sleepers
    }

    pub(crate) fn gate_name(&self, gate: Option<GateIndex>) -> Arc<str> {
        gate.and_then(|gate| self.names.read().get(gate.get()).cloned())
            .unwrap_or_else(|| Arc::clone(&self.nobody))
    }
}

impl core::fmt::Debug for Ring {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Ring").field("region", &self.region).finish_non_exhaustive()
    }
}
