//! *Owns* the scenario `telemetry`: what a publish takes when one more stage hangs on the ring and
//! sleeps most of the time. *Invariant*: neither that stage nor the waker thread runs on the
//! sender's core; it has seen every event before a run ends. *Source*: none.

use super::open_loop::quantiles;
use super::{Plan, flow::Reader, flow::warm_events};
use crate::contenders::{TourbillonRx, TourbillonTx, tourbillon_builder, tourbillon_start};
use crate::machine::Machine;
use crate::numbered::{Bytes32, Plain};
use crate::report::CellReport;
use crate::rounds::{Cell, Contender, Kind, Metric, Placement};
use crate::transport::{About, Tx, expected_sum};
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Acquire, Ordering::Relaxed, Ordering::Release};
use std::time::Duration;
use tourbillon::rkyv::Archived;
use tourbillon::{Sequence, Wait};

const SLOTS: usize = 1 << 12;
const EVENTS: u64 = 100_000;
const PERIOD_NS: f64 = 1_000.0;
const NAP: Duration = Duration::from_millis(1);
const QUANTILES: [f64; 2] = [0.5, 0.999];
const EXCESS: usize = 2;

type Payload = Bytes32;

/// What the sleeping stage has counted and summed.
#[derive(Default)]
struct Tally {
    count: AtomicU64,
    sum: AtomicU64,
}

fn open(
    machine: &Machine,
    wait: Option<Wait>,
) -> (TourbillonTx<Payload>, TourbillonRx<Payload>, Arc<Tally>) {
    let tally = Arc::new(Tally::default());
    let mut builder = tourbillon_builder::<Payload>(SLOTS);
    builder.poller("sink");
    if let Some(wait) = wait {
        let seen = Arc::clone(&tally);
        let handler = move |event: &Archived<Payload>, _: Sequence, _: bool| {
            // ORDERING: Relaxed; the count below publishes it.
            seen.sum.fetch_add(Payload::look_archived(event).sum, Relaxed);
            // ORDERING: Release; pairs with the Acquire at the end of a run.
            seen.count.fetch_add(1, Release);
        };
        // The third core, or the receiver's.
        let core = machine.cores.get(2).unwrap_or(&machine.cores[1]);
        builder.handler("telemetry", handler).core(*core).wait(wait);
    }
    let (tx, [rx]) = machine.off_the_first(|| tourbillon_start(builder, ["sink"]));
    (tx, rx, tally)
}

/// Stamps `work` each microsecond; gives what it took.
fn stamped(machine: &Machine, from: u64, events: u64, mut work: impl FnMut(u64)) -> Vec<u64> {
    let clock = &machine.clock;
    let (first, period) = (clock.now() + clock.ticks(50_000.0), clock.ticks(PERIOD_NS));
    let step = |at: u64| {
        clock.wait_until(first + at * period);
        let began = clock.now();
        work(from + at);
        clock.now() - began
    };
    (0..events).map(step).collect()
}

/// p50 and p99.9 of a publish, and the latter less that of two stamps with nothing between.
fn publishes(machine: &Machine, events: u64, wait: Option<Wait>) -> Vec<f64> {
    let has_stage = wait.is_some();
    let (mut tx, mut rx, tally) = open(machine, wait);
    let warm = warm_events(SLOTS);
    let end = warm + events;
    let (took, sum) = machine.both(
        || {
            (0..warm).for_each(|n| tx.send(n));
            stamped(machine, warm, events, |n| tx.send(n))
        },
        || {
            let mut reader = Reader::default();
            reader.read_until(&mut rx, end);
            reader.sum
        },
    );
    let expected = expected_sum::<Payload>(end);
    assert_eq!(sum, expected, "every word of {end} events, once");
    if has_stage {
        // ORDERING: Acquire; pairs with the Release of the handler.
        while tally.count.load(Acquire) < end {
            std::thread::yield_now();
        }
        // ORDERING: Relaxed; behind the count.
        assert_eq!(tally.sum.load(Relaxed), expected, "the sleeper has seen every word, once");
    }
    let values = quantiles(took.into_iter().map(|ticks| machine.clock.ns(ticks)), QUANTILES);
    let control = control(machine, events);
    vec![values[0], values[1], values[1] - control[1]]
}

/// The same stamps with no ring between them, while the other core watches the clock.
fn control(machine: &Machine, events: u64) -> [f64; 2] {
    let watch = || stamped(machine, 0, events, |n| _ = black_box(n));
    let (took, _) = machine.both(watch, watch);
    quantiles(took.into_iter().map(|ticks| machine.clock.ns(ticks)), QUANTILES)
}

fn row(
    name: &'static str,
    configuration: &'static str,
    events: u64,
    wait: Option<Wait>,
) -> Contender {
    let run = move |machine: &Machine| publishes(machine, events, wait.clone());
    let about = About { name, configuration, published: None };
    Contender { about, kind: Kind::Ours, run: Box::new(run) }
}

pub(super) fn cells(plan: Plan) -> Vec<Cell> {
    let events = plan.events(EVENTS);
    let [park, waker] = [Wait::Park { max: NAP }, Wait::Waker { period: NAP }];
    let contenders = vec![
        row("one poller", "a poller that spins on the receiver's core", events, None),
        row("and a parked stage", "one more stage, Wait::Park of 1 ms", events, Some(park)),
        row("and a woken stage", "one more stage, Wait::Waker of 1 ms", events, Some(waker)),
    ];
    let metrics = ["p50", "p99.9", "p99.9 less hiccups"].map(Metric::stamped).to_vec();
    vec![Cell::new(format!("32 B, {SLOTS} slots, one per us"), metrics, contenders)]
}

/// What each stage adds.
pub(super) fn findings(cells: &[CellReport]) -> Vec<String> {
    let of = |cell: &CellReport, placement: Placement| {
        let median = |contender| cell.median(placement, contender, EXCESS);
        let added = |contender: usize| {
            let (with, without) = (median(contender)?, median(0)?);
            let (placement, name) = (placement.name(), cell.name_of(contender));
            Some(format!("{placement}, {name}: {:+.0} ns in p99.9 less hiccups", with - without))
        };
        (1..cell.cell.contenders.len()).filter_map(added).collect::<Vec<_>>()
    };
    let all = cells.iter().flat_map(|cell| Placement::ALL.map(|placement| of(cell, placement)));
    all.flatten().collect()
}
