//! *Owns* what a successor reads and mends in a table of gates that somebody else left. *Invariant*:
//! nobody else uses the table meanwhile, and whatever stands in it is checked before it is believed.
//! *Source*: its own.

use super::{GateIndex, Gates, PARKED, VACANT};
use crate::sync::Ordering;

impl Gates {
    /// The gate at `index` of the table, in use or not.
    pub(crate) fn at(&self, index: usize) -> Option<GateIndex> {
        (index < Self::COUNT).then_some(GateIndex(index))
    }

    /// The word at `gate` as it stands, whoever wrote it; `None` if nobody stands there.
    pub(crate) fn word(&self, gate: GateIndex) -> Option<u64> {
        // ORDERING: Relaxed; a report, or a successor, who is alone.
        let word = self.gates[gate.0].load(Ordering::Relaxed);
        (word != VACANT && word != PARKED).then_some(word)
    }

    /// Gives the gates of taps up; a tap leaves nothing to go on with.
    pub(crate) fn forget_taps(&self) {
        for gate in &self.gates {
            // ORDERING: Relaxed; as in `word`.
            if gate.load(Ordering::Relaxed) == PARKED {
                gate.store(VACANT, Ordering::Relaxed);
            }
        }
    }

    /// The announced limit as it stands.
    pub(crate) fn limit_word(&self) -> u64 {
        self.limit.peek().get()
    }

    /// How many gates have been in use.
    pub(crate) fn joined_word(&self) -> u64 {
        // ORDERING: Relaxed; as in `word`.
        self.joined.load(Ordering::Relaxed)
    }

    /// Makes scans reach every gate in use: who died while joining may have left that undone.
    pub(crate) fn reach(&self, gates: usize) {
        // ORDERING: Relaxed; a successor is alone, and starting threads orders it.
        self.joined.fetch_max(gates as u64, Ordering::Relaxed);
    }
}
