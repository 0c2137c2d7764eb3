//! *Owns* the scenario `one_way`. *Invariant*: latency counts from the intended send time, so a
//! sender that falls behind hides nothing; the control does the same work without any ring.
//! *Source*: Gil Tene, "coordinated omission" and jHiccup.

use super::{Plan, contender, flow::Reader, flow::warm_events, limit};
use crate::contenders::{
    ArrayQueue, ByHand, Crossbeam, Disruptor, Kanal, Photon, Rtrb, Tourbillon,
};
use crate::machine::Machine;
use crate::numbered::{Bytes32, Plain};
use crate::rounds::{Cell, Contender, Kind, Metric};
use crate::transport::{Rx, Transport, Tx, expected_sum};
use hdrhistogram::Histogram;
use std::sync::atomic::{AtomicU64, Ordering::Acquire, Ordering::Release};

const SLOTS: usize = 1 << 10;
const EVENTS: u64 = 100_000;
const PERIOD_NS: f64 = 1_000.0;
/// From the last moment of the warm-up to the first intended send time.
const LEAD_NS: f64 = 50_000.0;
const QUANTILES: [f64; 3] = [0.5, 0.99, 0.999];

fn quantiles(delays_ns: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut histogram = Histogram::<u64>::new(3).expect("three digits are allowed");
    for delay in delays_ns {
        // In tenths of a nanosecond.
        histogram.record((delay * 10.0) as u64).expect("the histogram grows");
    }
    QUANTILES.map(|quantile| histogram.value_at_quantile(quantile) as f64 / 10.0).to_vec()
}

/// p50, p99, p99.9 in ns, and the last two less those of the control that ran right after.
fn latencies<T: Transport>(machine: &Machine, events: u64) -> Vec<f64> {
    let clock = &machine.clock;
    let (mut tx, mut rx) = T::open(SLOTS);
    let warm = warm_events(SLOTS);
    let end = warm + events;
    let period = clock.ticks(PERIOD_NS);
    let start = AtomicU64::new(0);
    let ((), (delays, sum)) = machine.both(
        || {
            (0..warm).for_each(|n| tx.send(n));
            let first = loop {
                // ORDERING: Acquire; pairs with the Release of the receiving end.
                match start.load(Acquire) {
                    0 => {}
                    first => break first,
                }
            };
            for n in warm..end {
                clock.wait_until(first + (n - warm) * period);
                tx.send(n);
            }
        },
        || {
            let mut reader = Reader::default();
            reader.read_until(&mut rx, warm);
            let mut delays = Vec::with_capacity(events as usize);
            let first = clock.now() + clock.ticks(LEAD_NS);
            // ORDERING: Release; pairs with the Acquire above.
            start.store(first, Release);
            while delays.len() < events as usize {
                rx.drain(|seen| {
                    let now = clock.now();
                    let intended = first + (seen.number - warm) * period;
                    delays.push(now.saturating_sub(intended));
                    reader.sum = reader.sum.wrapping_add(seen.sum);
                });
            }
            (delays, reader.sum)
        },
    );
    let expected = expected_sum::<T::Payload>(end);
    assert_eq!(sum, expected, "{}: every word of {end} events, once", T::about().name);
    let mut values = quantiles(delays.into_iter().map(|delay| clock.ns(delay)));
    let control = control(machine, events);
    values.extend([values[1] - control[1], values[2] - control[2]]);
    values
}

/// How late each core sees each microsecond come, the later of both.
fn control(machine: &Machine, events: u64) -> Vec<f64> {
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
    quantiles(later.map(|delay| clock.ns(delay)))
}

fn row<T: Transport>(kind: Kind, events: u64) -> Contender {
    contender::<T>(kind, move |machine| latencies::<T>(machine, events))
}

fn cell<P: Plain>(plan: Plan) -> Cell {
    let events = plan.events(EVENTS);
    let hiccups = move |machine: &Machine| {
        let mut values = control(machine, events);
        values.extend([0.0, 0.0]);
        values
    };
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
    Cell { name, metrics: names.map(Metric::stamped).to_vec(), contenders }
}

pub(super) fn cells(plan: Plan) -> Vec<Cell> {
    vec![cell::<Bytes32>(plan)]
}
