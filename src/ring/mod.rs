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
//! - **R8** The region holds no pointer, and whoever finds it in a named file can tell from its bytes
//!   alone what was published ([`adopt`]).
//!
//! *Source*: the LMAX Disruptor; Vyukov's bounded queue for the stamp in the slot.

#[cfg(not(loom))]
mod adopt;
mod claim;
mod error;
#[cfg(any(test, fuzzing))]
#[cfg(not(loom))]
pub(crate) mod fuzzing;
mod gate;
mod memory;
#[cfg_attr(not(all(target_os = "linux", not(any(loom, miri)))), path = "unnamed.rs")]
mod named;
mod names;
mod region;
mod slot;
mod state;

#[cfg(not(loom))]
pub(crate) use adopt::{FoundGate, Plan};
pub(crate) use claim::Single;
pub use error::{RegionError, RegionFault};
pub(crate) use gate::{GateIndex, Gates};
pub use memory::{Grant, Granted, MemoryOptions};
pub(crate) use named::create;
#[cfg(not(loom))]
pub(crate) use named::{open_observed, open_owned};
pub(crate) use names::NAME_BYTES_MAX;
#[cfg(not(loom))]
pub(crate) use region::ANY_CAPACITY;
pub(crate) use region::{Header, Producers, Region, Shape};
#[cfg(not(loom))]
pub(crate) use slot::{ABORTED, SlotHead, is_valid};
pub(crate) use slot::{Slots, Stamp};
pub(crate) use state::Life;

use crate::sequence::Sequence;
use parking_lot::RwLock;
use std::sync::Arc;

/// What producers, consumers and the bus share, whatever the event type.
pub(crate) struct Ring {
    region: Arc<Region>,
    /// Who stands at which gate; read for errors and reports alone.
    names: RwLock<Vec<Arc<str>>>,
    /// The name of a gate that was given up meanwhile; made ahead, since errors allocate nothing.
    nobody: Arc<str>,
}

impl Ring {
    /// The ring that lies in `region`.
    pub(crate) fn over(region: Region) -> Arc<Self> {
        let (region, names) = (Arc::new(region), RwLock::new(Vec::new()));
        Arc::new(Self { region, names, nobody: Arc::from("(left)") })
    }

    /// Adds a consumer that starts at `from`; `None` if all gates are taken.
    pub(crate) fn join(&self, name: &Arc<str>, from: Sequence) -> Option<(GateIndex, Sequence)> {
        let mut names = self.names.write();
        // A successor must not find a gate that is being joined under the name of who left it.
        #[cfg(not(loom))]
        self.forget_names();
        let (gate, at) = self.header().gate_table.join(from)?;
        self.header().names.set(gate.get(), name);
        remember(&mut names, gate, name);
        Some((gate, at))
    }

    /// Takes up the gate of a predecessor's consumer at `at`, which lies in the ring.
    #[cfg(not(loom))]
    pub(crate) fn resume(&self, gate: GateIndex, name: &Arc<str>, at: Sequence) {
        self.header().gate_table.publish(gate, at);
        remember(&mut self.names.write(), gate, name);
    }

    /// Clears the names of vacant gates.
    #[cfg(not(loom))]
    fn forget_names(&self) {
        let table = &self.header().gate_table;
        for gate in (0..Gates::COUNT).filter_map(|index| table.at(index)) {
            if table.word(gate).is_none() {
                self.header().names.clear(gate.get());
            }
        }
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

    pub(crate) fn gate_name(&self, gate: Option<GateIndex>) -> Arc<str> {
        gate.and_then(|gate| self.names.read().get(gate.get()).cloned())
            .unwrap_or_else(|| Arc::clone(&self.nobody))
    }
}

/// Keeps the name of `gate` for errors, which allocate nothing.
fn remember(names: &mut Vec<Arc<str>>, gate: GateIndex, name: &Arc<str>) {
    let needed = names.len().max(gate.get() + 1);
    names.resize(needed, Arc::from(""));
    names[gate.get()] = Arc::clone(name);
}

impl core::fmt::Debug for Ring {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Ring").field("region", &self.region).finish_non_exhaustive()
    }
}
