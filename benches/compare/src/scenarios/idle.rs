//! *Owns* the scenario `idle`. *Invariant*: the consumer spins all along; the sender sleeps, stamps
//! and sends, so what is cold is the sender and what lies between. *Source*: none.

use super::{Plan, contender, flow::warm_events};
use crate::contenders::{Crossbeam, Disruptor, Photon, Rtrb, Tourbillon};
use crate::machine::Machine;
use crate::numbered::{Bytes32, Plain};
use crate::rounds::{Cell, Contender, Kind, Metric};
use crate::transport::{OneByOne, Transport, Tx, expected_sum};
use crate::verdict::median;
use std::time::Duration;

const SLOTS: usize = 1 << 10;
const PAUSES: u64 = 5;
const STEADY_EVENTS: u64 = 2_000;
/// From the end of the warm-up to the first stamped event.
const LEAD_NS: f64 = 1_000_000.0;
const STEADY_PERIOD_NS: f64 = 5_000.0;

#[derive(Clone, Copy)]
struct Idle {
    pause: Duration,
    pauses: u64,
    /// Warms up behind the pause, before the clock is read.
    is_warmed: bool,
}

/// Median and worst of the first events after a pause, and the steady median; in ns.
fn firsts<T: Transport<Rx: OneByOne>>(machine: &Machine, idle: Idle) -> Vec<f64> {
    let clock = &machine.clock;
    let (mut tx, mut rx) = T::open(SLOTS);
    let warm = warm_events(SLOTS);
    let stamped = idle.pauses + STEADY_EVENTS;
    let (sent, (received, sum)) = machine.both(
        || {
            (0..warm).for_each(|n| tx.send(n));
            let mut next = clock.now() + clock.ticks(LEAD_NS);
            let mut send = |at: u64| {
                if at < STEADY_EVENTS {
                    next = clock.wait_until(next + clock.ticks(STEADY_PERIOD_NS));
                } else {
                    std::thread::sleep(idle.pause);
                    if idle.is_warmed {
                        tx.warm_up();
                    }
                }
                let sent = clock.now();
                tx.send(warm + at);
                sent
            };
            (0..stamped).map(&mut send).collect::<Vec<u64>>()
        },
        || {
            // One by one, since the first stamped event may come before the last of these is read.
            let mut total = (0..warm).fold(0, |sum: u64, _| sum.wrapping_add(rx.wait().sum));
            let receive = |_| {
                let seen = rx.wait();
                let received = clock.now();
                total = total.wrapping_add(seen.sum);
                received
            };
            let received: Vec<u64> = (0..stamped).map(receive).collect();
            (received, total)
        },
    );
    let expected = expected_sum::<T::Payload>(warm + stamped);
    assert_eq!(sum, expected, "{}: every word, once", T::about().name);
    let delays = sent.iter().zip(&received).map(|(sent, got)| clock.ns(got.saturating_sub(*sent)));
    let mut steady: Vec<f64> = delays.collect();
    let firsts = steady.split_off(STEADY_EVENTS as usize);
    let worst = firsts.iter().copied().fold(0.0, f64::max);
    vec![median(firsts), worst, median(steady)]
}

fn row<T: Transport<Rx: OneByOne>>(kind: Kind, idle: Idle) -> Contender {
    contender::<T>(kind, move |machine| firsts::<T>(machine, idle))
}

/// Ours, with the call that other rings do not have.
fn warmed<P: Plain>(idle: Idle) -> Contender {
    let mut row = row::<Tourbillon<P>>(Kind::Limit, Idle { is_warmed: true, ..idle });
    row.about.name = "tourbillon, warmed up";
    row.about.configuration = "as tourbillon, with `warm_up(1000, event)` after the pause";
    row
}

fn cell<P: Plain>(idle: Idle) -> Cell {
    let contenders = vec![
        row::<Tourbillon<P>>(Kind::Ours, idle),
        warmed::<P>(idle),
        row::<Disruptor<P>>(Kind::Peer, idle),
        row::<Photon<P>>(Kind::Peer, idle),
        row::<Rtrb<P, false>>(Kind::Peer, idle),
        row::<Crossbeam<P, false>>(Kind::Peer, idle),
    ];
    let name = format!("{} B, {SLOTS} slots, pauses of {:?}", P::BYTES, idle.pause);
    let metrics = ["first event", "worst first event", "steady p50"].map(Metric::stamped).to_vec();
    Cell::new(name, metrics, contenders)
}

pub(super) fn cells(plan: Plan) -> Vec<Cell> {
    let idle = Idle { pause: Duration::from_secs(1), pauses: PAUSES, is_warmed: false };
    let quick = Idle { pause: Duration::from_millis(50), pauses: 2, is_warmed: false };
    vec![cell::<Bytes32>(if plan.quick { quick } else { idle })]
}
