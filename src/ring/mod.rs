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
pub(crate) use claim::Held;
pub use claim::{Claims, Multi, Single};
pub use error::{RegionError, RegionFault};
pub(crate) use gate::{GateIndex, Gates};
pub use memory::{Grant, Granted, MemoryOptions};
pub(crate) use named::create;
#[cfg(not(loom))]
pub(crate) use named::{open_observed, open_owned};
pub(crate) use names::NAME_BYTES_MAX;
#[cfg(not(loom))]
pub(crate) use region::{ANY_CAPACITY, ANY_PAYLOAD};
pub(crate) use region::{Header, Producers, Region, Shape};
#[cfg(not(loom))]
pub(crate) use slot::{ABORTED, SlotHead, is_valid};
pub(crate) use slot::{Slots, Stamp};
pub(crate) use state::Life;

use crate::cursor::Counter;
use crate::error::{Full, HeldClaim};
use crate::sequence::Sequence;
use crate::sleepers::Sleepers;
use parking_lot::RwLock;
use std::sync::Arc;

/// What producers, consumers and the bus share, whatever the event type.
pub(crate) struct Ring {
    region: Arc<Region>,
    /// Who stands at which gate; read for errors and reports alone.
    names: RwLock<Vec<Arc<str>>>,
    /// The producers that share the ring; empty for an only one.
    producers: RwLock<Vec<Arc<Held>>>,
    pub(crate) tally: Tally,
    /// The name of a gate that was given up meanwhile; made ahead, since errors allocate nothing.
    nobody: Arc<str>,
    sleepers: Arc<Sleepers>,
}

/// What is counted away from the hot path.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Sequences published as aborted.
    pub(crate) aborted: Counter,
    /// Times that a producer found the ring full.
    pub(crate) stalls: Counter,
    /// Producers that ever entered.
    entered: Counter,
}

impl Ring {
    /// The ring that lies in `region`.
    ///
    /// `is_direct`: a stage sleeps until whoever moves a cursor wakes it.
    pub(crate) fn over(region: Region, is_direct: bool) -> Arc<Self> {
        Arc::new(Self {
            region: Arc::new(region),
            names: RwLock::default(),
            producers: RwLock::default(),
            tally: Tally::default(),
            nobody: Arc::from("(nobody)"),
            sleepers: Sleepers::new(is_direct),
        })
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
            if !table.is_taken(gate.get()) {
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

    /// Everything below is claimed, and published or about to be.
    pub(crate) fn claimed(&self) -> Sequence {
        self.claimed_from(Sequence::ZERO)
    }

    /// As `claimed`, for whoever knows that everything below `from` is stamped.
    pub(crate) fn claimed_from(&self, from: Sequence) -> Sequence {
        self.region.claimed(from)
    }

    /// Progress of the consumer `name`, if it stands at a gate.
    pub(crate) fn standing(&self, name: &str) -> Option<Sequence> {
        let names = self.names.read();
        (0..names.len())
            .filter(|at| &*names[*at] == name)
            .find_map(|at| self.header().gate_table.stands_at(at))
    }

    /// Everybody with a gate, by the order of gates, and where they stand; `None` for a tap that does
    /// not copy at the moment.
    pub(crate) fn consumers(&self) -> Vec<(Arc<str>, Option<Sequence>)> {
        let (names, table) = (self.names.read(), &self.header().gate_table);
        let taken = (0..names.len()).filter(|at| table.is_taken(*at));
        taken.map(|at| (Arc::clone(&names[at]), table.stands_at(at))).collect()
    }

    /// Whether a consumer, or a tap, goes by `name`.
    pub(crate) fn is_named(&self, name: &str) -> bool {
        let names = self.names.read();
        (0..names.len()).any(|at| &*names[at] == name && self.header().gate_table.is_taken(at))
    }

    /// Nothing from here on was overwritten, nor may be before it is announced.
    pub(crate) fn oldest(&self) -> Sequence {
        self.header().gate_table.oldest()
    }

    /// Slots that are free now.
    pub(crate) fn remaining_capacity(&self) -> u64 {
        let slowest = self.header().gate_table.slowest().0;
        self.capacity().saturating_sub(self.claimed().events_since(slowest))
    }

    /// Scans the gates for `count` free slots behind `next`; gives the end of the free slots.
    ///
    /// Announces a quarter ring more than is needed and no further, so that at least half a ring of
    /// old events is left to whoever joins at the oldest.
    pub(crate) fn free_below(
        &self,
        next: Sequence,
        count: u64,
        stamped: impl FnOnce(Sequence) -> Sequence,
    ) -> Result<Sequence, Full> {
        let capacity = self.capacity();
        let end = next.advance(count);
        let a_lap_before = |end: u64| Sequence::ZERO.advance(end.saturating_sub(capacity));
        let least = a_lap_before(end.get());
        let most = a_lap_before(end.get() + capacity / 4);
        let (below, gate) = self.header().gate_table.free_below(least, most, stamped);
        let limit = below.advance(capacity);
        if end <= limit {
            return Ok(limit);
        }
        Err(Full {
            missing: end.events_since(limit),
            gate: self.gate_name(gate),
            held_by: self.holder(below),
        })
    }

    /// The producer that holds the claim of `sequence`, if it is won and not stamped.
    pub(crate) fn holder(&self, sequence: Sequence) -> Option<Arc<str>> {
        let is_won = sequence < self.claimed();
        if !is_won || self.region.stamped(sequence..sequence.next()) > sequence {
            return None;
        }
        let producers = self.producers.read();
        producers.iter().find(|held| held.first() == sequence).map(|held| Arc::clone(held.name()))
    }

    /// The claim that keeps consumers waiting: there is at most one, the first that is not stamped.
    pub(crate) fn held_claims(&self) -> Vec<HeldClaim> {
        let claimed = self.claimed();
        let slowest = self.header().gate_table.slowest().0.min(claimed);
        let sequence = self.region.stamped(slowest..claimed);
        if sequence >= claimed {
            return Vec::new();
        }
        let names = self.names.read();
        let waits = |at: &usize| self.header().gate_table.stands_at(*at) == Some(sequence);
        let waiting = (0..names.len()).filter(waits).map(|at| Arc::clone(&names[at])).collect();
        vec![HeldClaim { sequence, producer: self.holder(sequence), waiting }]
    }

    /// Signs a producer on.
    pub(crate) fn enter(&self, name: Option<&str>) -> Arc<Held> {
        let mut producers = self.producers.write();
        let numbered = || Arc::from(format!("producer-{}", self.tally.entered.next()));
        let held = Arc::new(Held::nothing(name.map_or_else(numbered, Arc::from)));
        producers.push(Arc::clone(&held));
        held
    }

    /// Signs a producer off.
    pub(crate) fn leave(&self, held: &Arc<Held>) {
        self.producers.write().retain(|other| !Arc::ptr_eq(other, held));
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

/// Keeps the name of `gate` for errors, which allocate nothing.
fn remember(names: &mut Vec<Arc<str>>, gate: GateIndex, name: &Arc<str>) {
    let needed = names.len().max(gate.get() + 1);
    names.resize(needed, Arc::from(""));
    names[gate.get()] = Arc::clone(name);
}

#[cfg(all(test, not(loom)))]
impl Ring {
    /// Holds every lock that a ring has, so that whoever takes one waits for ever.
    pub(crate) fn lock_everything(&self) -> impl Sized + '_ {
        (self.names.write(), self.producers.write(), self.sleepers.lock())
    }
}

impl core::fmt::Debug for Ring {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Ring").field("region", &self.region).finish_non_exhaustive()
    }
}
