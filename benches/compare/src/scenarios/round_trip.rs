//! *Owns* the scenario `round_trip`. *Invariant*: one event is under way; no clock is read within
//! 64 trips; nobody pauses its spin. *Source*: the round-trip bench.

use super::{Plan, contender, flow::warm_events, limit};
use crate::contenders::{
    ArrayQueue, ByHand, Crossbeam, Disruptor, Kanal, Photon, Rtrb, Tourbillon,
};
use crate::machine::Machine;
use crate::numbered::{Bytes24, Bytes32, Numbered, Plain};
use crate::rounds::{Cell, Contender, Kind, Metric};
use crate::transport::{OneByOne, Transport, Tx};
use crate::verdict::median;
use std::hint::black_box;

const SLOTS: usize = 1 << 10;
const CHUNK_TRIPS: u64 = 64;
const CHUNKS: u64 = 1_000;

/// Gives the median over chunks of the mean trip, in ns.
fn trips<T: Transport<Rx: OneByOne>>(machine: &Machine, chunks: u64) -> f64 {
    let ((mut out, mut out_rx), (mut back, mut back_rx)) = (T::open(SLOTS), T::open(SLOTS));
    let warm = warm_events(SLOTS);
    let end = warm + chunks * CHUNK_TRIPS;
    let (means, ()) = machine.both(
        || {
            let mut trip = |n: u64| {
                out.send(black_box(n));
                let seen = back_rx.wait();
                assert_eq!(seen.sum, T::Payload::expected(n), "every word came back");
            };
            (0..warm).for_each(&mut trip);
            let chunk = |first: u64| {
                let began = machine.clock.now();
                (first..first + CHUNK_TRIPS).for_each(&mut trip);
                machine.clock.ns(machine.clock.now() - began) / CHUNK_TRIPS as f64
            };
            (warm..end).step_by(CHUNK_TRIPS as usize).map(chunk).collect::<Vec<f64>>()
        },
        || {
            for _ in 0..end {
                let seen = out_rx.wait();
                assert_eq!(seen.sum, T::Payload::expected(seen.number), "every word arrived");
                back.send(seen.number);
            }
        },
    );
    median(means)
}

fn row<T: Transport<Rx: OneByOne>>(kind: Kind, chunks: u64) -> Contender {
    contender::<T>(kind, move |machine| vec![trips::<T>(machine, chunks)])
}

fn cell<P: Plain>(plan: Plan) -> Cell {
    let chunks = plan.events(CHUNKS);
    let bare = move |machine: &Machine| vec![machine.ping_pong(chunks * CHUNK_TRIPS)];
    let contenders = vec![
        limit("bare ping-pong", "one word on one cache line, to and fro; a mean", bare),
        row::<ByHand<P>>(Kind::Limit, chunks),
        row::<Tourbillon<P>>(Kind::Ours, chunks),
        row::<Photon<P>>(Kind::Peer, chunks),
        row::<Disruptor<P>>(Kind::Peer, chunks),
        row::<Rtrb<P, false>>(Kind::Peer, chunks),
        row::<Crossbeam<P, false>>(Kind::Peer, chunks),
        row::<ArrayQueue<P>>(Kind::Peer, chunks),
        row::<Kanal<P, false>>(Kind::Peer, chunks),
    ];
    let name = format!("{} B, {SLOTS} slots", P::BYTES);
    Cell::new(name, vec![Metric::ns("per trip")], contenders)
}

pub(super) fn cells(plan: Plan) -> Vec<Cell> {
    vec![cell::<Bytes24>(plan), cell::<Bytes32>(plan)]
}
