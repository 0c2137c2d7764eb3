//! *Owns* the scenario `serialized`. *Invariant*: in every row rkyv writes, and the consumer reads
//! the archive where it lies. *Source*: none.

use super::Plan;
use super::throughput::flow;
use crate::contenders::bytes::{CrossbeamBytes, DisruptorBytes, Framed, Order, Parcel, RtrbBytes};
use crate::contenders::{Disruptor, Rtrb, Tourbillon};
use crate::numbered::Bytes40;
use crate::rounds::{Cell, Contender, Kind, Metric};

const SLOTS: usize = 1 << 10;

fn cell<P: Parcel>(name: &str, plan: Plan, ours: Contender) -> Cell {
    let flow = flow(plan, SLOTS, 1);
    let peers = [
        flow.row::<RtrbBytes<P>>(Kind::Peer),
        flow.row::<DisruptorBytes<P>>(Kind::Peer),
        flow.row::<CrossbeamBytes<P>>(Kind::Peer),
    ];
    let name = format!("{name}, {SLOTS} slots");
    let contenders = std::iter::once(ours).chain(peers).collect();
    Cell::new(name, vec![Metric::ns("per event")], contenders)
}

pub(super) fn cells(plan: Plan) -> Vec<Cell> {
    let flow = flow(plan, SLOTS, 1);
    let framed = flow.row::<Framed>(Kind::Ours);
    let inline = flow.row::<Tourbillon<Bytes40>>(Kind::Ours);
    let mut fixed = cell::<Bytes40>("40 B, fixed", plan, inline);
    // Not serialized: what the bytes cost.
    fixed.contenders.push(flow.row::<Rtrb<Bytes40, false>>(Kind::Limit));
    fixed.contenders.push(flow.row::<Disruptor<Bytes40>>(Kind::Limit));
    vec![cell::<Order>("string of 14 B, vector of 64 B", plan, framed), fixed]
}
