//! *Owns* what a successor makes of a region that somebody else left. *Invariant*: nothing in it is
//! believed before it was checked, nothing is changed before all of it was, and a crash while it is
//! changed is one more crash of the same kind. *Source*: the recovery tables of TigerBeetle.
//!
//! What a kill leaves. Stores of one thread reach memory in the order of its program, so what is
//! found is, thread by thread, a prefix of what was to be done. With one producer stamps come first
//! and `claimed` follows; with several `claimed` is raised first and stamps follow in any order. A
//! batch is stamped from its last slot to its first (R4). The slots from `limit` on hold what no
//! claim may have overwritten; from there one capacity is walked.
//!
//! ```text
//!            limit        claimed                    limit + capacity
//!   ───────────┼─────────────┼──────┬──────────────────────┤
//!              │   settled   │ run  │ beyond: the first unstamped slot, and on
//! ```
//!
//! | producers | position | published | aborted | old | foreign |
//! |---|---|---|---|---|---|
//! | single | settled | keep | keep | garbled | garbled |
//! | single | run | keep | keep | free: the run ends | garbled |
//! | single | beyond | torn batch | torn batch | free | garbled |
//! | multi | settled | keep | keep | torn claim | garbled |
//! | multi | run | garbled | garbled | free: the run ends | garbled |
//! | multi | beyond | garbled | garbled | free | garbled |
//!
//! *Published*, *aborted*: stamped for exactly this sequence. *Old*: stamped for the one that lay in
//! the slot a lap ago, or never written if there was none. *Foreign*: anything else.
//!
//! *Keep*: it was published, whether or not the call returned: a consumer may have seen it. A *torn
//! claim* becomes aborted, alone. A *torn batch*, from the end of the run to the last stamp, becomes
//! aborted whole, since its first stamp is missing: nobody saw any of it. It is aborted from its last
//! slot to its first, so that a crash in between leaves a torn batch once more. With several producers
//! a torn batch lies between the claims of others and cannot be told from them: those of its events
//! that are stamped are kept.
//!
//! Then `claimed` is raised to the end of all that. Gates below `limit`, and gates without a name,
//! are those of consumers that died while joining.

use crate::ring::error::RegionFault;
use crate::ring::gate::{GateIndex, Gates};
use crate::ring::region::{Producers, Region};
use crate::ring::slot::{ABORTED, SlotHead};
use crate::sequence::Sequence;
use core::ops::Range;

/// What a slot says about the sequence that it should hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stamped {
    Published,
    Aborted,
    Old,
    Foreign,
}

impl Stamped {
    /// Reads the `word` in the slot of `sequence`.
    #[inline]
    fn read(word: u64, sequence: u64, capacity: u64, born: u64) -> Self {
        if word == sequence + 1 {
            return Self::Published;
        }
        if word == (sequence + 1) | ABORTED {
            return Self::Aborted;
        }
        let is_old = match sequence.checked_sub(capacity).filter(|before| *before >= born) {
            Some(before) => word & !ABORTED == before + 1,
            None => word == 0,
        };
        if is_old { Self::Old } else { Self::Foreign }
    }
}

/// Where a slot lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Position {
    Settled,
    Run,
    Beyond,
}

/// What becomes of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Keep,
    TornClaim,
    TornBatch,
    Free,
    Garbled,
}

/// The table.
#[inline]
fn verdict(producers: Producers, position: Position, stamped: Stamped) -> Verdict {
    use Position::{Beyond, Run, Settled};
    use Producers::{Multi, Single};
    use Stamped::{Aborted, Foreign, Old, Published};
    match (producers, position, stamped) {
        (_, Settled, Published | Aborted) | (Single, Run, Published | Aborted) => Verdict::Keep,
        (Multi, Settled, Old) => Verdict::TornClaim,
        (Single, Beyond, Published | Aborted) => Verdict::TornBatch,
        (_, Run | Beyond, Old) => Verdict::Free,
        (Single, Settled, Old)
        | (Multi, Run | Beyond, Published | Aborted)
        | (_, Settled | Run | Beyond, Foreign) => Verdict::Garbled,
    }
}

/// A consumer of the predecessor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FoundGate {
    pub(crate) gate: GateIndex,
    pub(crate) name: String,
    /// Everything below was handled.
    pub(crate) at: Sequence,
}

/// What a region holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// The oldest sequence that is still whole.
    pub(crate) oldest: Sequence,
    /// The sequence of the next event.
    pub(crate) end: Sequence,
    pub(crate) torn_claims: Vec<Sequence>,
    pub(crate) torn_batch: Option<Range<Sequence>>,
    pub(crate) gates: Vec<FoundGate>,
}

/// What is to be done to a region; nothing of it is done yet.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) found: Found,
    /// Gates of consumers that died before they had a name.
    nameless: Vec<GateIndex>,
}

