//! A bus that ends wakes who sleeps, and drains what was published before.

use crate::{
    ArchivedTriple, Consumer, Look, Triple, exhaust, explore, explore_two, publish, publish_some,
    ring,
};
use loom::thread;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tourbillon::{Bus, Sequence, Wait, model};

/// A consumer thread with the crate's own duty cycle; gives how many events it handled.
fn parker(bus: &Bus<Triple>, consumer: Consumer) -> thread::JoinHandle<u64> {
    let handled = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&handled);
    let handler = move |event: &ArchivedTriple, sequence: Sequence, _end_of_batch: bool| {
        event.verify(sequence.get());
        assert_eq!(counter.fetch_add(1, Ordering::Relaxed), sequence.get(), "in order");
    };
    let wait = Wait::Park { max: Duration::MAX };
    let cycle = model::DutyCycle::new(bus, consumer.poller, wait, handler);
    thread::spawn(move || {
        cycle.run();
        handled.load(Ordering::Relaxed)
    })
}

#[test]
fn a_halt_wakes_one_sleeper() {
    exhaust("a_halt_wakes_one_sleeper", &["handled", "not handled"], |marks| {
        let (mut producer, [consumer], bus) = ring(2, [("a", &[])]);
        let parker = parker(&bus, consumer);
        publish_some(&mut producer, 1, marks);
        bus.halt();
        let handled = parker.join().expect("woken");
        marks.set(if handled == 1 { "handled" } else { "not handled" });
    });
}

#[test]
fn a_halt_wakes_two_sleepers() {
    explore("a_halt_wakes_two_sleepers", &[], |_| {
        let (_producer, [a, b], bus) = ring(2, [("a", &[]), ("b", &[])]);
        let parkers = [parker(&bus, a), parker(&bus, b)];
        bus.halt();
        assert_eq!(parkers.map(|parker| parker.join().expect("woken")), [0, 0]);
    });
}

#[test]
fn a_drain_wakes_a_sleeper_who_then_handles_everything() {
    exhaust("a_drain_wakes_a_sleeper", &[], |marks| {
        let (mut producer, [consumer], bus) = ring(2, [("a", &[])]);
        let parker = parker(&bus, consumer);
        publish_some(&mut producer, 2, marks);
        model::drain(&bus);
        assert_eq!(parker.join().expect("woken"), 2);
    });
}

#[test]
fn what_was_published_before_a_drain_is_drained() {
    let reached = ["open", "closed", "refused"];
    explore_two("what_was_published_before_a_drain", &reached, |marks| {
        let (mut producer, [mut consumer], bus) = ring(2, [("a", &[])]);
        let bus = Arc::new(bus);
        let writer = thread::spawn({
            let marks = marks.clone();
            move || {
                for _ in 0..2 {
                    if publish(&mut producer).is_err() {
                        marks.set("refused");
                    }
                }
                producer
            }
        });
        let stopper = thread::spawn({
            let bus = Arc::clone(&bus);
            move || {
                let published = bus.published();
                model::drain(&bus);
                published.get()
            }
        });
        let mut closed_at = None;
        for _ in 0..4 {
            if consumer.look() == Look::Closed {
                closed_at = Some(consumer.seen.len() as u64);
                break;
            }
        }
        let published = stopper.join().expect("stopper");
        let producer = writer.join().expect("writer");
        match closed_at {
            Some(seen) => {
                marks.set("closed");
                assert!(seen >= published, "saw {seen} of {published}");
                consumer.saw_all_below(seen);
            }
            None => {
                marks.set("open");
                consumer.drain();
                assert_eq!(consumer.look(), Look::Closed);
                consumer.saw_all_below(producer.next_sequence().get());
            }
        }
    });
}
