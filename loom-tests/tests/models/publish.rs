//! R2, R1, R4: what is published is whole, what is aborted is never seen, a batch is all or nothing.

use crate::{Consumer, Look, Marks, Triple, exhaust, explore, finish, publish, publish_some, ring};
use loom::thread;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use tourbillon::{Polled, Producer, Sequence, model};

#[test]
fn one_to_one_wraps_twice() {
    explore("one_to_one_wraps_twice", &["full", "idle", "wrapped"], |marks| {
        let (mut producer, [mut consumer], _bus) = ring(2, [("a", &[])]);
        let writer = thread::spawn({
            let marks = marks.clone();
            move || {
                publish_some(&mut producer, 5, &marks);
                producer
            }
        });
        consumer.looks(4, marks);
        if consumer.seen.len() > 2 {
            marks.set("wrapped");
        }
        let mut producer = writer.join().expect("writer");
        finish(&mut producer, 6, [&mut consumer]);
    });
}

/// Publishes, drops an empty claim, drops a filled one, publishes.
fn abort_two(producer: &mut Producer<Triple>, marks: &Marks) {
    publish_some(producer, 1, marks);
    if let Ok(claim) = producer.try_claim() {
        drop(claim);
    }
    if let Ok(claim) = producer.try_claim() {
        drop(claim.write(&Triple { value: 7, twice: 7, inverse: 7 }));
    }
    publish_some(producer, 2, marks);
}

#[test]
fn dropped_claims_are_skipped() {
    explore("dropped_claims_are_skipped", &["full", "idle"], |marks| {
        let (mut producer, [mut consumer], _bus) = ring(2, [("a", &[])]);
        let writer = thread::spawn({
            let marks = marks.clone();
            move || {
                abort_two(&mut producer, &marks);
                producer
            }
        });
        consumer.looks(4, marks);
        let mut producer = writer.join().expect("writer");
        consumer.drain();
        assert_eq!(consumer.poller.sequence(), producer.next_sequence(), "nothing holds it up");
        publish(&mut producer).expect("drained");
        consumer.drain();
        assert_eq!(consumer.poller.lag_events(), 0);
        assert!(consumer.seen.is_sorted() && consumer.seen.len() >= 2, "{:?}", consumer.seen);
    });
}

/// A batch whose iterator unwinds after one of two events, and a claim that unwinds filled.
fn unwind_twice(producer: &mut Producer<Triple>) {
    let batch = (0..2).map(|at| if at == 0 { Triple::of(0) } else { resume_unwind(Box::new(())) });
    let unwound = catch_unwind(AssertUnwindSafe(|| producer.publish_batch(batch)));
    assert!(unwound.is_err());
    let unwound = catch_unwind(AssertUnwindSafe(|| {
        if let Ok(claim) = producer.try_claim() {
            let _filled = claim.write(&Triple { value: 7, twice: 7, inverse: 7 });
            resume_unwind(Box::new(()));
        }
    }));
    drop(unwound);
}

#[test]
fn unwound_claims_are_skipped() {
    exhaust("unwound_claims_are_skipped", &["idle", "aborted at wrap"], |marks| {
        let (mut producer, [mut consumer], _bus) = ring(2, [("a", &[])]);
        let writer = thread::spawn({
            let marks = marks.clone();
            move || {
                unwind_twice(&mut producer);
                if producer.next_sequence() == Sequence::new(3) {
                    marks.set("aborted at wrap");
                }
                producer
            }
        });
        consumer.looks(3, marks);
        let mut producer = writer.join().expect("writer");
        consumer.drain();
        assert!(consumer.seen.is_empty(), "nothing was published");
        assert_eq!(consumer.poller.sequence(), producer.next_sequence(), "nothing holds it up");
        let sequence = publish(&mut producer).expect("drained");
        consumer.drain();
        assert_eq!(consumer.seen, [sequence]);
    });
}

#[test]
fn a_batch_is_visible_at_once() {
    exhaust("a_batch_is_visible_at_once", &["none", "all"], |marks| {
        // A capacity of 8 makes polls of two events.
        let (mut producer, [mut consumer], _bus) = ring(8, [("a", &[])]);
        let writer = thread::spawn(move || {
            producer.publish_batch([0, 1].map(Triple::of)).expect("room");
        });
        if consumer.look() == Look::Walked {
            marks.set("all");
            consumer.saw_all_below(2);
        } else {
            marks.set("none");
        }
        writer.join().expect("writer");
        consumer.drain();
        consumer.saw_all_below(2);
    });
}

#[test]
fn a_batch_is_visible_to_the_next_polls() {
    exhaust("a_batch_is_visible_to_the_next_polls", &["none", "all"], |marks| {
        let (mut producer, [mut consumer], _bus) = ring(4, [("a", &[])]);
        let writer = thread::spawn(move || {
            producer.publish_batch([0, 1, 2].map(Triple::of)).expect("room");
        });
        if consumer.look() == Look::Walked {
            marks.set("all");
            assert_eq!([consumer.look(), consumer.look()], [Look::Walked; 2]);
            assert_eq!(consumer.look(), Look::Idle);
        } else {
            marks.set("none");
        }
        writer.join().expect("writer");
        consumer.drain();
        consumer.saw_all_below(3);
    });
}

#[test]
fn a_batch_wraps() {
    explore("a_batch_wraps", &["full", "idle", "wrapped"], |marks| {
        let (mut producer, [mut consumer], _bus) = ring(2, [("a", &[])]);
        let writer = thread::spawn({
            let marks = marks.clone();
            move || {
                publish_some(&mut producer, 1, &marks);
                for _ in 0..3 {
                    let next = producer.next_sequence().get();
                    match producer.publish_batch([next, next + 1].map(Triple::of)) {
                        Ok(range) if range.start.get() == 1 => marks.set("wrapped"),
                        Ok(_) => {}
                        Err(_) => marks.set("full"),
                    }
                }
                producer
            }
        });
        for _ in 0..3 {
            let is_first_of_batch = consumer.poller.sequence().get() % 2 == 1;
            match consumer.look() {
                Look::Walked if is_first_of_batch => assert_eq!(consumer.look(), Look::Walked),
                Look::Idle => marks.set("idle"),
                _ => {}
            }
        }
        let mut producer = writer.join().expect("writer");
        finish(&mut producer, 6, [&mut consumer]);
    });
}

#[test]
fn a_joiner_in_the_middle_of_a_batch_finds_it_published() {
    exhaust("a_joiner_in_the_middle_of_a_batch", &["before", "after", "idle"], |marks| {
        let (mut producer, [], bus) = ring(4, []);
        let writer = thread::spawn(move || {
            producer.publish_batch([0, 1, 2].map(Triple::of)).expect("room");
            producer
        });
        let poller = model::join(&bus, Sequence::new(1)).expect("a gate");
        marks.set(if bus.published() == Sequence::ZERO { "before" } else { "after" });
        let mut joiner = Consumer::new(poller);
        match joiner.look() {
            // Stamped from the last to the first: what follows is there.
            Look::Walked => assert_eq!(joiner.look(), Look::Walked),
            _ => marks.set("idle"),
        }
        let mut producer = writer.join().expect("writer");
        finish(&mut producer, 5, [&mut joiner]);
        assert!(matches!(joiner.poller.poll(), Polled::Idle));
    });
}
