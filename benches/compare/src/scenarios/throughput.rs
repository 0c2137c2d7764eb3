//! *Owns* the scenario `throughput`: one event per publish. *Invariant*: the consumer pauses its
//! spin in every row. *Source*: none.

use super::{Plan, flow::Flow};
use crate::contenders::{ArrayQueue, Crossbeam, Disruptor, Kanal, Photon, Rtrb, Tourbillon};
use crate::numbered::{Bytes8, Bytes32, Bytes64, Bytes256, Plain};
use crate::rounds::{Cell, Kind, Metric};

pub(super) const RING_SLOTS: [usize; 2] = [1 << 10, 1 << 16];
const EVENTS: u64 = 400_000;

/// At least four laps of the ring.
pub(super) fn flow(plan: Plan, slots: usize, by: u64) -> Flow {
    Flow { slots, events: plan.events(EVENTS).max(4 * slots as u64), by }
}

fn cell<P: Plain>(plan: Plan, slots: usize) -> Cell {
    let flow = flow(plan, slots, 1);
    let mut contenders = flow.by_hand::<P>();
    contenders.extend([
        flow.row::<Tourbillon<P>>(Kind::Ours),
        flow.row::<Disruptor<P>>(Kind::Peer),
        flow.row::<Disruptor<P, true>>(Kind::Peer),
        flow.row::<Photon<P>>(Kind::Peer),
        flow.row::<Rtrb<P, false>>(Kind::Peer),
        flow.row::<Rtrb<P, true>>(Kind::Peer),
        flow.row::<Crossbeam<P, false>>(Kind::Peer),
        flow.row::<Crossbeam<P, true>>(Kind::Peer),
        flow.row::<ArrayQueue<P>>(Kind::Peer),
        flow.row::<Kanal<P, false>>(Kind::Peer),
        flow.row::<Kanal<P, true>>(Kind::Peer),
    ]);
    let name = format!("{} B, {slots} slots", P::BYTES);
    Cell::new(name, vec![Metric::ns("per event")], contenders).of_size(P::BYTES, slots)
}

pub(super) fn cells(plan: Plan) -> Vec<Cell> {
    let sizes = [cell::<Bytes8>, cell::<Bytes32>, cell::<Bytes64>, cell::<Bytes256>];
    sizes.iter().flat_map(|cell| RING_SLOTS.map(|slots| cell(plan, slots))).collect()
}
