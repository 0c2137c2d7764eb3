//! R5: gates come and go while producers publish. The two fences of `ring/gate.rs`.

use crate::{Consumer, Marks, Triple, exhaust, explore, explore_two, finish, publish_some, ring};
use loom::thread;
use tourbillon::{Producer, Sequence, Tap, Tapped, model};

/// Publishes on a thread and gives the producer back.
fn writer(
    mut producer: Producer<Triple>,
    attempts: usize,
    marks: &Marks,
) -> thread::JoinHandle<Producer<Triple>> {
    let marks = marks.clone();
    thread::spawn(move || {
        publish_some(&mut producer, attempts, &marks);
        producer
    })
}

/// Says where a joiner got in.
fn mark_start(joiner: &Consumer, marks: &Marks) {
    marks.set(match joiner.start {
        0 => "from the start",
        1 => "in the middle",
        _ => "at the limit",
    });
}

#[test]
fn a_joiner_at_a_free_ring_misses_nothing() {
    exhaust("a_joiner_at_a_free_ring", &["from the start", "at the limit", "full"], |marks| {
        let (producer, [], bus) = ring(2, []);
        let writer = writer(producer, 4, marks);
        let mut joiner = Consumer::new(model::join(&bus, Sequence::ZERO).expect("a gate"));
        mark_start(&joiner, marks);
        joiner.looks(2, marks);
        let mut producer = writer.join().expect("writer");
        finish(&mut producer, 5, [&mut joiner]);
    });
}

#[test]
fn a_joiner_beside_a_consumer_misses_nothing() {
    let reached = ["from the start", "in the middle", "full", "idle"];
    explore_two("a_joiner_beside_a_consumer", &reached, |marks| {
        let (mut producer, [mut consumer], bus) = ring(2, [("a", &[])]);
        publish_some(&mut producer, 2, marks);
        let writer = writer(producer, 2, marks);
        let reader = thread::spawn({
            let marks = marks.clone();
            move || {
                consumer.looks(2, &marks);
                consumer
            }
        });
        let mut joiner = Consumer::new(model::join(&bus, Sequence::ZERO).expect("a gate"));
        mark_start(&joiner, marks);
        joiner.looks(2, marks);
        let (mut producer, mut consumer) =
            (writer.join().expect("writer"), reader.join().expect("reader"));
        finish(&mut producer, 5, [&mut consumer, &mut joiner]);
    });
}

#[test]
fn a_leaver_lets_go_of_what_it_read() {
    exhaust("a_leaver_lets_go_of_what_it_read", &["full", "free"], |marks| {
        let (mut producer, [leaver, mut stayer], _bus) = ring(2, [("a", &[]), ("b", &[])]);
        publish_some(&mut producer, 2, marks);
        stayer.drain();
        let writer = writer(producer, 2, marks);
        let mut leaver = leaver;
        leaver.looks(1, marks);
        drop(leaver);
        let mut producer = writer.join().expect("writer");
        if producer.next_sequence().get() == 4 {
            marks.set("free");
        }
        finish(&mut producer, 6, [&mut stayer]);
    });
}

#[test]
fn a_gate_changes_hands() {
    explore_two("a_gate_changes_hands", &["full", "from the start", "in the middle"], |marks| {
        let (mut producer, [leaver], bus) = ring(2, [("a", &[])]);
        publish_some(&mut producer, 2, marks);
        let writer = writer(producer, 2, marks);
        let leaver = thread::spawn({
            let marks = marks.clone();
            let mut leaver = leaver;
            move || leaver.looks(1, &marks)
        });
        let mut joiner = Consumer::new(model::join(&bus, Sequence::ZERO).expect("a gate"));
        mark_start(&joiner, marks);
        joiner.looks(2, marks);
        leaver.join().expect("leaver");
        let mut producer = writer.join().expect("writer");
        finish(&mut producer, 5, [&mut joiner]);
    });
}

#[test]
fn a_tap_copies_what_nobody_overwrites_and_counts_what_it_missed() {
    let reached = ["all", "some", "lagged", "full"];
    explore("a_tap_beside_a_producer", &reached, |marks| {
        let (producer, [], bus) = ring(2, []);
        let mut tap = model::tap(&bus, 1).expect("a gate");
        let writer = writer(producer, 4, marks);
        let (mut seen, mut skipped) = (0, 0);
        let mut look = |tap: &mut Tap<Triple>| match tap.poll() {
            Tapped::Event(event, sequence) => {
                event.verify(sequence.get());
                assert_eq!(sequence.get(), seen + skipped);
                seen += 1;
                true
            }
            Tapped::Lagged { skipped: more } => {
                marks.set("lagged");
                skipped += more;
                true
            }
            _ => false,
        };
        look(&mut tap);
        look(&mut tap);
        let producer = writer.join().expect("writer");
        while look(&mut tap) {}
        assert_eq!(seen + skipped, producer.next_sequence().get(), "an exact count");
        marks.set(if skipped == 0 { "all" } else { "some" });
    });
}
