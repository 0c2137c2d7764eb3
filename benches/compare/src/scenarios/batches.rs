//! *Owns* the scenario `batches`: 64 events per publish. *Invariant*: contenders without a call for
//! batches send one by one, and are left out where that is the whole of the row. *Source*: none.

use super::Plan;
use super::throughput::{RING_SLOTS, flow};
use crate::contenders::{Disruptor, Photon, Rtrb, Tourbillon};
use crate::numbered::{Bytes8, Bytes32, Bytes64, Bytes256, Plain};
use crate::rounds::{Cell, Kind, Metric};

const BATCH_EVENTS: u64 = 64;

fn cell<P: Plain>(plan: Plan, slots: usize) -> Cell {
    let flow = flow(plan, slots, BATCH_EVENTS);
    let contenders = vec![
        flow.row::<Tourbillon<P>>(Kind::Ours),
        flow.row::<Disruptor<P>>(Kind::Peer),
        flow.row::<Disruptor<P, true>>(Kind::Peer),
        flow.row::<Photon<P>>(Kind::Peer),
        flow.row::<Rtrb<P, false>>(Kind::Peer),
        flow.row::<Rtrb<P, true>>(Kind::Peer),
    ];
    let name = format!("{} B, {slots} slots, by 64", P::BYTES);
    Cell::new(name, vec![Metric::ns("per event")], contenders).of_size(P::BYTES, slots)
}

pub(super) fn cells(plan: Plan) -> Vec<Cell> {
    let sizes = [cell::<Bytes8>, cell::<Bytes32>, cell::<Bytes64>, cell::<Bytes256>];
    sizes.iter().flat_map(|cell| RING_SLOTS.map(|slots| cell(plan, slots))).collect()
}
