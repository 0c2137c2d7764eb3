//! One event there, one back: two rings of 1,024 slots, two pinned threads that spin.
//!
//! A trip is: publish on the ring *out*, poll on the other core, publish what was read on the ring
//! *back*, poll, check every word. Included: serialization, claim, stamp, poll, view, both gates'
//! progress. Not included: any clock (it is read once per chunk of trips) and any other thread.
//!
//! Row `bare`: the same two threads throw one word on one cache line to and fro, which is what the
//! machine asks for two hops. Row `by hand`: two arrays of stamped slots of the same stride and
//! number, with no gate, no claim counter and no life to look at: what it costs that a ring moves on
//! to other lines. Nothing is faster than `bare`, no ring than `by hand`. The last row interleaves
//! chunks of all three, and the line below it gives the ratios: cores of a virtual machine move, so
//! compare only what ran side by side. All wait with plain polling, no PAUSE.
#![allow(clippy::disallowed_types, reason = "the bare row is an atomic by hand")]

mod harness;

use criterion::{Criterion, Throughput};
use crossbeam_utils::CachePadded;
use harness::{Bytes24, Bytes32, Numbered, pin};
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering::Acquire, Ordering::Relaxed, Ordering::Release};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};
use tourbillon::{Bus, Polled, Poller, Producer, WhenFull};

const SLOTS: usize = 1 << 10;
const CHUNK_TRIPS: u64 = 20_000;

/// What the far thread is to echo next.
#[derive(Clone, Copy)]
enum Echo {
    Bare { trips: u64 },
    ByHand { trips: u64 },
    Ring { trips: u64 },
}

#[derive(Default)]
#[repr(align(64))]
struct Line([AtomicU64; 8]);

/// Stamped slots of `stride` words, and nothing else.
struct Hand {
    lines: Vec<Line>,
    stride: usize,
}

impl Hand {
    fn new<E: Numbered>() -> Self {
        let stride = (E::WORDS as usize + 1).next_power_of_two();
        let lines = (0..SLOTS * stride / 8).map(|_| Line::default()).collect();
        Self { lines, stride }
    }

    #[inline(always)]
    fn slot(&self, n: u64) -> &[AtomicU64] {
        let word = (n as usize % SLOTS) * self.stride;
        &self.lines[word / 8].0[word % 8..]
    }

    #[inline(always)]
    fn put<E: Numbered>(&self, n: u64, first: u64) {
        let slot = self.slot(n);
        for (word, value) in slot[1..=E::WORDS as usize].iter().zip(first..) {
            word.store(value, Relaxed);
        }
        slot[0].store(n + 1, Release);
    }

    /// Spins until number `n` is there; gives the sum of its words.
    #[inline(always)]
    fn take<E: Numbered>(&self, n: u64) -> u64 {
        let slot = self.slot(n);
        while slot[0].load(Acquire) != n + 1 {}
        let words = &slot[1..=E::WORDS as usize];
        words.iter().fold(0, |sum, word| sum.wrapping_add(word.load(Relaxed)))
    }
}

/// The number of an event whose words sum up to `sum`.
#[inline(always)]
fn number<E: Numbered>(sum: u64) -> u64 {
    sum.wrapping_sub(E::WORDS * (E::WORDS - 1) / 2) / E::WORDS
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
    }
}

