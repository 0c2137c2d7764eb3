//! How many events cross from one pinned thread to another that does nothing but read them.
//!
//! Included: building the event, serialization, claim, stamp, waiting while the ring is full (it
//! spins), poll, the sum of all payload words. An iteration is one event; a measurement ends when
//! the consumer's cursor, which never goes back, has passed the last one. At the end the sum of
//! everything that was read is compared with what was sent.
//!
//! Row `harness`: the producer's loop alone, into a ring that nobody reads and that therefore never
//! fills. A row that comes near it is limited by its producer. Rows with small rings are limited by
//! the lines that the two cores take from each other; they differ by a factor of three with the
//! place where the machine puts its cores, so compare within one run.

mod harness;

use criterion::{BenchmarkGroup, Criterion, Throughput, measurement::WallTime};
use harness::{Bytes8, Bytes32, Bytes64, Bytes256, Numbered, pin};
use std::hint::spin_loop;
use std::time::Instant;
use tourbillon::{Bus, Polled, Poller, Producer, WhenFull};

const BATCH_EVENTS: u64 = 64;

/// Publishes `events` events, numbered as their sequences, `by` at a time.
fn send<E: Numbered>(producer: &mut Producer<E>, events: u64, by: u64) {
    let first = producer.next_sequence().get();
    let end = first + events;
    if by == 1 {
        for n in first..end {
            producer.publish(&E::new(n)).expect("an open bus");
        }
        return;
    }
    for first in (first..end).step_by(by as usize) {
        let count = by.min(end - first) as usize;
        let batch = (0..count).map(|at| E::new(first + at as u64));
        producer.publish_batch(batch).expect("an open bus");
    }
}

/// Reads until the bus is closed; gives the sum of all words.
fn read<E: Numbered>(mut poller: Poller<E>, core: usize) -> u64 {
    pin(core);
    let mut sum = 0_u64;
    loop {
        match poller.poll() {
            Polled::Batch(mut batch) => {
                while let Some((event, _)) = batch.next() {
                    sum = sum.wrapping_add(E::sum(event));
                }
            }
            Polled::Closed => return sum,
            _ => spin_loop(),
        }
    }
}

fn harness_row<E: Numbered>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    slots: usize,
    by: u64,
    name: &str,
) {
    let (mut producer, _bus) = Bus::<E>::builder(slots).start().expect("a bus without stages");
    group.bench_function(format!("{name}, harness"), |b| {
        b.iter_custom(|events| {
            let began = Instant::now();
            send(&mut producer, events, by);
            began.elapsed()
        });
    });
}

fn row<E: Numbered>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    slots: usize,
    by: u64,
    name: &str,
    far: usize,
) {
    let mut builder = Bus::<E>::builder(slots);
    builder.when_full(WhenFull::Spin(None)).poller("sink");
    let (mut producer, mut bus) = builder.start().expect("a sound bus");
    let poller = bus.take_poller("sink").expect("named above");
    std::thread::scope(|scope| {
        let reader = scope.spawn(move || read(poller, far));
        group.bench_function(name, |b| {
            b.iter_custom(|events| {
                let began = Instant::now();
                send(&mut producer, events, by);
                wait_for_all(&bus);
                began.elapsed()
            });
        });
        let sent = producer.next_sequence().get();
        bus.halt();
        let sum = reader.join().expect("the reader does not panic");
        let expected = (0..sent).fold(0, |sum: u64, n| sum.wrapping_add(E::expected(n)));
        assert_eq!(sum, expected, "{name}: every word of {sent} events was read");
    });
}

/// Spins until the consumer has passed everything that is published now.
fn wait_for_all<E: Numbered>(bus: &Bus<E>) {
    let end = bus.published();
    while bus.sequence("sink").expect("a stage of this bus") < end {
        spin_loop();
    }
}

fn rows<E: Numbered>(c: &mut Criterion, far: usize) {
    let mut group = c.benchmark_group(format!("throughput, {} B", E::WORDS * 8));
    group.throughput(Throughput::Elements(1));
    for slots in [1 << 10, 1 << 16] {
        for by in [1, BATCH_EVENTS] {
            let name = format!("{slots} slots, by {by}");
            harness_row::<E>(&mut group, slots, by, &name);
            row::<E>(&mut group, slots, by, &name, far);
        }
    }
    group.finish();
}

fn main() {
    let Some([near, far]) = harness::two_cores() else { return };
    pin(near);
    let mut c = harness::criterion();
    rows::<Bytes8>(&mut c, far);
    rows::<Bytes32>(&mut c, far);
    rows::<Bytes64>(&mut c, far);
    rows::<Bytes256>(&mut c, far);
    c.final_summary();
}
