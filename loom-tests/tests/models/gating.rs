//! R3, R5, R6: nothing is overwritten while somebody holds it, and nobody overtakes whom it stands
//! behind.

use crate::{Consumer, Look, exhaust, explore, explore_two, finish, publish_some, ring};
use loom::{cell::UnsafeCell, thread};
use std::sync::Arc;

#[test]
fn a_held_event_is_not_overwritten() {
    exhaust("a_held_event_is_not_overwritten", &["full", "idle"], |marks| {
        let (mut producer, [consumer], _bus) = ring(2, [("a", &[])]);
        let mut consumer = consumer.slow();
        let writer = thread::spawn({
            let marks = marks.clone();
            move || {
                publish_some(&mut producer, 4, &marks);
                producer
            }
        });
        consumer.looks(3, marks);
        let mut producer = writer.join().expect("writer");
        finish(&mut producer, 4, [&mut consumer]);
    });
}

fn reader(
    mut consumer: Consumer,
    looks: usize,
    marks: &crate::Marks,
) -> thread::JoinHandle<Consumer> {
    let marks = marks.clone();
    thread::spawn(move || {
        consumer.looks(looks, &marks);
        consumer
    })
}

#[test]
fn one_to_two() {
    explore("one_to_two", &["full", "idle", "wrapped"], |marks| {
        let (mut producer, [a, mut b], _bus) = ring(2, [("a", &[]), ("b", &[])]);
        let a = reader(a, 2, marks);
        let writer = thread::spawn({
            let marks = marks.clone();
            move || {
                publish_some(&mut producer, 3, &marks);
                if producer.next_sequence().get() > 2 {
                    marks.set("wrapped");
                }
                producer
            }
        });
        b.looks(2, marks);
        let (mut producer, mut a) = (writer.join().expect("writer"), a.join().expect("reader"));
        finish(&mut producer, 4, [&mut a, &mut b]);
    });
}

/// A ledger that stages write and read without any synchronization of its own.
struct Ledger([UnsafeCell<bool>; 4]);

// SAFETY: loom reports every pair of accesses that the ring does not order.
unsafe impl Sync for Ledger {}

impl Ledger {
    fn new() -> Arc<Self> {
        Arc::new(Self(std::array::from_fn(|_| UnsafeCell::new(false))))
    }

    fn enter(&self, sequence: u64) {
        // SAFETY: see `Sync`: one writer, and readers stand behind it.
        self.0[sequence as usize].with_mut(|entry| unsafe { *entry = true });
    }

    fn has(&self, sequence: u64) -> bool {
        // SAFETY: see `Sync`.
        self.0[sequence as usize].with(|entry| unsafe { *entry })
    }
}

#[test]
fn a_chain_keeps_its_order() {
    explore("a_chain_keeps_its_order", &["full", "gated", "idle", "wrapped"], |marks| {
        let (mut producer, [mut first, mut second], _bus) =
            ring(2, [("first", &[]), ("second", &["first"])]);
        let ledger = Ledger::new();
        let first = thread::spawn({
            let ledger = Arc::clone(&ledger);
            move || {
                for _ in 0..2 {
                    first.look_and(|sequence| ledger.enter(sequence));
                }
                first
            }
        });
        let writer = thread::spawn({
            let marks = marks.clone();
            move || {
                publish_some(&mut producer, 3, &marks);
                if producer.next_sequence().get() > 2 {
                    marks.set("wrapped");
                }
                producer
            }
        });
        for _ in 0..2 {
            match second.look_and(|sequence| assert!(ledger.has(sequence), "overtaken")) {
                Look::Gated => marks.set("gated"),
                Look::Idle => marks.set("idle"),
                _ => {}
            }
        }
        let (mut producer, mut first) = (writer.join().expect("writer"), first.join().expect("a"));
        finish(&mut producer, 4, [&mut first, &mut second]);
    });
}

#[test]
fn a_diamond_keeps_its_order() {
    explore_two("a_diamond_keeps_its_order", &["gated", "walked"], |marks| {
        let stages: [(&str, &[&str]); 3] = [("a", &[]), ("b", &[]), ("last", &["a", "b"])];
        let (mut producer, [a, b, mut last], _bus) = ring(2, stages);
        publish_some(&mut producer, 1, marks);
        let ledgers = [Ledger::new(), Ledger::new()];
        let writer = thread::spawn({
            let marks = marks.clone();
            move || {
                publish_some(&mut producer, 2, &marks);
                producer
            }
        });
        let sides = [(a, &ledgers[0]), (b, &ledgers[1])].map(|(mut side, ledger)| {
            let ledger = Arc::clone(ledger);
            thread::spawn(move || {
                side.look_and(|sequence| ledger.enter(sequence));
                side
            })
        });
        for _ in 0..2 {
            match last.look_and(|sequence| assert!(ledgers.iter().all(|l| l.has(sequence)))) {
                Look::Gated => marks.set("gated"),
                Look::Walked => marks.set("walked"),
                _ => {}
            }
        }
        let [mut a, mut b] = sides.map(|side| side.join().expect("side"));
        let mut producer = writer.join().expect("writer");
        finish(&mut producer, 3, [&mut a, &mut b, &mut last]);
    });
}
