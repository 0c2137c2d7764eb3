//! The models see the crate's own atomics, cells and locks. With the standard library's these tests
//! cannot pass: a model then switches threads only between two calls of the crate, never within.

use crate::{Consumer, Look, Triple, exhaust, explore, publish_some, ring};
use loom::thread;
use std::mem::ManuallyDrop;
use tourbillon::{Sequence, model};

#[test]
fn the_atomics_are_the_models() {
    exhaust("the_atomics_are_the_models", &["half a batch"], |marks| {
        let (mut producer, [mut consumer], bus) = ring(4, [("a", &[])]);
        let mut second = Consumer::new(model::join(&bus, Sequence::new(1)).expect("a gate"));
        let writer = thread::spawn(move || {
            producer.publish_batch([0, 1].map(Triple::of)).expect("room");
        });
        // Between the two stamps of one call; the last comes first.
        if second.look() == Look::Walked && consumer.look() == Look::Idle {
            marks.set("half a batch");
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
        // Their drops would give up a gate, tell a counter and halt, which a dead model cannot do
        // while it unwinds.
        let (_producer, _consumers, bus) = {
            let (producer, [consumer], bus) = ring(2, [("a", &[])]);
            (ManuallyDrop::new(producer), ManuallyDrop::new(consumer), ManuallyDrop::new(bus))
        };
        model::doze(&bus);
    });
}
