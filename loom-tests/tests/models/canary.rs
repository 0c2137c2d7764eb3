//! The models see the crate's own atomics, cells and locks. With the standard library's these tests
//! cannot pass: a model then switches threads only between two calls of the crate, never within.

use crate::{Look, Triple, exhaust, explore, publish_some, ring};
use loom::thread;
use tourbillon::{Sequence, model};

#[test]
fn the_atomics_are_the_models() {
    exhaust("the_atomics_are_the_models", &["stamped, not settled"], |marks| {
        let (mut producer, [mut consumer], bus) = ring(2, [("a", &[])]);
        let writer = thread::spawn({
            let marks = marks.clone();
            move || publish_some(&mut producer, 1, &marks)
        });
        // Between the stamp and the claim counter lie two stores of one call.
        if consumer.look() == Look::Walked && bus.published() == Sequence::ZERO {
            marks.set("stamped, not settled");
        }
        writer.join().expect("writer");
    });
}

#[test]
#[should_panic(expected = "Causality violation")]
fn the_cells_are_the_models() {
    explore("the_cells_are_the_models", &[], |marks| {
        let (mut producer, [consumer], _bus) = ring(2, [("a", &[])]);
        let marks = marks.clone();
        let writer = thread::spawn(move || publish_some(&mut producer, 1, &marks));
        // SAFETY: a model; three integers may be zeros.
        let event: &<Triple as rkyv::Archive>::Archived =
            unsafe { model::peek_unpublished(&consumer.poller) };
        assert!([0, 1000].contains(&event.value.to_native()));
        writer.join().expect("writer");
    });
}

#[test]
#[should_panic(expected = "deadlock")]
fn the_bell_is_the_models() {
    explore("the_bell_is_the_models", &[], |_| {
        let (_producer, [consumer], bus) = ring(2, [("a", &[])]);
        // Its drop would give up a gate, which a dead model cannot do while it unwinds.
        std::mem::forget(consumer);
        model::doze(&bus);
    });
}
