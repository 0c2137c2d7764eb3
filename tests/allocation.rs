//! The way of an event allocates nothing: counted, over a million events.
//!
//! The counter is the thread's own, so neither the test harness nor a neighbour is counted. What the
//! journal allocates is counted on its thread, by a stage that shares it.

mod common;

use common::{Scratch, a_core};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use tourbillon::{
    Bus, Drain, Event, Handler, JournalOptions, Polled, Poller, Producer, Sequence, WhenFull,
};

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

fn count() {
    // A thread that is being torn down has no counter any more, and no event either.
    let _ = ALLOCATIONS.try_with(|allocations| allocations.set(allocations.get() + 1));
}

// SAFETY: every call goes on to `System` unchanged; the counter neither allocates nor unwinds.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: by the caller's contract, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: by the caller's contract, which is the same.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        count();
        // SAFETY: by the caller's contract, which is the same; `memory` came from `System`.
        unsafe { System.realloc(memory, layout, bytes) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: by the caller's contract, which is the same; `memory` came from `System`.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// Allocations of this thread during `work`.
fn allocations(work: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.get();
    work();
    ALLOCATIONS.get() - before
}

const EVENTS: u64 = 1_000_000;
const SLOTS: u64 = 1 << 10;

#[derive(Clone, Copy, rkyv::Archive, rkyv::Serialize, Event)]
#[event(name = "test.tick", version = 1)]
struct Tick {
    instrument: u32,
    side: Option<u8>,
    price: i64,
}

fn tick(n: u64) -> Tick {
    Tick { instrument: n as u32, side: Some(1), price: n as i64 }
}

fn ring() -> (Producer<Tick>, Poller<Tick>, Bus<Tick>) {
    let mut builder = Bus::builder(SLOTS as usize);
    builder.when_full(WhenFull::Fail).poller("sink");
    let (producer, mut bus) = builder.start().expect("a sound bus");
    let poller = bus.take_poller("sink").expect("named above");
    (producer, poller, bus)
}

/// Polls until nothing is there; `on_event` sees each price.
fn drain(poller: &mut Poller<Tick>, mut on_event: impl FnMut(i64)) {
    while let Polled::Batch(mut batch) = poller.poll() {
        while let Some((tick, _)) = batch.next() {
            on_event(tick.price.to_native());
        }
    }
}

/// Hands a million events through, `by` per lap of `publish` and drain.
fn pass(by: u64, publish: impl Fn(&mut Producer<Tick>, u64), on_event: impl FnMut(i64)) -> u64 {
    let (mut producer, mut poller, _bus) = ring();
    let mut on_event = on_event;
    let mut seen = 0;
    let counted = allocations(|| {
        for first in (0..EVENTS).step_by(by as usize) {
            publish(&mut producer, first);
            drain(&mut poller, |price| {
                seen += 1;
                on_event(price);
            });
        }
    });
    assert_eq!(seen, EVENTS, "every event arrived");
    counted
}

fn one_by_one(producer: &mut Producer<Tick>, first: u64) {
    for n in first..first + 100 {
        producer.publish(&tick(n)).expect("room");
    }
}

#[test]
fn publishing_and_polling_allocate_nothing() {
    let mut next = 0;
    let counted = pass(100, one_by_one, |price| {
        assert_eq!(price, next);
        next += 1;
    });
    assert_eq!(counted, 0);
}

#[test]
fn a_batch_allocates_nothing() {
    let publish = |producer: &mut Producer<Tick>, first: u64| {
        producer.publish_batch((0..250_usize).map(|at| tick(first + at as u64))).expect("room");
    };
    assert_eq!(pass(250, publish, |_| {}), 0);
}

#[test]
fn claims_and_aborts_allocate_nothing() {
    let publish = |producer: &mut Producer<Tick>, first: u64| {
        for n in first..first + 100 {
            drop(producer.claim().expect("room"));
            producer.claim().expect("room").write(&tick(n)).expect("inline").publish();
        }
    };
    assert_eq!(pass(100, publish, |_| {}), 0);
}

#[test]
fn a_full_ring_is_refused_without_an_allocation() {
    let (mut producer, _poller, _bus) = ring();
    let counted = allocations(|| {
        for n in 0..SLOTS {
            producer.publish(&tick(n)).expect("room");
        }
        for n in 0..SLOTS {
            assert!(producer.try_publish(&tick(n)).is_err());
        }
    });
    assert_eq!(counted, 0);
}

/// Names, bodies and nested vectors, which take the producer's scratch.
#[derive(rkyv::Archive, rkyv::Serialize, Event)]
#[event(name = "test.said", version = 1, framed)]
struct Said {
    symbol: String,
    body: Vec<u8>,
    notes: Vec<Vec<String>>,
    limits: std::collections::BTreeMap<u32, String>,
}

#[test]
fn publishing_framed_events_allocates_nothing_whether_they_fit_or_not() {
    let said = |bytes| Said {
        symbol: "BRK.A-20260918".to_owned(),
        body: vec![7; bytes],
        notes: vec![vec!["a note, out of line".to_owned()], Vec::new()],
        limits: (0..9).map(|n| (n, n.to_string())).collect(),
    };
    let mut builder = Bus::<Said>::builder(SLOTS as usize);
    builder.when_full(WhenFull::Fail).slot_bytes(512).poller("sink");
    let (mut producer, mut bus) = builder.start().expect("a sound bus");
    let mut poller = bus.take_poller("sink").expect("named above");
    let (small, large) = (said(64), said(512));
    let mut seen = 0;
    let counted = allocations(|| {
        for n in 0..EVENTS {
            if n % 100 == 0 {
                assert!(producer.publish(&large).is_err());
            }
            producer.publish(&small).expect("room");
            if n % 200 == 199 {
                while let Polled::Batch(mut batch) = poller.poll() {
                    while let Some((said, _)) = batch.next() {
                        assert_eq!((said.body.len(), said.limits.len()), (64, 9));
                        seen += 1;
                    }
                }
            }
        }
    });
    assert_eq!((counted, seen), (0, EVENTS));
}

/// The proof of the proof: one `Box` per event on the path is one count per event.
#[test]
fn a_box_on_the_path_is_counted() {
    let mut boxed = None;
    let counted = pass(100, one_by_one, |price| boxed = Some(Box::new(price)));
    assert_eq!(counted, EVENTS);
    assert_eq!(boxed.map(|price| *price), Some(EVENTS as i64 - 1));
}

/// Shares a thread with the journal stage and remembers what that thread has allocated.
struct Meter {
    /// What the thread had allocated at the first event, its own start behind it.
    at_start: Option<u64>,
    counted: u64,
    boxes: Option<Box<u64>>,
    is_boxing: bool,
}

impl Handler<Tick> for Meter {
    fn on_event(&mut self, _: &ArchivedTick, sequence: Sequence, _: bool) {
        self.at_start.get_or_insert(ALLOCATIONS.get());
        if self.is_boxing && sequence.get() == EVENTS / 2 {
            self.boxes = Some(Box::new(sequence.get()));
        }
    }

    fn on_batch_end(&mut self, _: Sequence) {
        self.counted = ALLOCATIONS.get() - self.at_start.unwrap_or(0);
    }
}

/// Journals a million events over many rolls; gives what publishing and journaling allocated.
fn journaled(is_boxing: bool) -> (u64, u64) {
    let scratch = Scratch::new(if is_boxing { "allocation-box" } else { "allocation" });
    let mut builder = Bus::builder(SLOTS as usize);
    builder.when_full(WhenFull::Yield(None));
    let options = JournalOptions::default().segment_bytes(1 << 20);
    builder.journal(scratch.path(), options).core(a_core());
    let meter = Meter { at_start: None, counted: 0, boxes: None, is_boxing };
    builder.handler("meter", meter).after(["journal"]).core(a_core());
    let (mut producer, bus) = builder.start().expect("a sound bus");
    let published = allocations(|| {
        for n in 0..EVENTS {
            producer.publish(&tick(n)).expect("an open bus");
        }
    });
    let mut report = bus.shutdown(Drain::Complete).expect("a clean end");
    let stats = report.journal().expect("it had one");
    assert!(stats.rolls > 40, "{stats:?}");
    let meter: Meter = report.take("meter").expect("its handler");
    assert_eq!(meter.boxes.is_some(), is_boxing);
    (published, meter.counted)
}

#[test]
fn journaling_allocates_nothing_rolls_included() {
    assert_eq!(journaled(false), (0, 0));
}

#[test]
fn one_box_beside_the_journal_is_counted() {
    assert_eq!(journaled(true), (0, 1));
}
