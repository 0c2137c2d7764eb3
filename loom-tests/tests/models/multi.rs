//! R3: several producers. Each sequence has one winner, and no slot is won that another still fills.

use crate::{Consumer, Look, Marks, Triple, explore_two, finish, publish_some, shared_ring};
use loom::thread;
use std::mem::ManuallyDrop;
use tourbillon::{MultiProducer, Sequence, Tapped, model};

/// Runs `work` with a producer on a thread, and gives the producer back.
fn on_a_thread(
    mut producer: MultiProducer<Triple>,
    marks: &Marks,
    work: impl FnOnce(&mut MultiProducer<Triple>, &Marks) + Send + 'static,
) -> thread::JoinHandle<MultiProducer<Triple>> {
    let marks = marks.clone();
    thread::spawn(move || {
        work(&mut producer, &marks);
        producer
    })
}

#[test]
fn two_producers_race_for_each_sequence() {
    explore_two("two_producers_race", &["full", "idle"], |marks| {
        let ([first, mut second], [mut consumer], _bus) = shared_ring(2, [("a", &[])]);
        let other = on_a_thread(first, marks, |producer, marks| publish_some(producer, 1, marks));
        publish_some(&mut second, 2, marks);
        consumer.looks(1, marks);
        publish_some(&mut second, 1, marks);
        let mut first = other.join().expect("a producer");
        finish(&mut first, 5, [&mut consumer]);
    });
}

#[test]
fn a_dropped_claim_of_one_is_skipped_and_its_slot_goes_to_another() {
    explore_two("a_dropped_claim_of_one", &["full", "aborted"], |marks| {
        let ([first, mut second], [mut consumer], _bus) = shared_ring(2, [("a", &[])]);
        let other = on_a_thread(first, marks, |producer, marks| {
            if let Ok(claim) = producer.try_claim() {
                let sequence = claim.sequence().get();
                // Filled and never published: the next lap must not race with these bytes.
                drop(claim.write(&Triple::of(sequence)).expect("fits"));
                marks.set("aborted");
            }
        });
        publish_some(&mut second, 2, marks);
        consumer.looks(1, marks);
        publish_some(&mut second, 1, marks);
        let mut first = other.join().expect("a producer");
        consumer.drain();
        publish_some(&mut first, 2, marks);
        consumer.drain();
        assert!(consumer.seen.is_sorted(), "{:?}", consumer.seen);
    });
}

#[test]
fn without_a_gate_nobody_laps_a_slot_that_is_being_filled() {
    explore_two("without_a_gate", &["full"], |marks| {
        let ([first, mut second], [], bus) = shared_ring(2, []);
        let other = on_a_thread(first, marks, |producer, marks| publish_some(producer, 1, marks));
        publish_some(&mut second, 2, marks);
        let mut first = other.join().expect("a producer");
        let mut late = Consumer::new(model::join(&bus, Sequence::ZERO).expect("a gate"));
        late.drain();
        finish(&mut first, 7, [&mut late]);
    });
}

#[test]
fn a_newcomer_from_now_opens_no_slot_that_is_being_filled() {
    explore_two("a_newcomer_from_now", &["full", "behind a hole", "at the end"], |marks| {
        let ([first, mut second], [], bus) = shared_ring(2, []);
        let other = on_a_thread(first, marks, |producer, marks| publish_some(producer, 1, marks));
        publish_some(&mut second, 1, marks);
        let mut late = Consumer::new(model::join_now(&bus).expect("a gate"));
        marks.set(if late.start < bus.published().get() { "behind a hole" } else { "at the end" });
        publish_some(&mut second, 3, marks);
        late.drain();
        let mut first = other.join().expect("a producer");
        finish(&mut first, 5, [&mut late]);
    });
}

