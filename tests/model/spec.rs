//! What a ring should be, said without a ring: a queue of the last sequences and a table of gates.

use std::collections::VecDeque;
use std::sync::Arc;
use tourbillon::{Full, HeldClaim, PublishError, Sequence};

/// What became of a sequence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Slot {
    /// Claimed by the producer of this name, and not stamped.
    Held(Arc<str>),
    /// Published with this value.
    Published(u64),
    Aborted,
}

/// Who stands at a gate, and where; nowhere for a tap between two copies.
#[derive(Debug)]
pub(crate) struct Gate {
    pub(crate) name: Arc<str>,
    pub(crate) at: Option<u64>,
}

#[derive(Debug)]
pub(crate) struct Spec {
    pub(crate) capacity: u64,
    /// Everything below is claimed.
    pub(crate) claimed: u64,
    /// The last `capacity` sequences at most; the last one is `claimed - 1`.
    slots: VecDeque<Slot>,
    /// By index; a newcomer takes the first that is vacant.
    gates: Vec<Option<Gate>>,
    /// Where the last consumer began that joined at the oldest.
    oldest: u64,
    /// The furthest end that a claim has asked for.
    asked: u64,
    pub(crate) aborted: u64,
    pub(crate) stalls: u64,
}

impl Spec {
    pub(crate) fn new(capacity: u64) -> Self {
        Self {
            capacity,
            claimed: 0,
            slots: VecDeque::new(),
            gates: Vec::new(),
            oldest: 0,
            asked: 0,
            aborted: 0,
            stalls: 0,
        }
    }

    /// What became of `sequence`; `None` before it is claimed.
    pub(crate) fn slot(&self, sequence: u64) -> Option<&Slot> {
        let first = self.claimed - self.slots.len() as u64;
        assert!(sequence >= first, "{sequence} was overwritten under somebody who stands there");
        self.slots.get((sequence - first) as usize)
    }

    /// Whether there is nothing to see at `sequence` yet.
    pub(crate) fn is_pending(&self, sequence: u64) -> bool {
        matches!(self.slot(sequence), None | Some(Slot::Held(_)))
    }

    /// The first sequence from `from` on that is not stamped.
    pub(crate) fn stamped_from(&self, from: u64) -> u64 {
        (from..self.claimed).find(|at| self.is_pending(*at)).unwrap_or(self.claimed)
    }

    /// The first gate of those that are furthest behind: where it stands, and its name.
    fn slowest(&self) -> Option<(u64, &Arc<str>)> {
        let gates = self.gates.iter().flatten();
        gates.filter_map(|gate| Some((gate.at?, &gate.name))).min_by_key(|(at, _)| *at)
    }

    /// Below this sequence slots may be overwritten.
    fn free(&self) -> u64 {
        let first = self.claimed - self.slots.len() as u64;
        self.slowest().map_or_else(|| self.stamped_from(first), |(at, _)| at)
    }

    pub(crate) fn remaining_capacity(&self) -> u64 {
        self.slowest().map_or(self.capacity, |(at, _)| self.capacity - (self.claimed - at))
    }

    /// The answer to a claim of `count` sequences: the first of them.
    pub(crate) fn claim(&mut self, count: u64) -> Result<u64, PublishError> {
        if count > self.capacity {
            let (events, capacity) = (count as usize, self.capacity as usize);
            return Err(PublishError::BatchTooLarge { events, capacity });
        }
        let end = self.claimed + count;
        self.asked = self.asked.max(end);
        let limit = self.free() + self.capacity;
        if end <= limit {
            return Ok(self.claimed);
        }
        self.stalls += 1;
        let gate = self.slowest().map_or_else(|| Arc::from("(nobody)"), |gate| Arc::clone(gate.1));
        let held_by = self.holder(self.free());
        Err(Full { missing: end - limit, gate, held_by }.into())
    }

    fn holder(&self, sequence: u64) -> Option<Arc<str>> {
        match self.slot(sequence) {
            Some(Slot::Held(name)) => Some(Arc::clone(name)),
            _ => None,
        }
    }

    /// One more sequence is claimed; its slot is free.
    pub(crate) fn push(&mut self, slot: Slot) {
        self.aborted += u64::from(slot == Slot::Aborted);
        self.slots.push_back(slot);
        self.claimed += 1;
        if self.slots.len() as u64 > self.capacity {
            let lapped = self.slots.pop_front();
            assert!(!matches!(lapped, Some(Slot::Held(_))), "lapped while it was being filled");
        }
    }

    /// What `producer` holds is aborted.
    pub(crate) fn let_go(&mut self, producer: &str) {
        for slot in &mut self.slots {
            if matches!(slot, Slot::Held(name) if **name == *producer) {
                *slot = Slot::Aborted;
                self.aborted += 1;
            }
        }
    }

    /// The one claim that consumers wait for.
    pub(crate) fn held_claims(&self) -> Vec<HeldClaim> {
        let Some((slowest, _)) = self.slowest() else { return Vec::new() };
        let sequence = self.stamped_from(slowest);
        if sequence == self.claimed {
            return Vec::new();
        }
        let gates = self.gates.iter().flatten().filter(|gate| gate.at == Some(sequence));
        let waiting = gates.map(|gate| Arc::clone(&gate.name)).collect();
        let producer = self.holder(sequence);
        vec![HeldClaim { sequence: Sequence::new(sequence), producer, waiting }]
    }

    /// Takes the first vacant gate.
    pub(crate) fn enter(&mut self, name: &Arc<str>, at: Option<u64>) -> usize {
        let gate = Some(Gate { name: Arc::clone(name), at });
        match self.gates.iter().position(Option::is_none) {
            Some(vacant) => {
                self.gates[vacant] = gate;
                vacant
            }
            None => {
                self.gates.push(gate);
                self.gates.len() - 1
            }
        }
    }

    pub(crate) fn at(&self, gate: usize) -> Option<u64> {
        self.gates[gate].as_ref().and_then(|gate| gate.at)
    }

    pub(crate) fn advance(&mut self, gate: usize, to: u64) {
        if let Some(gate) = &mut self.gates[gate] {
            gate.at = Some(to);
        }
    }

    pub(crate) fn leave(&mut self, gate: usize) {
        self.gates[gate] = None;
    }

    pub(crate) fn is_taken(&self, name: &str) -> bool {
        self.gates.iter().flatten().any(|gate| &*gate.name == name)
    }

    /// Somebody who joined at the oldest found it at `found`.
    pub(crate) fn saw_oldest(&mut self, found: u64) {
        let first = self.claimed - self.slots.len() as u64;
        assert!(found >= first && found >= self.oldest, "{found} may be overwritten");
        assert!(found <= self.free(), "{found} passes a gate or a claim that is held");
        let most = (self.asked + self.capacity / 4).saturating_sub(self.capacity);
        assert!(found <= most.max(self.oldest), "{found} gives away more than a quarter ring");
        self.oldest = found;
    }
}
