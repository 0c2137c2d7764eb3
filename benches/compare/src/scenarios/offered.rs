//! *Owns* the scenario `offered`: latency against offered rate, with a handler of some 150 ns.
//! *Invariant*: the handler is arithmetic that depends on itself and reads no clock; what it takes
//! alone is measured in each run, on the receiver's core. *Source*: none.

use super::open_loop::{OpenLoop, quantiles};
use super::{Plan, contender};
use crate::contenders::{Disruptor, Photon, Rtrb, Tourbillon};
use crate::machine::Machine;
use crate::numbered::Bytes32;
use crate::report::CellReport;
use crate::rounds::{Cell, Contender, Kind, Metric, Placement};
use crate::transport::Transport;
use std::hint::black_box;
use std::sync::OnceLock;

const SLOTS: usize = 1 << 10;
const HANDLER_NS: f64 = 150.0;
/// Million events per second; dense where 150 ns are all of the time.
const RATES: [f64; 16] =
    [0.1, 0.3, 1.0, 2.0, 3.0, 4.0, 5.0, 5.5, 5.75, 6.0, 6.25, 6.5, 7.0, 10.0, 30.0, 100.0];
const RUN_US: f64 = 20_000.0;
const EVENTS_MIN: f64 = 4_000.0;
const EVENTS_MAX: f64 = 50_000.0;
/// Behind the knee every p99 is more than so many times the p50 of the lowest rate. What a machine
/// does to a single rate below is no knee.
const KNEE_FACTOR: f64 = 10.0;
const P50: usize = 0;
const P99: usize = 1;
const HANDLER: usize = 2;

/// Each step needs the one before.
#[inline(always)]
fn handle(steps: u64, seed: u64) {
    let mut state = seed;
    for _ in 0..steps {
        state = black_box(state.wrapping_mul(0xd6e8_feb8_6659_fd93).wrapping_add(seed));
    }
    black_box(state);
}

fn ns_per_call(machine: &Machine, steps: u64) -> f64 {
    const CALLS: u64 = 5_000;
    let began = machine.clock.now();
    (0..CALLS).for_each(|call| handle(steps, call));
    machine.clock.ns(machine.clock.now() - began) / CALLS as f64
}

/// How many steps take some 150 ns here; found once.
fn steps(machine: &Machine) -> u64 {
    const PROBE_STEPS: u64 = 200;
    static STEPS: OnceLock<u64> = OnceLock::new();
    *STEPS.get_or_init(|| {
        let best = (0..20).map(|_| ns_per_call(machine, PROBE_STEPS)).fold(f64::MAX, f64::min);
        (HANDLER_NS * PROBE_STEPS as f64 / best).max(1.0) as u64
    })
}

/// p50, p99, and what the handler takes alone.
fn latencies<T: Transport>(machine: &Machine, open_loop: OpenLoop) -> Vec<f64> {
    let steps = steps(machine);
    let ((), alone_ns) = machine.both(|| (), || ns_per_call(machine, steps));
    let delays = open_loop.delays_ns::<T>(machine, |sum| handle(steps, sum));
    let [p50, p99] = quantiles(delays, [0.5, 0.99]);
    vec![p50, p99, alone_ns]
}

fn row<T: Transport>(kind: Kind, open_loop: OpenLoop) -> Contender {
    contender::<T>(kind, move |machine| latencies::<T>(machine, open_loop))
}

fn cell(plan: Plan, rate: f64) -> Cell {
    let events = (rate * RUN_US).clamp(EVENTS_MIN, EVENTS_MAX);
    let open_loop =
        OpenLoop { slots: SLOTS, events: plan.events(events as u64), period_ns: 1_000.0 / rate };
    let contenders = vec![
        row::<Tourbillon<Bytes32>>(Kind::Ours, open_loop),
        row::<Photon<Bytes32>>(Kind::Peer, open_loop),
        row::<Disruptor<Bytes32>>(Kind::Peer, open_loop),
        row::<Rtrb<Bytes32, false>>(Kind::Peer, open_loop),
    ];
    let metrics =
        vec![Metric::stamped("p50"), Metric::stamped("p99"), Metric::beside("handler alone")];
    Cell::new(format!("32 B, {SLOTS} slots, {rate} M/s offered"), metrics, contenders)
        .on_axis("offered, M/s", rate)
}

pub(super) fn cells(plan: Plan) -> Vec<Cell> {
    RATES.into_iter().map(|rate| cell(plan, rate)).collect()
}

/// Per placement and contender: the last rate before the knee, as a share of what the handler alone
/// could take.
pub(super) fn findings(cells: &[CellReport]) -> Vec<String> {
    let Some(first) = cells.first() else { return Vec::new() };
    let contenders = 0..first.cell.contenders.len();
    let at = |placement| {
        let knees = contenders.clone().filter_map(move |contender| {
            let knee = knee(cells, placement, contender)?;
            Some(format!("{}, {}: {knee}", placement.name(), first.name_of(contender)))
        });
        knees.collect::<Vec<_>>()
    };
    Placement::ALL.into_iter().flat_map(at).collect()
}

fn knee(cells: &[CellReport], placement: Placement, contender: usize) -> Option<String> {
    let median = |cell: &CellReport, metric| cell.median(placement, contender, metric);
    let limit_ns = KNEE_FACTOR * median(cells.first()?, P50)?;
    let point = |cell: &CellReport| {
        let (rate, p99) = (cell.cell.on_axis?.value, median(cell, P99)?);
        // M/s times ns.
        let share = rate * median(cell, HANDLER)? / 1_000.0;
        Some((format!("{rate} M/s, {share:.2} of the service rate"), p99 <= limit_ns))
    };
    let points: Vec<_> = cells.iter().filter_map(point).collect();
    let behind = points.iter().rposition(|(_, is_good)| *is_good).map_or(0, |last| last + 1);
    let last_good = behind.checked_sub(1).map_or("nowhere", |last| &points[last].0);
    let first_bad = points.get(behind).map_or("nowhere", |point| &point.0);
    Some(format!("good up to {last_good}; past the knee from {first_bad}"))
}