#[test]
fn batches_of_two_producers_do_not_mix() {
    explore_two("batches_of_two_producers", &["idle", "walked"], |marks| {
        let ([first, mut second], [mut consumer], _bus) = shared_ring(4, [("a", &[])]);
        let batch = |producer: &mut MultiProducer<Triple>| {
            let mut batch = producer.try_claim_batch(2).expect("room for both");
            for at in [0, 1] {
                let sequence = batch.sequences().start.get() + at;
                batch.write(&Triple::of(sequence)).expect("fits");
            }
            batch.publish();
        };
        let other = on_a_thread(first, marks, move |producer, _| batch(producer));
        batch(&mut second);
        match consumer.look() {
            // A quarter ring at a time: the second of a batch is there with the first.
            Look::Walked => {
                marks.set("walked");
                assert_eq!(consumer.look(), Look::Walked);
            }
            _ => marks.set("idle"),
        }
        let mut first = other.join().expect("a producer");
        finish(&mut first, 6, [&mut consumer]);
    });
}

#[test]
fn consumers_come_and_go_while_two_producers_publish() {
    explore_two(
        "consumers_come_and_go",
        &["from the start", "later", "saw some", "full"],
        |marks| {
            let ([first, mut second], [], bus) = shared_ring(2, []);
            publish_some(&mut second, 2, marks);
            let other =
                on_a_thread(first, marks, |producer, marks| publish_some(producer, 1, marks));
            let mut guest = Consumer::new(model::join(&bus, Sequence::ZERO).expect("a gate"));
            marks.set(if guest.start == 0 { "from the start" } else { "later" });
            if guest.look() == Look::Walked {
                marks.set("saw some");
            }
            drop(guest);
            publish_some(&mut second, 2, marks);
            let mut late = Consumer::new(model::join(&bus, Sequence::ZERO).expect("its gate"));
            late.looks(1, marks);
            let mut first = other.join().expect("a producer");
            finish(&mut first, 5, [&mut late]);
        },
    );
}

#[test]
fn a_tap_beside_two_producers_copies_what_nobody_overwrites() {
    explore_two("a_tap_beside_two_producers", &["event", "lagged", "idle"], |marks| {
        let ([first, mut second], [], bus) = shared_ring(2, []);
        let mut tap = model::tap(&bus, 1).expect("a gate");
        let other = on_a_thread(first, marks, |producer, marks| publish_some(producer, 1, marks));
        publish_some(&mut second, 1, marks);
        let mut accounted = 0;
        let mut look = || match tap.poll() {
            Tapped::Event(event, sequence) => {
                marks.set("event");
                event.verify(sequence.get());
                assert_eq!(sequence.get(), accounted);
                accounted += 1;
                true
            }
            Tapped::Lagged { skipped } => {
                marks.set("lagged");
                accounted += skipped;
                true
            }
            _ => {
                marks.set("idle");
                false
            }
        };
        look();
        publish_some(&mut second, 1, marks);
        look();
        let first = other.join().expect("a producer");
        while look() {}
        assert_eq!(accounted, first.next_sequence().get(), "an exact count");
    });
}

/// Claims, and forgets the claim; gives its sequence.
fn forget(producer: &mut MultiProducer<Triple>) -> Option<u64> {
    let claim = ManuallyDrop::new(producer.try_claim().ok()?);
    Some(claim.sequence().get())
}

#[test]
fn consumers_stop_at_a_forgotten_claim_and_go_on_when_it_is_let_go() {
    explore_two("a_forgotten_claim", &["stopped", "let go"], |marks| {
        let ([first, mut second], [mut consumer], _bus) = shared_ring(4, [("a", &[])]);
        let other = on_a_thread(first, marks, |producer, marks| {
            let forgotten = forget(producer).expect("a free ring");
            // Lets go of it first.
            publish_some(producer, 1, marks);
            assert!(forgotten < 2);
        });
        publish_some(&mut second, 1, marks);
        for _ in 0..2 {
            if consumer.look() == Look::Idle {
                marks.set("stopped");
            }
        }
        let mut first = other.join().expect("a producer");
        consumer.drain();
        assert_eq!(consumer.seen.len(), 2, "{:?}", consumer.seen);
        marks.set("let go");
        // It goes with its handle as well.
        let held = forget(&mut first).expect("drained");
        publish_some(&mut second, 1, marks);
        assert_eq!(consumer.look(), Look::Idle, "nobody passes what may still be filled");
        drop(first);
        consumer.drain();
        assert_eq!(consumer.seen.last(), Some(&(held + 1)));
    });
}
