//! Model checking of the crate itself, not of a copy: its atomics, cells, fences, locks are loom's.
//!
//! Each model runs a few threads over all interleavings, stale reads included: the small ones
//! without a bound, the others with at most three preemptions. Attempts are bounded, and whatever is left is drained after the joins: a model that
//! spins dies of branches. Loom also watches the payloads: a slot that is written while somebody may
//! still read it fails the model, whatever the bytes. `mutants.sh` shows that the models can fail.
//!
//! `cd loom-tests && cargo test --release`

#[cfg(not(loom))]
compile_error!(
    "run from `loom-tests`, without RUSTFLAGS: its .cargo/config.toml says `--cfg loom`"
);

mod canary;
mod gating;
mod joining;
mod life;
mod multi;
mod publish;
mod wake;

use std::collections::BTreeSet;
use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use tourbillon::{
    Bus, BusBuilder, Claims, Event, MultiProducer, Polled, Poller, Producer, PublishError,
    Sequence, Wait, WhenFull,
};

/// Three words with a relation, so that a torn or foreign payload is seen.
#[derive(Clone, Copy, rkyv::Archive, rkyv::Serialize, Event)]
#[rkyv(crate = tourbillon::rkyv)]
#[event(name = "model.triple", version = 1)]
struct Triple {
    value: u64,
    twice: u64,
    inverse: u64,
}

impl Triple {
    /// The event that belongs to `sequence`.
    fn of(sequence: u64) -> Self {
        let value = 1000 + sequence;
        Self { value, twice: 2 * value, inverse: !value }
    }
}

impl ArchivedTriple {
    fn verify(&self, sequence: u64) {
        let found = [self.value, self.twice, self.inverse].map(|word| word.to_native());
        let event = Triple::of(sequence);
        assert_eq!(found, [event.value, event.twice, event.inverse], "payload of {sequence}");
    }
}

/// What happened in at least one interleaving.
#[derive(Clone, Default)]
struct Marks(Arc<Mutex<BTreeSet<&'static str>>>);

impl Marks {
    fn set(&self, mark: &'static str) {
        // Taken and released between two steps of the model, which runs on one thread of its own.
        self.0.lock().expect("not poisoned").insert(mark);
    }
}

/// Runs `model` over all interleavings of at most `LOOM_MAX_PREEMPTIONS` preemptions and says how
/// many there were. It must have reached `marks`, otherwise it proves less than it says.
fn explore(name: &str, marks: &[&str], model: impl Fn(&Marks) + Send + Sync + 'static) {
    run(loom::model::Builder::new(), name, marks, model);
}

/// As `explore`, with two preemptions: for models whose threads scan the gates again and again.
fn explore_two(name: &str, marks: &[&str], model: impl Fn(&Marks) + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(2);
    run(builder, name, marks, model);
}

/// As `explore`, over all interleavings that there are: for models of few steps.
fn exhaust(name: &str, marks: &[&str], model: impl Fn(&Marks) + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = None;
    run(builder, name, marks, model);
}

/// As `explore`, with at most two preemptions: for models of three threads that sleep.
fn skim(name: &str, marks: &[&str], model: impl Fn(&Marks) + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.map(|bound| bound.min(2));
    run(builder, name, marks, model);
}

fn run(
    builder: loom::model::Builder,
    name: &str,
    marks: &[&str],
    model: impl Fn(&Marks) + Send + Sync + 'static,
) {
    let reached = Marks::default();
    let runs = Arc::new(AtomicU64::new(0));
    let (seen, counter) = (reached.clone(), Arc::clone(&runs));
    let start = std::time::Instant::now();
    builder.check(move || {
        counter.fetch_add(1, Ordering::Relaxed);
        model(&seen);
    });
    let reached = reached.0.lock().expect("not poisoned");
    for mark in marks {
        assert!(reached.contains(mark), "model {name} never reached `{mark}`: {reached:?}");
    }
    let (runs, took) = (runs.load(Ordering::Relaxed), start.elapsed());
    // Straight to stderr: the test harness keeps what the print macros write.
    let line = format!("model {name}: {runs} interleavings in {took:.1?}\n");
    std::io::stderr().write_all(line.as_bytes()).expect("stderr");
}

/// A ring of `capacity` with pollers, each behind the named others.
fn ring<const N: usize>(
    capacity: usize,
    stages: [(&str, &[&str]); N],
) -> (Producer<Triple>, [Consumer; N], Bus<Triple>) {
    ring_that(Wait::Auto, WhenFull::Fail, capacity, stages)
}

/// As `ring`, for stages that wait and producers that find it full as said.
fn ring_that<const N: usize>(
    wait: Wait,
    when_full: WhenFull,
    capacity: usize,
    stages: [(&str, &[&str]); N],
) -> (Producer<Triple>, [Consumer; N], Bus<Triple>) {
    let builder = builder(wait, when_full, capacity, &stages);
    let (producer, mut bus) = builder.start().expect("a sound bus");
    let consumers = stages.map(|(name, _)| Consumer::new(bus.take_poller(name).expect("named")));
    (producer, consumers, bus)
}

/// As `ring`, for two producers. Handles are cloned here and dropped at the end of a model, since
/// they sign on and off under a lock that loom does not know.
fn shared_ring<const N: usize>(
    capacity: usize,
    stages: [(&str, &[&str]); N],
) -> ([MultiProducer<Triple>; 2], [Consumer; N], Bus<Triple>) {
    let builder = builder(Wait::Auto, WhenFull::Fail, capacity, &stages);
    let (producer, mut bus) = builder.start_multi().expect("a sound bus");
    let consumers = stages.map(|(name, _)| Consumer::new(bus.take_poller(name).expect("named")));
    ([producer.clone(), producer], consumers, bus)
}

fn builder(
    wait: Wait,
    when_full: WhenFull,
    capacity: usize,
    stages: &[(&str, &[&str])],
) -> BusBuilder<Triple> {
    let mut builder = Bus::builder(capacity);
    builder.when_full(when_full);
    for (name, after) in stages {
        builder.poller(name).after(*after).wait(wait.clone());
    }
    builder
}

/// Publishes the event that belongs to the next sequence, if a slot is free.
fn publish<C: Claims>(producer: &mut Producer<Triple, C>) -> Result<u64, PublishError> {
    let claim = producer.try_claim()?;
    let event = Triple::of(claim.sequence().get());
    Ok(claim.write(&event)?.publish().get())
}

/// Tries to publish `attempts` times.
fn publish_some<C: Claims>(producer: &mut Producer<Triple, C>, attempts: usize, marks: &Marks) {
    for _ in 0..attempts {
        match publish(producer) {
            Ok(_) => {}
            Err(PublishError::Full(_)) => marks.set("full"),
            Err(other) => panic!("{other}"),
        }
    }
}

/// What one look found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    Walked,
    Gated,
    Idle,
    Closed,
}

