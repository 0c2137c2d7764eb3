//! What it costs that a ring outlives its process.
//!
//! *publish*: as in the bench `ring`, into an anonymous ring and into a named one, 1,024 slots, nobody
//! gating: the two rows are to be equal. *adopt*: from `start` to a bus that publishes, over a ring of
//! 65,536 full slots of 32 B that a killed process could have left, and for comparison the creation of
//! one; file, map and the checks of all slots included.
//!
//! Skipped, with a notice, where there is no tmpfs.
#![allow(clippy::print_stderr, reason = "a skipped bench says so")]

mod harness;

use criterion::{Criterion, Throughput};
use harness::{Bytes24, Numbered};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tourbillon::{Bus, BusBuilder, Producer};

const PUBLISH_SLOTS: usize = 1 << 10;
const ADOPT_SLOTS: usize = 1 << 16;

fn builder(slots: usize) -> BusBuilder<Bytes24> {
    Bus::builder(slots)
}

fn publish(c: &mut Criterion, path: &Path) {
    let mut group = c.benchmark_group("named publish");
    group.throughput(Throughput::Elements(1));
    let mut named = builder(PUBLISH_SLOTS);
    named.named(path);
    let rows = [("anonymous", builder(PUBLISH_SLOTS)), ("named", named)];
    let rows = rows.map(|(row, builder)| (row, builder.start().expect("a bus without stages")));
    for (row, (mut producer, _bus)) in rows {
        let mut n = 0_u64;
        group.bench_function(row, |b| {
            b.iter(|| {
                n += 1;
                producer.publish(&Bytes24::new(n)).expect("nobody gates")
            });
        });
    }
    group.finish();
    std::fs::remove_file(path).expect("made above");
}

/// A full ring whose owner is gone.
fn leave(path: &Path) {
    let (mut producer, _bus) = create(path);
    for n in 0..ADOPT_SLOTS as u64 {
        producer.publish(&Bytes24::new(n)).expect("room");
    }
}

fn create(path: &Path) -> (Producer<Bytes24>, Bus<Bytes24>) {
    let _ = std::fs::remove_file(path);
    let mut new = builder(ADOPT_SLOTS);
    new.named(path).poller("book");
    new.start().expect("a new ring")
}

fn adopt(path: &Path) -> (Producer<Bytes24>, Bus<Bytes24>) {
    let mut adopting = builder(ADOPT_SLOTS);
    adopting.adopt(path).poller("book");
    adopting.start().expect("a sound ring")
}

fn timed(rounds: u64, make: impl Fn() -> (Producer<Bytes24>, Bus<Bytes24>)) -> Duration {
    let round = |_| {
        let since = Instant::now();
        let made = make();
        let took = since.elapsed();
        drop(made);
        took
    };
    (0..rounds).map(round).sum()
}

fn main() {
    let path = PathBuf::from(format!("/dev/shm/tourbillon-bench-{}", std::process::id()));
    let mut probe = builder(2);
    probe.named(&path);
    if let Err(error) = probe.start() {
        eprintln!("skipped: {error}");
        return;
    }
    std::fs::remove_file(&path).expect("made just now");
    let mut c = Criterion::default().configure_from_args();
    publish(&mut c, &path);
    let mut group = c.benchmark_group("named start");
    group.throughput(Throughput::Elements(ADOPT_SLOTS as u64)).sample_size(20);
    group.bench_function("create", |b| b.iter_custom(|rounds| timed(rounds, || create(&path))));
    leave(&path);
    group.bench_function("adopt", |b| b.iter_custom(|rounds| timed(rounds, || adopt(&path))));
    group.finish();
    std::fs::remove_file(&path).expect("made above");
    c.final_summary();
}
