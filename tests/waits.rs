//! What every way to wait promises: it delivers every event, it shuts down, and a halt ends it.

#![allow(clippy::disallowed_types, reason = "counters of a test")]

mod common;

use common::a_core;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;
use tourbillon::{
    BuildError, Bus, BusBuilder, Drain, Event, Full, Idling, Polled, Producer, PublishError,
    Sequence, Wait, WaitStrategy, WhenFull,
};

#[derive(Clone, Copy, Debug, PartialEq, rkyv::Archive, rkyv::Serialize, Event)]
#[event(name = "test.tick", version = 1)]
struct Tick {
    value: u64,
}

/// So long that a test which sleeps through one has failed.
const FOR_EVER: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_micros(20);

fn every_wait() -> Vec<Wait> {
    let custom = |idle_steps| match idle_steps {
        0..4 => Idling::Spin { pauses: 3 },
        4..8 => Idling::Yield,
        _ => Idling::Park { max: SHORT },
    };
    vec![
        Wait::Auto,
        Wait::Spin,
        Wait::BurstSpin,
        Wait::Yield,
        Wait::Sleep { max: SHORT },
        Wait::Park { max: SHORT },
        Wait::Waker { period: SHORT },
        Wait::DirectWake,
        Wait::Custom(Arc::new(custom)),
    ]
}

/// A stage that adds up what it sees, in order.
fn summing(sum: &Arc<AtomicU64>) -> impl FnMut(&ArchivedTick, Sequence, bool) + Send + 'static {
    let sum = Arc::clone(sum);
    let mut next = Sequence::ZERO;
    move |tick, sequence, _| {
        assert_eq!(sequence, next, "no gap, no repeat");
        next = sequence.next();
        sum.fetch_add(tick.value.to_native(), Ordering::Relaxed);
    }
}

fn builder(capacity: usize) -> BusBuilder<Tick> {
    let mut builder = Bus::builder(capacity);
    builder.when_full(WhenFull::Park(None)).allow_more_spinners_than_cores();
    builder
}

fn fill(producer: &mut Producer<Tick>, events: u64) {
    for value in 0..events {
        producer.publish(&Tick { value }).expect("an open bus");
    }
}

#[test]
fn every_wait_delivers_every_event_down_a_chain_and_shuts_down() {
    const EVENTS: u64 = 300;
    for wait in every_wait() {
        let sums = [(); 3].map(|()| Arc::new(AtomicU64::new(0)));
        let mut builder = builder(16);
        builder.handler("first", summing(&sums[0])).wait(wait.clone());
        builder.handler("second", summing(&sums[1])).after(["first"]).wait(wait.clone());
        builder.handler("third", summing(&sums[2])).after(["second"]).wait(wait.clone());
        let (mut producer, bus) = builder.start().expect("a sound bus");
        fill(&mut producer, EVENTS);
        bus.shutdown(Drain::Complete).expect("a clean end");
        for sum in &sums {
            assert_eq!(sum.load(Ordering::Relaxed), EVENTS * (EVENTS - 1) / 2, "{wait}");
        }
    }
}

#[test]
fn every_wait_works_on_one_core() {
    for wait in every_wait() {
        let sums = [(); 2].map(|()| Arc::new(AtomicU64::new(0)));
        let mut builder = builder(8);
        for (name, sum) in ["first", "second"].into_iter().zip(&sums) {
            builder.handler(name, summing(sum)).core(a_core()).wait(wait.clone());
        }
        let (mut producer, bus) = builder.start().expect("a sound bus");
        fill(&mut producer, 100);
        bus.shutdown(Drain::Complete).expect("a clean end");
        assert!(sums.iter().all(|sum| sum.load(Ordering::Relaxed) == 4950), "{wait}");
    }
}

/// Publishes one event at a time, each after the last stage has answered the one before, so that
/// every stage goes to sleep in between.
fn ping_pong(wait: &Wait, rounds: u64) {
    let (answer, answers) = mpsc::channel();
    let mut builder = builder(8);
    builder.handler("first", |_: &ArchivedTick, _: Sequence, _: bool| {}).wait(wait.clone());
    let second = move |tick: &ArchivedTick, _: Sequence, _: bool| {
        answer.send(tick.value.to_native()).expect("the test listens");
    };
    builder.handler("second", second).after(["first"]).wait(wait.clone());
    let (mut producer, bus) = builder.start().expect("a sound bus");
    for value in 0..rounds {
        producer.publish(&Tick { value }).expect("an open bus");
        assert_eq!(answers.recv_timeout(FOR_EVER), Ok(value), "{wait}");
    }
    bus.shutdown(Drain::Complete).expect("a clean end");
}

#[test]
fn an_event_wakes_every_sleeper_on_its_way() {
    for wait in every_wait() {
        ping_pong(&wait, 200);
    }
}

