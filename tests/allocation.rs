//! The way of an event allocates nothing: counted, over a million events.
//!
//! The counter is the thread's own, so neither the test harness nor a neighbour is counted. What
//! runs on a thread of the bus is counted there: `on_start` and `on_stop` of a stage run on it.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use tourbillon::{Bus, Event, Polled, Poller, Producer, WhenFull};

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

/// The proof of the proof: one `Box` per event on the path is one count per event.
#[test]
fn a_box_on_the_path_is_counted() {
    let mut boxed = None;
    let counted = pass(100, one_by_one, |price| boxed = Some(Box::new(price)));
    assert_eq!(counted, EVENTS);
    assert_eq!(boxed.map(|price| *price), Some(EVENTS as i64 - 1));
}
