//! *Owns* the scenario `growth`: what an event costs as consumers and rings grow. *Invariant*: each
//! consumer sees each event. *Source*: none.

use super::throughput::flow;
use super::{Plan, flow::Flow};
use crate::contenders::{
    Disruptor, DisruptorFan, Photon, PhotonFan, Rings, Rtrb, Tourbillon, TourbillonFan,
};
use crate::numbered::Bytes24;
use crate::rounds::{Cell, Contender, Kind, Metric};

const SLOTS: usize = 1 << 10;
/// Two to the power of these.
const SLOTS_LOG2: [u32; 7] = [8, 10, 12, 14, 16, 18, 20];

type Payload = Bytes24;

fn one(flow: Flow) -> Vec<Contender> {
    vec![
        flow.row::<Tourbillon<Payload>>(Kind::Ours),
        flow.row::<Disruptor<Payload>>(Kind::Peer),
        flow.row::<Photon<Payload>>(Kind::Peer),
        flow.row::<Rtrb<Payload, false>>(Kind::Peer),
    ]
}

fn several<const N: usize>(flow: Flow) -> Vec<Contender> {
    vec![
        flow.row::<TourbillonFan<Payload, N>>(Kind::Ours),
        flow.row::<DisruptorFan<Payload, N>>(Kind::Peer),
        flow.row::<PhotonFan<Payload, N>>(Kind::Peer),
        flow.row::<Rings<Rtrb<Payload, false>, N>>(Kind::Peer),
    ]
}

fn per_event(name: String, contenders: Vec<Contender>) -> Cell {
    Cell::new(name, vec![Metric::ns("per event")], contenders)
}

pub(super) fn cells(plan: Plan) -> Vec<Cell> {
    let fan = flow(plan, SLOTS, 1);
    let consumers =
        [(1, one(fan)), (2, several::<2>(fan)), (4, several::<4>(fan)), (8, several::<8>(fan))];
    let consumers = consumers.into_iter().map(|(consumers, contenders)| {
        let name = format!("24 B, {SLOTS} slots, {consumers} consumers on one thread");
        per_event(name, contenders).on_axis("consumers", f64::from(consumers))
    });
    let rings = SLOTS_LOG2.into_iter().map(|log2| {
        let flow = flow(plan, 1 << log2, 1);
        let mut contenders = flow.by_hand::<Payload>();
        contenders.extend(one(flow));
        per_event(format!("24 B, {} slots", flow.slots), contenders)
            .on_axis("slots", flow.slots as f64)
    });
    consumers.chain(rings).collect()
}