#[test]
fn a_halt_wakes_every_sleeper() {
    let custom = Wait::Custom(Arc::new(|_| Idling::Park { max: FOR_EVER }));
    let nights = [
        Wait::Park { max: FOR_EVER },
        Wait::Sleep { max: FOR_EVER },
        Wait::Waker { period: FOR_EVER },
        Wait::DirectWake,
        custom,
    ];
    for wait in nights {
        let mut builder = builder(8);
        let handler = |_: &ArchivedTick, _: Sequence, _: bool| {};
        builder.handler("sleeper", handler).wait(wait.clone());
        let (_producer, bus) = builder.start().expect("a sound bus");
        let report = bus.shutdown(Drain::Halt).expect("a clean end");
        assert_eq!(report.published, Sequence::ZERO, "{wait}");
    }
}

#[test]
fn a_custom_strategy_is_told_how_long_there_was_nothing() {
    #[derive(Default)]
    struct Told {
        first: AtomicU64,
        later: AtomicU64,
    }
    impl WaitStrategy for Told {
        fn idle(&self, idle_steps: u32) -> Idling {
            let counter = if idle_steps == 0 { &self.first } else { &self.later };
            counter.fetch_add(1, Ordering::Relaxed);
            Idling::Yield
        }
    }
    let told = Arc::new(Told::default());
    let (answer, answers) = mpsc::channel();
    let mut builder = builder(8);
    let handler = move |_: &ArchivedTick, _: Sequence, _: bool| {
        answer.send(()).expect("the test listens");
    };
    builder.handler("stage", handler).wait(Wait::Custom(Arc::clone(&told) as _));
    let (mut producer, bus) = builder.start().expect("a sound bus");
    for value in 0..3 {
        let before = told.later.load(Ordering::Relaxed);
        while told.later.load(Ordering::Relaxed) == before {
            std::thread::yield_now();
        }
        producer.publish(&Tick { value }).expect("an open bus");
        answers.recv().expect("handled");
    }
    bus.shutdown(Drain::Complete).expect("a clean end");
    assert!((3..=5).contains(&told.first.load(Ordering::Relaxed)), "once per run of idle looks");
}

#[test]
fn what_spins_is_counted_against_the_cores() {
    struct Hog;
    impl WaitStrategy for Hog {
        fn idle(&self, _: u32) -> Idling {
            Idling::Spin { pauses: 1 }
        }
        fn spins(&self) -> bool {
            true
        }
    }
    let start = |wait: Wait| {
        let mut builder = Bus::<Tick>::builder(8);
        let stages = std::thread::available_parallelism().map_or(1, usize::from) + 1;
        for stage in 0..stages.min(32) {
            let handler = |_: &ArchivedTick, _: Sequence, _: bool| {};
            builder.handler(&format!("stage {stage}"), handler).wait(wait.clone());
        }
        builder.start().map(drop)
    };
    if std::thread::available_parallelism().map_or(1, usize::from) >= 32 {
        return; // a ring has too few gates to have too many spinners
    }
    for wait in [Wait::Spin, Wait::BurstSpin, Wait::Custom(Arc::new(Hog))] {
        assert!(matches!(start(wait), Err(BuildError::TooManySpinners { .. })));
    }
    start(Wait::Custom(Arc::new(|_| Idling::Park { max: SHORT }))).expect("nobody spins");
}

#[test]
fn a_parked_producer_goes_on_when_there_is_room() {
    let mut builder = builder(2);
    builder.poller("slow");
    let (mut producer, mut bus) = builder.start().expect("a sound bus");
    let mut slow = bus.take_poller("slow").expect("named above");
    let writer = std::thread::spawn(move || {
        fill(&mut producer, 100);
        producer
    });
    let mut seen = 0;
    while seen < 100 {
        if let Polled::Batch(mut batch) = slow.poll() {
            while let Some((tick, _)) = batch.next() {
                assert_eq!(tick.value.to_native(), seen);
                seen += 1;
            }
        } else {
            std::thread::yield_now();
        }
    }
    drop(writer.join().expect("all published"));
}

#[test]
fn a_parked_producer_is_freed_by_a_halt() {
    let mut builder = builder(2);
    builder.poller("stuck");
    let (mut producer, bus) = builder.start().expect("a sound bus");
    fill(&mut producer, 2);
    let writer = std::thread::spawn(move || producer.publish(&Tick { value: 2 }));
    bus.halt();
    assert_eq!(writer.join().expect("freed"), Err(PublishError::Closed));
}

#[test]
fn a_parked_producer_gives_up_at_its_limit_and_names_who_is_in_the_way() {
    let mut builder = Bus::<Tick>::builder(2);
    builder.when_full(WhenFull::Park(Some(Duration::from_millis(1)))).poller("stuck");
    let (mut producer, _bus) = builder.start().expect("a sound bus");
    fill(&mut producer, 2);
    let full = Full { missing: 1, gate: Arc::from("stuck"), held_by: None };
    assert_eq!(producer.publish(&Tick { value: 2 }), Err(full.into()));
}
