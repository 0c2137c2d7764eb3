//! What the ring costs one core: no second thread, so no cache line moves.
//!
//! *publish*: from an event in registers to its stamp, 1,024 slots, nobody gating (every 256th publish
//! scans an empty gate table; one of several producers also walks the stamps then). *poll*: from `poll` to the sum of all
//! payload words, a prefilled ring of 4,096 slots, four batches; the clock is read twice per ring.
//!
//! Rows: `harness` is the loop of criterion around a `black_box`: subtract nothing, but believe no
//! difference below it. `limit` does the same memory traffic by hand: plain stores of the payload
//! and one release store (for a batch: 64 of them) into an array of the same stride, or an acquire
//! load and plain loads; no ring can be faster. Read the others as multiples of their `limit`.
//!
//! `framed by hand` is rkyv's own low-level serialization of the same event into a slot of the same
//! layout, and the stamp: what `publish framed` is compared with.
#![allow(clippy::disallowed_types, reason = "limit rows are atomics by hand")]

mod harness;

use criterion::{BenchmarkGroup, Criterion, Throughput, measurement::WallTime};
use harness::{Bytes24, Numbered};
use rkyv::rancor::Failure;
use rkyv::ser::{allocator::SubAllocator, writer::Buffer};
use std::hint::black_box;
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicU64, Ordering::Acquire, Ordering::Relaxed, Ordering::Release};
use std::time::{Duration, Instant};
use tourbillon::{Bus, Event, Polled, Producer, rkyv};

const PUBLISH_SLOTS: usize = 1 << 10;
const POLL_SLOTS: usize = 1 << 12;
const BATCH_EVENTS: usize = 64;

/// A slot as a ring of the same stride has it.
#[derive(Default)]
#[repr(align(32))]
struct Slot {
    stamp: AtomicU64,
    words: [u64; 3],
}

fn slots(count: usize) -> Vec<Slot> {
    (0..count).map(|_| Slot::default()).collect()
}

fn words(n: u64) -> [u64; 3] {
    [n, n + 1, n + 2]
}

/// A producer that nobody gates. The bus comes along: dropping it closes the ring.
fn free_producer() -> (Producer<Bytes24>, Bus<Bytes24>) {
    Bus::builder(PUBLISH_SLOTS).start().expect("a bus without stages")
}

fn publish_one(group: &mut BenchmarkGroup<'_, WallTime>) {
    group.throughput(Throughput::Elements(1));
    let mut n = 0_u64;
    group.bench_function("harness", |b| {
        b.iter(|| {
            n += 1;
            black_box(n)
        });
    });
    let mut slots = slots(PUBLISH_SLOTS);
    group.bench_function("limit", |b| {
        b.iter(|| {
            let slot = &mut slots[n as usize % PUBLISH_SLOTS];
            slot.words = words(n);
            n += 1;
            slot.stamp.store(n, Release);
            n
        });
    });
    let (mut producer, _bus) = free_producer();
    group.bench_function("publish", |b| {
        b.iter(|| {
            n += 1;
            producer.publish(&Bytes24::new(n)).expect("nobody gates")
        });
    });
    let (mut producer, _bus) =
        Bus::<Bytes24>::builder(PUBLISH_SLOTS).start_multi().expect("a bus without stages");
    group.bench_function("publish, as one of several", |b| {
        b.iter(|| {
            n += 1;
            producer.publish(&Bytes24::new(black_box(n))).expect("nobody gates")
        });
    });
    group.bench_function("claim, write, publish", |b| {
        b.iter(|| {
            n += 1;
            let claim = producer.claim().expect("nobody gates");
            claim.write(&Bytes24::new(n)).expect("inline").publish()
        });
    });
}

/// What a feed says in words: a symbol of 14 bytes, a body of 64.
#[derive(rkyv::Archive, rkyv::Serialize, Event)]
#[event(name = "bench.said", version = 1, framed)]
struct Said {
    symbol: String,
    body: Vec<u8>,
}

/// A slot for [`Said`] as its ring has it.
#[repr(C, align(64))]
struct SaidSlot {
    stamp: AtomicU64,
    length: u64,
    archive: [MaybeUninit<u8>; 256],
}

