//! *Owns* the scenario `one_way`. *Invariant*: latency counts from the intended send time, so a
//! sender that falls behind hides nothing; the control does the same work without any ring.
//! *Source*: Gil Tene, "coordinated omission" and jHiccup.

use super::open_loop::{LEAD_NS, OpenLoop, quantiles};
use super::{Plan, contender, limit};
use crate::contenders::{
    ArrayQueue, ByHand, Crossbeam, Disruptor, Kanal, Photon, Rtrb, Tourbillon,
};
use crate::machine::Machine;
use crate::numbered::{Bytes32, Plain};
use crate::rounds::{Cell, Contender, Kind, Metric};
use crate::transport::Transport;

const SLOTS: usize = 1 << 10;
const EVENTS: u64 = 100_000;
const PERIOD_NS: f64 = 1_000.0;
const QUANTILES: [f64; 3] = [0.5, 0.99, 0.999];

/// p50, p99, p99.9 in ns, and the last two less those of the control that ran right after.
fn latencies<T: Transport>(machine: &Machine, events: u64) -> Vec<f64> {
    let open_loop = OpenLoop { slots: SLOTS, events, period_ns: PERIOD_NS };
    let values = quantiles(open_loop.delays_ns::<T>(machine, |_| ()), QUANTILES);
    let control = control(machine, events);
    let less = [values[1] - control[1], values[2] - control[2]];
    values.into_iter().chain(less).collect()
}

/// How late each core sees each microsecond come, the later of both.
fn control(machine: &Machine, events: u64) -> [f64; 3] {
    let clock = &machine.clock;
    let period = clock.ticks(PERIOD_NS);
    let first = clock.now() + clock.ticks(40.0 * LEAD_NS);
    let watch = || -> Vec<u64> {
        let due = |at: u64| first + at * period;
        clock.wait_until(first);
        (0..events).map(|at| clock.wait_until(due(at)) - due(at)).collect()
    };
    let (near, far) = machine.both(watch, watch);
    // What passed before both were there is no hiccup.
    let skip = events as usize / 100;
    let later = near.into_iter().zip(far).skip(skip).map(|(near, far)| near.max(far));
    quantiles(later.map(|delay| clock.ns(delay)), QUANTILES)
}

fn row<T: Transport>(kind: Kind, events: u64) -> Contender {
    contender::<T>(kind, move |machine| latencies::<T>(machine, events))
}

fn cell<P: Plain>(plan: Plan) -> Cell {
    let events = plan.events(EVENTS);
    let hiccups =
        move |machine: &Machine| control(machine, events).into_iter().chain([0.0, 0.0]).collect();
    let contenders = vec![
        limit(
            "hiccups",
            "both cores spin on the clock and note how late they see each us",
            hiccups,
        ),
        row::<ByHand<P>>(Kind::Limit, events),
        row::<Tourbillon<P>>(Kind::Ours, events),
        row::<Photon<P>>(Kind::Peer, events),
        row::<Disruptor<P>>(Kind::Peer, events),
        row::<Rtrb<P, false>>(Kind::Peer, events),
        row::<Crossbeam<P, false>>(Kind::Peer, events),
        row::<ArrayQueue<P>>(Kind::Peer, events),
        row::<Kanal<P, false>>(Kind::Peer, events),
    ];
    let names = ["p50", "p99", "p99.9", "p99 less hiccups", "p99.9 less hiccups"];
    let name = format!("{} B, {SLOTS} slots, one per us", P::BYTES);
    Cell::new(name, names.map(Metric::stamped).to_vec(), contenders)
}

pub(super) fn cells(plan: Plan) -> Vec<Cell> {
    vec![cell::<Bytes32>(plan)]
}
