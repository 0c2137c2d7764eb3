//! What more consumers cost, on one core: batches of 64 published, then polled by each.
//!
//! An iteration is one event: published once, and read, with the sum of all its words, by every
//! consumer. Row `limit` is the same traffic by hand: one array of the same stride, 64 slots stamped,
//! then walked as often as there are consumers. `chain` puts the consumers behind each other.
#![allow(clippy::disallowed_types, reason = "limit rows are atomics by hand")]

mod harness;

use criterion::{Criterion, Throughput};
use harness::{Bytes24, Numbered};
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering::Acquire, Ordering::Release};
use std::time::{Duration, Instant};
use tourbillon::{Bus, Polled, Poller, Producer};

const SLOTS: usize = 1 << 10;
const BATCH_EVENTS: usize = 64;

#[repr(align(32))]
#[derive(Default)]
struct Slot {
    stamp: AtomicU64,
    words: [u64; 3],
}

/// A bus with `count` consumers, side by side or each behind the one before.
fn bus(count: usize, is_chain: bool) -> (Producer<Bytes24>, Vec<Poller<Bytes24>>, Bus<Bytes24>) {
    let names: Vec<String> = (0..count).map(|number| format!("consumer {number}")).collect();
    let mut builder = Bus::builder(SLOTS);
    for (number, name) in names.iter().enumerate() {
        let stage = builder.poller(name);
        if is_chain && number > 0 {
            stage.after([&names[number - 1]]);
        }
    }
    let (producer, mut bus) = builder.start().expect("a sound bus");
    let pollers = names.iter().map(|name| bus.take_poller(name).expect("named")).collect();
    (producer, pollers, bus)
}

fn through_the_ring(events: u64, count: usize, is_chain: bool) -> Duration {
    let (mut producer, mut pollers, _bus) = bus(count, is_chain);
    let mut sums = vec![0_u64; count];
    let mut expected = 0_u64;
    let began = Instant::now();
    for first in (0..events).step_by(BATCH_EVENTS) {
        let batch = (0..BATCH_EVENTS).map(|at| Bytes24::new(first + at as u64));
        producer.publish_batch(batch).expect("room");
        for (poller, sum) in pollers.iter_mut().zip(&mut sums) {
            let Polled::Batch(mut batch) = poller.poll() else { unreachable!("published") };
            while let Some((event, _)) = batch.next() {
                *sum = sum.wrapping_add(Bytes24::sum(event));
            }
        }
    }
    let took = began.elapsed();
    for n in 0..events.next_multiple_of(BATCH_EVENTS as u64) {
        expected = expected.wrapping_add(Bytes24::expected(n));
    }
    assert!(sums.iter().all(|sum| *sum == expected), "every word, by every consumer");
    took
}

fn by_hand(events: u64, count: usize) -> Duration {
    let mut slots: Vec<Slot> = (0..SLOTS).map(|_| Slot::default()).collect();
    let mut sum = 0_u64;
    let began = Instant::now();
    for first in (0..events).step_by(BATCH_EVENTS) {
        for n in first..first + BATCH_EVENTS as u64 {
            let slot = &mut slots[n as usize % SLOTS];
            slot.words = black_box([n, n + 1, n + 2]);
            slot.stamp.store(n + 1, Release);
        }
        for _ in 0..count {
            for n in first..first + BATCH_EVENTS as u64 {
                let slot = &slots[n as usize % SLOTS];
                if slot.stamp.load(Acquire) == n + 1 {
                    sum = slot.words.iter().fold(sum, |sum, word| sum.wrapping_add(*word));
                }
            }
        }
    }
    black_box(sum);
    began.elapsed()
}

fn main() {
    let mut criterion = harness::criterion();
    fan_out(&mut criterion);
    criterion.final_summary();
}

fn fan_out(c: &mut Criterion) {
    let mut group = c.benchmark_group("fan-out");
    group.throughput(Throughput::Elements(1));
    for count in [1, 2, 4, 8] {
        group.bench_function(format!("{count}, limit"), |b| {
            b.iter_custom(|events| by_hand(events, count));
        });
        group.bench_function(format!("{count}, side by side"), |b| {
            b.iter_custom(|events| through_the_ring(events, count, false));
        });
        group.bench_function(format!("{count}, chain"), |b| {
            b.iter_custom(|events| through_the_ring(events, count, true));
        });
    }
    group.finish();
}