fn publish_framed(group: &mut BenchmarkGroup<'_, WallTime>) {
    group.throughput(Throughput::Elements(1));
    let said = black_box(Said { symbol: "BRK.A-20260918".to_owned(), body: vec![7; 64] });
    let mut scratch = [MaybeUninit::uninit(); 4096];
    let slot =
        || SaidSlot { stamp: AtomicU64::new(0), length: 0, archive: [MaybeUninit::zeroed(); 256] };
    let mut slots: Vec<_> = (0..PUBLISH_SLOTS).map(|_| slot()).collect();
    let mut n = 0_u64;
    group.bench_function("framed by hand", |b| {
        b.iter(|| {
            let slot = &mut slots[n as usize % PUBLISH_SLOTS];
            let writer = Buffer::from(&mut slot.archive);
            let alloc = SubAllocator::new(&mut scratch);
            let written = rkyv::api::low::to_bytes_in_with_alloc::<_, _, Failure>(
                black_box(&said),
                writer,
                alloc,
            );
            slot.length = written.expect("it fits").len() as u64;
            n += 1;
            slot.stamp.store(n, Release);
            n
        });
    });
    let (mut producer, _bus) = Bus::builder(PUBLISH_SLOTS).start().expect("a bus without stages");
    group.bench_function("publish framed", |b| {
        b.iter(|| producer.publish(black_box(&said)).expect("nobody gates"));
    });
}

fn publish_batch(group: &mut BenchmarkGroup<'_, WallTime>) {
    group.throughput(Throughput::Elements(BATCH_EVENTS as u64));
    let mut n = 0_u64;
    let mut slots = slots(PUBLISH_SLOTS);
    group.bench_function("limit, batch of 64", |b| {
        b.iter(|| {
            let first = n as usize % PUBLISH_SLOTS;
            let batch = &mut slots[first..first + BATCH_EVENTS];
            for (slot, n) in batch.iter_mut().zip(n..) {
                slot.words = words(n);
            }
            for (at, slot) in batch.iter().enumerate().rev() {
                slot.stamp.store(n + at as u64 + 1, Release);
            }
            n += BATCH_EVENTS as u64;
            n
        });
    });
    let (mut producer, _bus) = free_producer();
    group.bench_function("publish_batch of 64", |b| {
        b.iter(|| {
            let first = n;
            let events = (0..BATCH_EVENTS).map(|at| Bytes24::new(first + at as u64));
            n += BATCH_EVENTS as u64;
            producer.publish_batch(events).expect("nobody gates")
        });
    });
}

fn poll(c: &mut Criterion) {
    let mut group = c.benchmark_group("poll");
    group.throughput(Throughput::Elements(POLL_SLOTS as u64));
    let mut slots = slots(POLL_SLOTS);
    group.bench_function("limit", |b| {
        b.iter_custom(|rings| (0..rings).map(|ring| drain_by_hand(&mut slots, ring)).sum());
    });
    let mut builder = Bus::<Bytes24>::builder(POLL_SLOTS);
    builder.poller("sink");
    let (mut producer, mut bus) = builder.start().expect("a sound bus");
    let mut poller = bus.take_poller("sink").expect("named above");
    group.bench_function("poll", |b| {
        b.iter_custom(|rings| {
            let drain = |_| {
                let first = producer.next_sequence().get();
                for n in first..first + POLL_SLOTS as u64 {
                    producer.publish(&Bytes24::new(n)).expect("drained");
                }
                let (mut events, mut sum) = (0, 0_u64);
                let began = Instant::now();
                while let Polled::Batch(mut batch) = poller.poll() {
                    while let Some((event, _)) = batch.next() {
                        sum = sum.wrapping_add(Bytes24::sum(event));
                        events += 1;
                    }
                }
                let took = began.elapsed();
                assert_eq!((events, sum), (POLL_SLOTS, expected(first)));
                took
            };
            (0..rings).map(drain).sum()
        });
    });
}

fn drain_by_hand(slots: &mut [Slot], ring: u64) -> Duration {
    let first = ring * POLL_SLOTS as u64;
    for (slot, n) in slots.iter_mut().zip(first..) {
        slot.words = words(n);
        slot.stamp.store(n, Relaxed);
    }
    let slots = &*black_box(slots);
    let mut sum = 0_u64;
    let began = Instant::now();
    for (slot, n) in slots.iter().zip(first..) {
        if slot.stamp.load(Acquire) != n {
            break;
        }
        sum = slot.words.iter().fold(sum, |sum, word| sum.wrapping_add(*word));
    }
    let took = began.elapsed();
    assert_eq!(sum, expected(first));
    took
}

/// The sum over a whole ring that begins with number `first`.
fn expected(first: u64) -> u64 {
    (first..first + POLL_SLOTS as u64)
        .fold(0, |sum, n| sum.wrapping_add(<Bytes24 as Numbered>::expected(n)))
}

fn main() {
    let mut c = harness::criterion();
    let mut group = c.benchmark_group("publish");
    publish_one(&mut group);
    publish_framed(&mut group);
    publish_batch(&mut group);
    group.finish();
    poll(&mut c);
    c.final_summary();
}