/// One thread's side of everything.
struct End<'a, E: Numbered> {
    word: &'a AtomicU64,
    out: &'a Hand,
    back: &'a Hand,
    by_hand: u64,
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
            while self.word.load(Acquire) != first + 2 * trip + 2 {}
        }
        began.elapsed()
    }

    fn echo_bare(&self, trips: u64, first: u64) {
        for trip in 0..trips {
            while self.word.load(Acquire) != first + 2 * trip + 1 {}
            self.word.store(first + 2 * trip + 2, Release);
        }
    }

    fn by_hand(&mut self, trips: u64) -> Duration {
        let first = self.by_hand;
        self.by_hand += trips;
        let began = Instant::now();
        for n in first..first + trips {
            self.out.put::<E>(n, black_box(n));
            assert_eq!(self.back.take::<E>(n), E::expected(n));
        }
        began.elapsed()
    }

    fn echo_by_hand(&mut self, trips: u64) {
        let first = self.by_hand;
        self.by_hand += trips;
        for n in first..first + trips {
            self.back.put::<E>(n, number::<E>(self.out.take::<E>(n)));
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
            let n = number::<E>(receive(&mut self.poller));
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
                Echo::ByHand { trips } => self.echo_by_hand(trips),
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
    /// Sends the far thread to its side of `echo`, then does this one.
    fn go(&mut self, echo: Echo) -> Duration {
        self.tell.send(echo).expect("the far thread listens");
        self.is_ready.recv().expect("the far thread answers");
        match echo {
            Echo::Bare { trips } => self.end.bare(trips),
            Echo::ByHand { trips } => self.end.by_hand(trips),
            Echo::Ring { trips } => self.end.trips(trips),
        }
    }

    /// `trips` of each kind in turns of a chunk: bare, by hand, ring.
    fn interleaved(&mut self, trips: u64) -> [Duration; 3] {
        let mut took = [Duration::ZERO; 3];
        let mut left = trips;
        while left > 0 {
            let trips = left.min(CHUNK_TRIPS);
            took[0] += self.go(Echo::Bare { trips });
            took[1] += self.go(Echo::ByHand { trips });
            took[2] += self.go(Echo::Ring { trips });
            left -= trips;
        }
        took
    }
}

fn median(mut ratios: Vec<f64>) -> f64 {
    ratios.sort_by(f64::total_cmp);
    ratios.get(ratios.len() / 2).copied().unwrap_or(f64::NAN)
}

#[allow(clippy::print_stdout, reason = "criterion has no row for a ratio")]
fn rows<E: Numbered>(c: &mut Criterion, bytes: u64, [near, far]: [usize; 2]) {
    let word = CachePadded::new(AtomicU64::new(0));
    let (out, far_poller, _out_bus) = ring::<E>();
    let (back, near_poller, _back_bus) = ring::<E>();
    let (hand_out, hand_back) = (Hand::new::<E>(), Hand::new::<E>());
    let end = |producer, poller| End {
        word: &word,
        out: &hand_out,
        back: &hand_back,
        by_hand: 0,
        producer,
        poller,
    };
    let (near_end, far_end) = (end(out, near_poller), end(back, far_poller));
    std::thread::scope(|scope| {
        let (tell, told) = channel();
        let (ready, is_ready) = channel();
        scope.spawn(move || far_end.far(far, &told, &ready));
        pin(near);
        let mut rig = Near { end: near_end, tell, is_ready };
        let mut group = c.benchmark_group(format!("round trip, {bytes} B"));
        group.throughput(Throughput::Elements(1));
        group.bench_function("bare", |b| b.iter_custom(|trips| rig.go(Echo::Bare { trips })));
        group.bench_function("by hand", |b| b.iter_custom(|trips| rig.go(Echo::ByHand { trips })));
        let (mut to_bare, mut to_hand) = (Vec::new(), Vec::new());
        group.bench_function("ring", |b| {
            b.iter_custom(|trips| {
                let [bare, hand, ring] = rig.interleaved(trips);
                to_bare.push(ring.as_secs_f64() / bare.as_secs_f64());
                to_hand.push(ring.as_secs_f64() / hand.as_secs_f64());
                ring
            });
        });
        group.finish();
        let (bare, hand) = (median(to_bare), median(to_hand));
        println!("interleaved medians: ring / bare = {bare:.2}, ring / by hand = {hand:.2}\n");
    });
}

fn main() {
    let Some(cores) = harness::two_cores() else { return };
    let mut c = harness::criterion();
    rows::<Bytes24>(&mut c, 24, cores);
    rows::<Bytes32>(&mut c, 32, cores);
    c.final_summary();
}
