//! *Owns* the scenarios `fan_out` and `pipeline`. *Invariant*: the receiving thread sees each event
//! twice, or three times in order of the stages. *Source*: none.

use super::{Plan, throughput::flow};
use crate::contenders::{
    ByHand, Chained, Crossbeam, DisruptorFan, DisruptorPipeline, Fused, PhotonFan, PhotonPipeline,
    Rings, Rtrb, TourbillonFan, TourbillonPipeline,
};
use crate::numbered::{Bytes32, Bytes64, Plain};
use crate::rounds::{Cell, Kind, Metric};

const SLOTS: usize = 1 << 10;

fn cell_of_two<P: Plain>(plan: Plan) -> Cell {
    let flow = flow(plan, SLOTS, 1);
    let contenders = vec![
        flow.row::<Rings<ByHand<P>, 2>>(Kind::Limit),
        flow.row::<Rings<ByHand<P, true>, 2>>(Kind::Limit),
        flow.row::<TourbillonFan<P>>(Kind::Ours),
        flow.row::<DisruptorFan<P>>(Kind::Peer),
        flow.row::<PhotonFan<P>>(Kind::Peer),
        flow.row::<Rings<Rtrb<P, false>, 2>>(Kind::Peer),
        flow.row::<Rings<Rtrb<P, true>, 2>>(Kind::Peer),
        flow.row::<Rings<Crossbeam<P, false>, 2>>(Kind::Peer),
    ];
    let name = format!("{} B, {SLOTS} slots, 2 consumers", P::BYTES);
    Cell::new(name, vec![Metric::ns("per event")], contenders)
}

pub(super) fn cells_of_two(plan: Plan) -> Vec<Cell> {
    vec![cell_of_two::<Bytes32>(plan), cell_of_two::<Bytes64>(plan)]
}

fn cell_of_three<P: Plain>(plan: Plan) -> Cell {
    let flow = flow(plan, SLOTS, 1);
    let contenders = vec![
        flow.row::<Fused<Rtrb<P, false>>>(Kind::Limit),
        flow.row::<TourbillonPipeline<P>>(Kind::Ours),
        flow.row::<DisruptorPipeline<P>>(Kind::Peer),
        flow.row::<PhotonPipeline<P>>(Kind::Peer),
        flow.row::<Chained<Rtrb<P, false>>>(Kind::Peer),
        flow.row::<Chained<Crossbeam<P, false>>>(Kind::Peer),
    ];
    let name = format!("{} B, {SLOTS} slots, 3 stages", P::BYTES);
    Cell::new(name, vec![Metric::ns("per event")], contenders)
}

pub(super) fn cells_of_three(plan: Plan) -> Vec<Cell> {
    vec![cell_of_three::<Bytes32>(plan), cell_of_three::<Bytes64>(plan)]
}
