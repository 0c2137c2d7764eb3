//! What a publisher pays for stages that sleep.
//!
//! *publish beside*: one event of 24 B into 1,024 slots, claim counter included, in bursts of half a
//! ring, beside one stage that waits as the row says; between bursts the publisher waits, unmeasured,
//! until the stage has handled all of it. `nobody` has no stage. `yield` is at the publisher's heels
//! and costs it cache misses; `park` and `waker` are asleep or late, and cost it nothing; `direct
//! wake` costs it a fence each and a wake whenever the stage has gone to sleep.
//!
//! *publish to a sleeper*: one publish after a pause in which the stage has gone to sleep, clock
//! included (about 40 ns). *publish to answer*: from there until the stage has stored one word that
//! the publisher polls. The pause is longer than the stage spins and yields.
//!
//! Threads run on whatever core the system picks; on a busy machine the latencies are its quanta.
#![allow(clippy::disallowed_types, reason = "the answer is an atomic by hand")]

mod harness;

use criterion::Criterion;
use harness::{Bytes24, Numbered};
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Acquire, Ordering::Release};
use std::time::{Duration, Instant};
use tourbillon::{Bus, Event, Producer, Sequence, Wait, WhenFull, rkyv::Archived};

const SLOTS: usize = 1 << 10;
const ASLEEP_BY: Duration = Duration::from_micros(300);

/// A bus with one stage that answers with what it has handled.
fn bus(wait: Option<Wait>) -> (Producer<Bytes24>, Bus<Bytes24>, Arc<AtomicU64>) {
    let answer = Arc::new(AtomicU64::new(0));
    let mut builder = Bus::<Bytes24>::builder(SLOTS);
    builder.when_full(WhenFull::Spin(None));
    if let Some(wait) = wait {
        let answer = Arc::clone(&answer);
        let telemetry = move |event: &Archived<Bytes24>, sequence: Sequence, _: bool| {
            black_box(Bytes24::sum(event));
            answer.store(sequence.get() + 1, Release);
        };
        builder.handler("telemetry", telemetry).wait(wait);
    }
    let (producer, bus) = builder.start().expect("a sound bus");
    (producer, bus, answer)
}

fn waits() -> [(&'static str, Option<Wait>); 5] {
    let us = Duration::from_micros;
    [
        ("nobody", None),
        ("yield", Some(Wait::Yield)),
        ("park 50 us", Some(Wait::Park { max: us(50) })),
        ("waker 50 us", Some(Wait::Waker { period: us(50) })),
        ("direct wake", Some(Wait::DirectWake)),
    ]
}

/// Publishes at its own pace, in bursts of half a ring that the stage has handled before the next.
fn publish(c: &mut Criterion) {
    let mut group = c.benchmark_group("publish beside");
    for (name, wait) in waits() {
        let has_stage = wait.is_some();
        let (mut producer, _bus, answer) = bus(wait);
        group.bench_function(name, |b| {
            b.iter_custom(|events| {
                let mut took = Duration::ZERO;
                let mut left = events;
                while left > 0 {
                    let burst = left.min(SLOTS as u64 / 2);
                    let first = producer.next_sequence().get();
                    let began = Instant::now();
                    for n in first..first + burst {
                        producer.publish(&Bytes24::new(n)).expect("half a ring is free");
                    }
                    took += began.elapsed();
                    left -= burst;
                    while has_stage && answer.load(Acquire) < first + burst {
                        std::hint::spin_loop();
                    }
                }
                took
            });
        });
    }
    group.finish();
}

/// One publish into the stage's sleep: what the publisher pays, and when the answer is there.
fn wake(c: &mut Criterion) {
    for (group, to_the_answer) in [("publish to a sleeper", false), ("publish to answer", true)] {
        let mut group = c.benchmark_group(group);
        group.sample_size(10);
        for (name, wait) in waits().into_iter().skip(2) {
            let (mut producer, _bus, answer) = bus(wait);
            group.bench_function(name, |b| {
                b.iter_custom(|events| {
                    (0..events).map(|_| one(&mut producer, &answer, to_the_answer)).sum()
                });
            });
        }
        group.finish();
    }
}

fn one<E: Event + Numbered>(
    producer: &mut Producer<E>,
    answer: &AtomicU64,
    to_the_answer: bool,
) -> Duration {
    let asleep = Instant::now();
    while asleep.elapsed() < ASLEEP_BY {
        std::hint::spin_loop();
    }
    let event = E::new(producer.next_sequence().get());
    let began = Instant::now();
    let sequence = producer.publish(&event).expect("a free ring");
    let published = began.elapsed();
    while answer.load(Acquire) <= sequence.get() {
        std::hint::spin_loop();
    }
    if to_the_answer { began.elapsed() } else { published }
}

fn main() {
    let mut c = harness::criterion();
    publish(&mut c);
    wake(&mut c);
    c.final_summary();
}
