//! *Owns* the scenario `serialized`. *Invariant*: in every row rkyv writes, and the consumer reads
//! the archive where it lies. *Source*: none.

use super::Plan;
use super::throughput::flow;
use crate::contenders::bytes::{CrossbeamBytes, DisruptorBytes, Order, Parcel, RtrbBytes};
use crate::contenders::{Disruptor, Rtrb, Tourbillon};
use crate::machine::Machine;
use crate::numbered::Bytes40;
use crate::rounds::{Cell, Contender, Kind, Metric};

const SLOTS: usize = 1 << 10;

fn cell<P: Parcel>(name: &str, plan: Plan, ours: Option<Contender>) -> Cell {
    let flow = flow(plan, SLOTS, 1);
    let peers = [
        flow.row::<RtrbBytes<P>>(Kind::Peer),
        flow.row::<DisruptorBytes<P>>(Kind::Peer),
        flow.row::<CrossbeamBytes<P>>(Kind::Peer),
    ];
    let name = format!("{name}, {SLOTS} slots");
    let contenders = ours.into_iter().chain(peers).collect();
    Cell { name, metrics: vec![Metric::ns("per event")], contenders }
}

pub(super) fn cells(plan: Plan) -> Vec<Cell> {
    let flow = flow(plan, SLOTS, 1);
    #[cfg(feature = "framed")]
    let framed = Some(flow.row::<crate::contenders::bytes::Framed>(Kind::Ours));
    #[cfg(not(feature = "framed"))]
    let framed = None;
    let inline = Some(flow.row::<Tourbillon<Bytes40>>(Kind::Ours));
    let mut fixed = cell::<Bytes40>("40 B, fixed", plan, inline);
    // Not serialized: what the bytes cost.
    fixed.contenders.push(flow.row::<Rtrb<Bytes40, false>>(Kind::Limit));
    fixed.contenders.push(flow.row::<Disruptor<Bytes40>>(Kind::Limit));
    vec![cell::<Order>("string of 14 B, vector of 64 B", plan, framed), fixed]
}

pub(super) fn missing_flavour(_: &Machine) -> Option<String> {
    let notice = "tourbillon's framed events are not built in: --features framed";
    (!cfg!(feature = "framed")).then(|| notice.to_owned())
}
