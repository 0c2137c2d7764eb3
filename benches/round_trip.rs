//! One event there, one back: two rings of 1,024 slots, two pinned threads that spin.
//!
//! A trip is: publish on the ring *out*, poll on the other core, publish what was read on the ring
//! *back*, poll, check every word. Included: serialization, claim, stamp, poll, view, both gates'
//! progress. Not included: any clock (it is read once per chunk of trips) and any other thread.
//!
//! Row `bare`: the same two threads throw one word on one cache line to and fro, which is what the
//! machine asks for two hops; no ring can be faster. Chunks of each ring's trips are interleaved
//! with chunks of bare trips, and the line `interleaved` gives the ratio of the two: cores of a
//! virtual machine move, so compare only what ran side by side. Both rows wait with one PAUSE.
#![allow(clippy::disallowed_types, reason = "the bare row is an atomic by hand")]

mod harness;

use criterion::{Criterion, Throughput};
use crossbeam_utils::CachePadded;
use harness::{Bytes24, Bytes32, Numbered, pin};
use std::hint::{black_box, spin_loop};
use std::sync::atomic::{AtomicU64, Ordering::Acquire, Ordering::Release};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};
use tourbillon::{Bus, Polled, Poller, Producer, WhenFull};

const SLOTS: usize = 1 << 10;
const CHUNK_TRIPS: u64 = 20_000;

/// What the far thread is to echo next.
enum Echo {
    Bare { trips: u64 },
    Ring { trips: u64 },
}

/// Both ends of one ring.
fn ring<E: Numbered>() -> (Producer<E>, Poller<E>, Bus<E>) {
    let mut builder = Bus::builder(SLOTS);
    builder.when_full(WhenFull::Spin(None)).poller("end");
    let (producer, mut bus) = builder.start().expect("a sound bus");
    let poller = bus.take_poller("end").expect("named above");
    (producer, poller, bus)
}

/// Spins until an event is there; gives the sum of its words.
fn receive<E: Numbered>(poller: &mut Poller<E>) -> u64 {
    loop {
        if let Polled::Batch(mut batch) = poller.poll()
            && let Some((event, _)) = batch.next()
        {
            return E::sum(event);
        }
        spin_loop();
    }
}

/// One thread's side of everything.
struct End<'a, E: Numbered> {
    word: &'a AtomicU64,
    producer: Producer<E>,
    poller: Poller<E>,
}

impl<E: Numbered> End<'_, E> {
    /// Throws `trips` words and waits for each to come back.
    fn bare(&self, trips: u64) -> Duration {
        let first = self.word.load(Acquire);
        let began = Instant::now();
        for trip in 0..trips {
            self.word.store(first + 2 * trip + 1, Release);
            while self.word.load(Acquire) != first + 2 * trip + 2 {
                spin_loop();
            }
        }
        began.elapsed()
    }

    fn echo_bare(&self, trips: u64, first: u64) {
        for trip in 0..trips {
            while self.word.load(Acquire) != first + 2 * trip + 1 {
                spin_loop();
            }
            self.word.store(first + 2 * trip + 2, Release);
        }
    }

    /// Publishes `trips` events and waits for each to come back.
    fn trips(&mut self, trips: u64) -> Duration {
        let first = self.producer.next_sequence().get();
        let (mut sum, mut expected) = (0_u64, 0_u64);
        let began = Instant::now();
        for n in first..first + trips {
            self.producer.publish(&E::new(black_box(n))).expect("an open bus");
            sum = sum.wrapping_add(receive(&mut self.poller));
            expected = expected.wrapping_add(E::expected(n));
        }
        let took = began.elapsed();
        assert_eq!(self.poller.sequence().get(), first + trips, "every event came back, once");
        assert_eq!(sum, expected, "every word came back");
        took
    }

    /// Sends back what comes, rebuilt from the sum of its words.
    fn echo_trips(&mut self, trips: u64) {
        for _ in 0..trips {
            let words = E::WORDS;
            let n = receive(&mut self.poller).wrapping_sub(words * (words - 1) / 2) / words;
            self.producer.publish(&E::new(n)).expect("an open bus");
        }
    }

    /// The far thread: does what it is told until nobody tells it.
    fn far(mut self, core: usize, told: &Receiver<Echo>, ready: &Sender<()>) {
        pin(core);
        while let Ok(echo) = told.recv() {
            let first = self.word.load(Acquire);
            ready.send(()).expect("the near thread waits");
            match echo {
                Echo::Bare { trips } => self.echo_bare(trips, first),
                Echo::Ring { trips } => self.echo_trips(trips),
            }
        }
    }
}

/// The near thread with its line to the far one.
struct Near<'a, E: Numbered> {
    end: End<'a, E>,
    tell: Sender<Echo>,
    is_ready: Receiver<()>,
}

impl<E: Numbered> Near<'_, E> {
    fn bare(&self, trips: u64) -> Duration {
        self.tell.send(Echo::Bare { trips }).expect("the far thread listens");
        self.is_ready.recv().expect("the far thread answers");
        self.end.bare(trips)
    }

    fn ring(&mut self, trips: u64) -> Duration {
        self.tell.send(Echo::Ring { trips }).expect("the far thread listens");
        self.is_ready.recv().expect("the far thread answers");
        self.end.trips(trips)
    }

    /// `trips` of each kind in turns of a chunk: bare and ring.
    fn interleaved(&mut self, trips: u64) -> (Duration, Duration) {
        let (mut bare, mut ring) = (Duration::ZERO, Duration::ZERO);
        let mut left = trips;
        while left > 0 {
            let chunk = left.min(CHUNK_TRIPS);
            bare += self.bare(chunk);
            ring += self.ring(chunk);
            left -= chunk;
        }
        (bare, ring)
    }
}

#[allow(clippy::print_stdout, reason = "criterion has no row for a ratio")]
fn rows<E: Numbered>(c: &mut Criterion, bytes: u64, [near, far]: [usize; 2]) {
    let word = CachePadded::new(AtomicU64::new(0));
    let (out, far_poller, _out_bus) = ring::<E>();
    let (back, near_poller, _back_bus) = ring::<E>();
    let far_end = End { word: &word, producer: back, poller: far_poller };
    let near_end = End { word: &word, producer: out, poller: near_poller };
    std::thread::scope(|scope| {
        let (tell, told) = channel();
        let (ready, is_ready) = channel();
        scope.spawn(move || far_end.far(far, &told, &ready));
        pin(near);
        let mut rig = Near { end: near_end, tell, is_ready };
        let mut group = c.benchmark_group(format!("round trip, {bytes} B"));
        group.throughput(Throughput::Elements(1));
        group.bench_function("bare", |b| b.iter_custom(|trips| rig.bare(trips)));
        let mut ratios = Vec::new();
        group.bench_function("ring", |b| {
            b.iter_custom(|trips| {
                let (bare, ring) = rig.interleaved(trips);
                if trips >= CHUNK_TRIPS / 10 {
                    ratios.push(ring.as_secs_f64() / bare.as_secs_f64());
                }
                ring
            });
        });
        group.finish();
        ratios.sort_by(f64::total_cmp);
        if let Some(median) = ratios.get(ratios.len() / 2) {
            println!("interleaved: ring / bare = {median:.2}, median of {}\n", ratios.len());
        }
    });
}

fn main() {
    let Some(cores) = harness::two_cores() else { return };
    let mut c = harness::criterion();
    rows::<Bytes24>(&mut c, 24, cores);
    rows::<Bytes32>(&mut c, 32, cores);
    c.final_summary();
}
