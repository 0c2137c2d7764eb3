//! *Owns* the scenario `burst`. *Invariant*: single events carry a bit of their own, so that the
//! receiver stamps them alone; latency counts from the intended send time. *Source*: none.

use super::open_loop::quantiles;
use super::{Plan, contender, flow::warm_events};
use crate::contenders::{Disruptor, Photon, Rtrb, Tourbillon};
use crate::machine::Machine;
use crate::numbered::{Bytes32, Numbered, Plain};
use crate::rounds::{Cell, Contender, Kind, Metric};
use crate::transport::{Rx, Transport, Tx, expected_sum};

const SLOTS: usize = 1 << 10;
const BURSTS: u64 = 200;
const BURST_NS: f64 = 1_000_000.0;
/// The clock is read once per so many events of a burst.
const CHUNK_EVENTS: u64 = 64;
const SINGLES_PER_BURST: u64 = 4;
const STEADY_SINGLES: u64 = 4_000;
const SINGLE: u64 = 1 << 62;
const SEED: u64 = 0x5EED_0000_0000_0020;

/// Something that looks random: 1 to 50 µs.
fn gap_ns(single: u64) -> f64 {
    let mixed = (SEED ^ single).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
    1_000.0 + (mixed >> 32) as f64 * 49_000.0 / f64::from(u32::MAX)
}

/// What the sender did.
struct Sent {
    /// Events of bursts, the warm-up among them.
    events: u64,
    intended: Vec<u64>,
}

/// First the steady singles, then bursts, each with a few singles behind it.
fn send(machine: &Machine, tx: &mut impl Tx, bursts: u64) -> Sent {
    let clock = &machine.clock;
    let mut sent = Sent { events: warm_events(SLOTS), intended: Vec::new() };
    (0..sent.events).for_each(|n| tx.send(n));
    let single = |tx: &mut _, sent: &mut Sent, after: u64| {
        let at = sent.intended.len() as u64;
        let intended = after + clock.ticks(gap_ns(at));
        clock.wait_until(intended);
        Tx::send(tx, SINGLE | at);
        sent.intended.push(intended);
        intended
    };
    let mut last = clock.now();
    for _ in 0..STEADY_SINGLES {
        last = single(tx, &mut sent, last);
    }
    for _ in 0..bursts {
        let end = clock.now() + clock.ticks(BURST_NS);
        last = loop {
            let now = clock.now();
            if now >= end {
                break now;
            }
            for n in sent.events..sent.events + CHUNK_EVENTS {
                tx.send(n);
            }
            sent.events += CHUNK_EVENTS;
        };
        for _ in 0..SINGLES_PER_BURST {
            last = single(tx, &mut sent, last);
        }
    }
    sent
}

/// p99 and median of the firsts, the steady median, and the first over the last.
fn firsts<T: Transport>(machine: &Machine, bursts: u64) -> Vec<f64> {
    let clock = &machine.clock;
    let (mut tx, mut rx) = T::open(SLOTS);
    let singles = STEADY_SINGLES + bursts * SINGLES_PER_BURST;
    let (sent, (received, sum)) = machine.both(
        || send(machine, &mut tx, bursts),
        || {
            let (mut received, mut sum) = (Vec::with_capacity(singles as usize), 0_u64);
            while received.len() < singles as usize {
                rx.drain(|seen| {
                    if seen.number & SINGLE != 0 {
                        received.push(clock.now());
                    }
                    sum = sum.wrapping_add(seen.sum);
                });
            }
            (received, sum)
        },
    );
    let expected = (0..singles).fold(expected_sum::<T::Payload>(sent.events), |sum, single| {
        sum.wrapping_add(T::Payload::expected(SINGLE | single))
    });
    assert_eq!(sum, expected, "{}: every word, once", T::about().name);
    let delays = sent.intended.iter().zip(&received).map(|(due, got)| got.saturating_sub(*due));
    let delays: Vec<f64> = delays.map(|delay| clock.ns(delay)).collect();
    let (steady, behind_bursts) = delays.split_at(STEADY_SINGLES as usize);
    let firsts = behind_bursts.iter().step_by(SINGLES_PER_BURST as usize).copied();
    let [first_p50, first_p99] = quantiles(firsts, [0.5, 0.99]);
    // The first of the steady ones come while the receiver still reads the warm-up.
    let [steady_p50] = quantiles(steady[100..].iter().copied(), [0.5]);
    vec![first_p99, first_p50, steady_p50, first_p99 / steady_p50]
}

fn row<T: Transport>(kind: Kind, bursts: u64) -> Contender {
    contender::<T>(kind, move |machine| firsts::<T>(machine, bursts))
}

fn cell<P: Plain>(bursts: u64) -> Cell {
    let contenders = vec![
        row::<Tourbillon<P>>(Kind::Ours, bursts),
        row::<Photon<P>>(Kind::Peer, bursts),
        row::<Disruptor<P>>(Kind::Peer, bursts),
        row::<Rtrb<P, false>>(Kind::Peer, bursts),
    ];
    let ratio = Metric { unit: "", ..Metric::ns("first p99 / steady p50") };
    let [p99, p50, steady] = ["first p99", "first p50", "steady p50"].map(Metric::stamped);
    let name = format!("{} B, {SLOTS} slots, {bursts} bursts of 1 ms", P::BYTES);
    Cell::new(name, vec![p99, p50, steady, ratio], contenders)
}

pub(super) fn cells(plan: Plan) -> Vec<Cell> {
    vec![cell::<Bytes32>(plan.events(BURSTS))]
}