impl Plan {
    /// Reads `region`, whose producers won their sequences as `producers` says, and changes nothing.
    /// `is_valid` is asked once for each published event.
    pub(crate) fn of(
        region: &Region,
        producers: Producers,
        is_valid: impl Fn(Sequence) -> bool,
    ) -> Result<Self, RegionFault> {
        let (claimed, limit) = cursors(region)?;
        let mut found = walk(region, producers, claimed, limit, is_valid)?;
        // With several producers a consumer may have joined at `claimed`, above a torn claim.
        let handled = match &found.torn_batch {
            Some(batch) => batch.start,
            None => found.end,
        };
        let mut nameless = Vec::new();
        let (header, table) = (region.header(), &region.header().gate_table);
        for gate in (0..Gates::COUNT).filter_map(|index| table.at(index)) {
            let Some(word) = table.word(gate) else { continue };
            let name = match header.names.get(gate.get()) {
                None => {
                    nameless.push(gate);
                    continue;
                }
                Some(name) => name.map_err(|_| RegionFault::Name { gate: gate.get() })?,
            };
            if found.gates.iter().any(|other| other.name == name) {
                return Err(RegionFault::Name { gate: gate.get() });
            }
            if word > handled.get() {
                return Err(RegionFault::Cursor { name, found: word, range: (0, handled.get()) });
            }
            let at = Sequence::new(word.max(limit));
            found.gates.push(FoundGate { gate, name, at });
        }
        Ok(Self { found, nameless })
    }

    /// Does it. Each store leaves a region that a next successor reads to the same end.
    pub(crate) fn carry_out(self, region: &mut Region, producers: Producers) -> Found {
        self.stores().for_each(|store| store.apply(region));
        let header = region.header();
        header.state.reopen();
        header.roll.reset();
        header.journal_end.reset();
        header.gate_table.forget_taps();
        region.set_producers(producers);
        self.found
    }

    /// What is to be stored, in this order.
    fn stores(&self) -> impl Iterator<Item = Store> {
        let batch = self.found.torn_batch.iter();
        let backwards = batch.flat_map(|batch| (batch.start.get()..batch.end.get()).rev());
        let claims = self.found.torn_claims.iter().map(|claim| claim.get());
        let aborts = backwards.chain(claims).map(|n| Store::Abort(Sequence::new(n)));
        let leaves = self.nameless.iter().map(|gate| Store::Leave(*gate));
        let gates = self.found.gates.iter().map(|found| Store::Gate(found.gate, found.at));
        aborts.chain(leaves).chain(gates).chain([Store::Claimed(self.found.end)])
    }
}

/// One store of a successor.
#[derive(Clone, Copy, Debug)]
enum Store {
    Abort(Sequence),
    Leave(GateIndex),
    Gate(GateIndex, Sequence),
    Claimed(Sequence),
}

impl Store {
    fn apply(self, region: &Region) {
        let header = region.header();
        match self {
            Self::Abort(sequence) => SlotHead::of(region, sequence).abort(sequence),
            Self::Leave(gate) => header.gate_table.leave(gate),
            Self::Gate(gate, at) => {
                header.gate_table.publish(gate, at);
                header.gate_table.reach(gate.get() + 1);
            }
            Self::Claimed(end) => header.claimed.raise(end),
        }
    }
}

/// `claimed` and `limit`, in their ranges.
fn cursors(region: &Region) -> Result<(u64, u64), RegionFault> {
    let header = region.header();
    let (claimed, limit) = (header.claimed.peek().get(), header.gate_table.limit_word());
    let capacity = region.shape().capacity;
    // So far that nothing computed from them overflows.
    let most = Sequence::MAX.get().saturating_sub(capacity.saturating_mul(2));
    let check = |name: &str, found: u64, from: u64, to: u64| {
        if (from..=to).contains(&found) {
            return Ok(());
        }
        Err(RegionFault::Cursor { name: name.to_owned(), found, range: (from, to) })
    };
    check("limit", limit, region.born_at(), most)?;
    check("claimed", claimed, limit, limit + capacity)?;
    check("joined", header.gate_table.joined_word(), 0, Gates::COUNT as u64)?;
    Ok((claimed, limit))
}

/// Walks the slots from `limit` on, one capacity of them.
fn walk(
    region: &Region,
    producers: Producers,
    claimed: u64,
    limit: u64,
    is_valid: impl Fn(Sequence) -> bool,
) -> Result<Found, RegionFault> {
    let (capacity, born) = (region.shape().capacity, region.born_at());
    let mut torn_claims = Vec::new();
    let mut run_end = None;
    let mut end = claimed;
    for n in limit..limit + capacity {
        let sequence = Sequence::new(n);
        let position = match run_end {
            _ if n < claimed => Position::Settled,
            None => Position::Run,
            Some(_) => Position::Beyond,
        };
        let word = SlotHead::of(region, sequence).word();
        let stamped = Stamped::read(word, n, capacity, born);
        match verdict(producers, position, stamped) {
            Verdict::Keep => {
                if stamped == Stamped::Published && !is_valid(sequence) {
                    return Err(RegionFault::Bytes { sequence, slot: n & (capacity - 1) });
                }
                end = end.max(n + 1);
            }
            Verdict::TornClaim => torn_claims.push(sequence),
            Verdict::TornBatch => end = n + 1,
            Verdict::Free => run_end = run_end.or(Some(n)),
            Verdict::Garbled => {
                return Err(RegionFault::Stamp { sequence, slot: n & (capacity - 1), found: word });
            }
        }
    }
    let end = Sequence::new(end);
    let torn_batch =
        run_end.map(Sequence::new).filter(|start| *start < end).map(|start| start..end);
    let (oldest, gates) = (Sequence::new(limit), Vec::new());
    Ok(Found { oldest, end, torn_claims, torn_batch, gates })
}

#[cfg(test)]
mod tests;