/// A poller and the sequences that it saw.
struct Consumer {
    poller: Poller<Triple>,
    start: u64,
    seen: Vec<u64>,
    /// Lets other threads run while an event is held.
    is_slow: bool,
}

impl Consumer {
    fn new(poller: Poller<Triple>) -> Self {
        let start = poller.sequence().get();
        Self { poller, start, seen: Vec::new(), is_slow: false }
    }

    fn slow(mut self) -> Self {
        self.is_slow = true;
        self
    }

    /// Polls once and verifies what comes.
    fn look(&mut self) -> Look {
        self.look_and(|_| {})
    }

    /// Polls once, verifies what comes and hands its sequence to `handle` while it is held.
    fn look_and(&mut self, mut handle: impl FnMut(u64)) -> Look {
        match self.poller.poll() {
            Polled::Batch(mut batch) => {
                while let Some((event, sequence)) = batch.next() {
                    event.verify(sequence.get());
                    handle(sequence.get());
                    if self.is_slow {
                        loom::thread::yield_now();
                        event.verify(sequence.get());
                    }
                    self.seen.push(sequence.get());
                }
                Look::Walked
            }
            Polled::Gated => Look::Gated,
            Polled::Idle => Look::Idle,
            Polled::Closed => Look::Closed,
        }
    }

    fn looks(&mut self, attempts: usize, marks: &Marks) {
        for _ in 0..attempts {
            if self.look() == Look::Idle {
                marks.set("idle");
            }
        }
    }

    /// Looks until there is nothing more; for the end of a model, when the other threads are gone.
    fn drain(&mut self) {
        while self.look() == Look::Walked {}
    }

    /// Everything from the start below `end` was seen, once and in order.
    fn saw_all_below(&self, end: u64) {
        assert_eq!(self.seen, (self.start..end).collect::<Vec<_>>());
    }
}

/// Publishes and drains in turn until `end` at least, when the other threads are gone.
fn finish<C: Claims, const N: usize>(
    producer: &mut Producer<Triple, C>,
    end: u64,
    consumers: [&mut Consumer; N],
) {
    let mut consumers = consumers;
    let end = end.max(producer.next_sequence().get());
    loop {
        consumers.iter_mut().for_each(|consumer| consumer.drain());
        if producer.next_sequence() >= Sequence::new(end) {
            break;
        }
        publish(producer).expect("the consumers have drained");
    }
    consumers.iter().for_each(|consumer| consumer.saw_all_below(end));
}
