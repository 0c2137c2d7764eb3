//! *Owns* the scenarios with flavours for several producers. *Invariant*: an event's number names
//! its producer, so the consumer counts and checks each producer's own. *Source*: R. Jain, "A
//! quantitative measure of fairness and discrimination".

use super::{Plan, contender, throughput::flow};
use crate::contenders::{ArrayQueue, Crossbeam, DisruptorMulti, Kanal, TourbillonMulti};
use crate::machine::{Machine, pin};
use crate::numbered::{Bytes32, Bytes64, Numbered, Plain};
use crate::rounds::{Cell, Contender, Kind, Metric};
use crate::transport::{Rx, Transport, Tx};
use std::hint::spin_loop;
use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering::Acquire, Ordering::Release};

const SLOTS: usize = 1 << 10;
const PRODUCERS: [usize; 3] = [2, 4, 8];
const RUN_NS: f64 = 20_000_000.0;
/// Producers look at the clock once per so many events.
const CHUNK_EVENTS: u64 = 64;
/// A number is `producer << 40 | count`.
const PRODUCER_SHIFT: u32 = 40;

fn cell_of_one<P: Plain>(plan: Plan) -> Cell {
    let flow = flow(plan, SLOTS, 1);
    let contenders = vec![
        flow.row::<TourbillonMulti<P>>(Kind::Ours),
        flow.row::<DisruptorMulti<P>>(Kind::Peer),
        flow.row::<Crossbeam<P, false>>(Kind::Peer),
        flow.row::<Crossbeam<P, true>>(Kind::Peer),
        flow.row::<ArrayQueue<P>>(Kind::Peer),
        flow.row::<Kanal<P, false>>(Kind::Peer),
        flow.row::<Kanal<P, true>>(Kind::Peer),
    ];
    let name = format!("{} B, {SLOTS} slots, one producer", P::BYTES);
    Cell::new(name, vec![Metric::ns("per event")], contenders)
}

pub(super) fn cells_of_one(plan: Plan) -> Vec<Cell> {
    vec![cell_of_one::<Bytes32>(plan), cell_of_one::<Bytes64>(plan)]
}

/// What each producer got through, and the sum of what it sent.
#[derive(Clone, Copy, Default)]
struct Tally {
    count: u64,
    sum: u64,
}

/// ns per event over all producers, and Jain's index: 1 when all sent the same number.
fn compete<T>(machine: &Machine, producers: usize) -> Vec<f64>
where
    T: Transport<Tx: Clone>,
{
    let (tx, rx) = T::open(SLOTS);
    let sent_in_all = AtomicU64::new(0);
    let has_ended = AtomicU64::new(0);
    let together = Barrier::new(producers + 1);
    // The second core receives.
    let cores = machine.cores.iter().enumerate().filter(|(at, _)| *at != 1).map(|(_, core)| *core);
    let (sent, read, took_ns) = std::thread::scope(|scope| {
        let (all, ended, start) = (&sent_in_all, &has_ended, &together);
        let spawn = |(producer, core)| {
            let tx = tx.clone();
            scope.spawn(move || {
                pin(core);
                start.wait();
                let count = send_for::<T>(machine, tx, producer as u64);
                // ORDERING: Release; pairs with the Acquires of the receiving end.
                all.fetch_add(count, Release);
                // ORDERING: Release; pairs with the Acquire of the receiving end.
                ended.fetch_add(1, Release);
                count
            })
        };
        let threads: Vec<_> = cores.take(producers).enumerate().map(spawn).collect();
        let receiver = scope.spawn(move || {
            pin(machine.cores[1]);
            start.wait();
            let began = machine.clock.now();
            let end = |count| {
                // ORDERING: Acquire; pairs with the Releases of the producers.
                ended.load(Acquire) == producers as u64 && all.load(Acquire) == count
            };
            let tallies = read_all(rx, producers, end);
            (tallies, machine.clock.ns(machine.clock.now() - began))
        });
        let sent: Vec<u64> =
            threads.into_iter().map(|thread| thread.join().expect("a producer")).collect();
        let (read, took_ns) = receiver.join().expect("the receiver");
        (sent, read, took_ns)
    });
    for (producer, (count, tally)) in sent.iter().zip(&read).enumerate() {
        let first = (producer as u64) << PRODUCER_SHIFT;
        let numbers = first..first + count;
        let sum = numbers.fold(0, |sum: u64, n| sum.wrapping_add(T::Payload::expected(n)));
        assert_eq!((tally.count, tally.sum), (*count, sum), "{}: every word", T::about().name);
    }
    let counts: Vec<f64> = sent.iter().map(|&count| count as f64).collect();
    let total: f64 = counts.iter().sum();
    let squares: f64 = counts.iter().map(|count| count * count).sum();
    vec![took_ns / total, total * total / (counts.len() as f64 * squares)]
}

/// Sends for the time of a run; gives how many.
fn send_for<T: Transport>(machine: &Machine, mut tx: T::Tx, producer: u64) -> u64 {
    let end = machine.clock.now() + machine.clock.ticks(RUN_NS);
    let first = producer << PRODUCER_SHIFT;
    let mut next = first;
    while machine.clock.now() < end {
        for n in next..next + CHUNK_EVENTS {
            tx.send(n);
        }
        next += CHUNK_EVENTS;
    }
    next - first
}

/// Reads until `is_end` says so of the count; gives what came from each producer.
fn read_all(mut rx: impl Rx, producers: usize, is_end: impl Fn(u64) -> bool) -> Vec<Tally> {
    let mut tallies = vec![Tally::default(); producers];
    let mut count = 0;
    loop {
        let before = count;
        rx.drain(|seen| {
            let tally = &mut tallies[(seen.number >> PRODUCER_SHIFT) as usize];
            tally.count += 1;
            tally.sum = tally.sum.wrapping_add(seen.sum);
            count += 1;
        });
        if count == before {
            if is_end(count) {
                return tallies;
            }
            spin_loop();
        }
    }
}

fn several<T: Transport<Tx: Clone>>(kind: Kind, producers: usize) -> Contender {
    contender::<T>(kind, move |machine| compete::<T>(machine, producers))
}

fn cell_of_several(producers: usize) -> Cell {
    let contenders = vec![
        several::<TourbillonMulti<Bytes32>>(Kind::Ours, producers),
        several::<DisruptorMulti<Bytes32>>(Kind::Peer, producers),
        several::<Crossbeam<Bytes32, false>>(Kind::Peer, producers),
        several::<ArrayQueue<Bytes32>>(Kind::Peer, producers),
        several::<Kanal<Bytes32, false>>(Kind::Peer, producers),
    ];
    let jain = Metric { unit: "", more_is_better: true, ..Metric::ns("Jain's index") };
    let name = format!("{} B, {SLOTS} slots, {producers} producers", Bytes32::BYTES);
    Cell::new(name, vec![Metric::ns("per event"), jain], contenders)
}

/// Cells for as many producers as there are cores beside the consumer's.
pub(super) fn cells_of_several(plan: Plan) -> Vec<Cell> {
    let fits = |producers: &&usize| **producers < plan.cores;
    PRODUCERS.iter().filter(fits).map(|&producers| cell_of_several(producers)).collect()
}

pub(super) fn missing_cores(machine: &Machine) -> Option<String> {
    let cores = machine.cores.len();
    let skipped: Vec<_> = PRODUCERS.iter().filter(|&&count| count >= cores).collect();
    let notice = || format!("skipped for want of cores: producers {skipped:?} on {cores} cores");
    (!skipped.is_empty()).then(notice)
}
