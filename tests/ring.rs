//! What the ring promises to producers and pollers, on one thread: the poller is the consumer.

use tourbillon::{
    BuildError, Bus, Event, Full, Polled, Poller, Producer, PublishError, Sequence, WhenFull,
};

#[derive(Clone, Copy, rkyv::Archive, rkyv::Serialize, Event)]
#[event(name = "test.tick", version = 1)]
struct Tick {
    value: u64,
}

fn tick(value: u64) -> Tick {
    Tick { value }
}

fn ticks(values: std::ops::Range<u64>) -> Vec<Tick> {
    values.map(tick).collect()
}

/// A ring of `capacity` with one poller straight on it.
fn ring(capacity: usize) -> (Producer<Tick>, Poller<Tick>, Bus<Tick>) {
    let mut builder = Bus::builder(capacity);
    builder.when_full(WhenFull::Fail).poller("poller");
    let (producer, mut bus) = builder.start().expect("a sound bus");
    let poller = bus.take_poller("poller").expect("built above");
    (producer, poller, bus)
}

/// Everything that one poll gives, with sequences.
fn drain(poller: &mut Poller<Tick>) -> Vec<(u64, u64)> {
    let mut seen = Vec::new();
    while let Polled::Batch(mut batch) = poller.poll() {
        while let Some((tick, sequence)) = batch.next() {
            seen.push((sequence.get(), tick.value.to_native()));
        }
    }
    seen
}

#[test]
fn events_arrive_in_order_over_many_laps() {
    let (mut producer, mut poller, _bus) = ring(4);
    for lap in 0..100 {
        for i in 0..4 {
            producer.publish(&tick(lap * 4 + i)).expect("room");
        }
        let expected: Vec<_> = (lap * 4..lap * 4 + 4).map(|n| (n, n)).collect();
        assert_eq!(drain(&mut poller), expected);
    }
}

#[test]
fn a_full_ring_names_the_gate_and_what_is_missing() {
    let (mut producer, mut poller, bus) = ring(4);
    for n in 0..4 {
        producer.publish(&tick(n)).expect("room");
    }
    let full = PublishError::Full(Full { missing: 1, gate: "poller".into(), held_by: None });
    assert_eq!(producer.try_publish(&tick(9)), Err(full.clone()));
    assert_eq!(producer.publish(&tick(9)), Err(full));
    let three = producer.publish_batch([tick(1), tick(2), tick(3)]);
    assert_eq!(
        three,
        Err(PublishError::Full(Full { missing: 3, gate: "poller".into(), held_by: None }))
    );
    assert_eq!(bus.remaining_capacity(), 0);
    assert_eq!(bus.lag("poller"), Some(4));
    assert_eq!(drain(&mut poller).len(), 4);
    assert_eq!(bus.remaining_capacity(), 4);
    assert_eq!(producer.try_publish(&tick(9)), Ok(Sequence::new(4)));
}

#[test]
fn a_dropped_claim_is_published_as_aborted() {
    let (mut producer, mut poller, _bus) = ring(8);
    producer.publish(&tick(0)).expect("room");
    drop(producer.claim().expect("room"));
    drop(producer.claim().expect("room").write(&tick(7)).expect("fits"));
    producer.publish(&tick(3)).expect("room");
    assert_eq!(drain(&mut poller), [(0, 0), (3, 3)]);
    assert_eq!(poller.lag_events(), 0);
}

#[test]
fn a_forgotten_claim_is_claimed_again() {
    let (mut producer, mut poller, _bus) = ring(8);
    let claim = producer.claim().expect("room");
    assert_eq!(claim.sequence(), Sequence::ZERO);
    let _never_dropped = std::mem::ManuallyDrop::new(claim);
    assert_eq!(producer.publish(&tick(1)), Ok(Sequence::ZERO));
    assert_eq!(drain(&mut poller), [(0, 1)]);
}

#[test]
fn a_claim_that_unwinds_is_published_as_aborted() {
    let (mut producer, mut poller, _bus) = ring(8);
    let unwound = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _claim = producer.claim().expect("room");
        panic!("while filling");
    }));
    assert!(unwound.is_err());
    producer.publish(&tick(1)).expect("room");
    assert_eq!(drain(&mut poller), [(1, 1)]);
}

#[test]
fn a_batch_has_consecutive_sequences_and_wraps() {
    let (mut producer, mut poller, _bus) = ring(8);
    producer.publish_batch(ticks(0..5)).expect("room");
    drain(&mut poller);
    let range = producer.publish_batch(ticks(5..12)).expect("room");
    assert_eq!(range, Sequence::new(5)..Sequence::new(12));
    assert_eq!(drain(&mut poller), (5..12).map(|n| (n, n)).collect::<Vec<_>>());
    assert!(producer.publish_batch(std::iter::empty::<Tick>()).expect("nothing").is_empty());
}

#[test]
fn a_batch_that_unwinds_is_aborted_whole() {
    let (mut producer, mut poller, _bus) = ring(8);
    let unwound = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _ = producer.publish_batch([0, 1, 2, 3].into_iter().map(|n| {
            assert!(n < 2, "while filling");
            tick(n)
        }));
    }));
    assert!(unwound.is_err());
    assert!(drain(&mut poller).is_empty());
    assert_eq!(producer.publish(&tick(4)), Ok(Sequence::new(4)));
    assert_eq!(drain(&mut poller), [(4, 4)]);
}

#[test]
fn what_an_iterator_announced_and_did_not_deliver_is_aborted() {
    struct Liar(u64);
    impl Iterator for Liar {
        type Item = Tick;
        fn next(&mut self) -> Option<Tick> {
            self.0 += 1;
            (self.0 <= 2).then(|| tick(self.0))
        }
        fn size_hint(&self) -> (usize, Option<usize>) {
            (4, Some(4))
        }
    }
    impl ExactSizeIterator for Liar {}

    let (mut producer, mut poller, _bus) = ring(8);
    let range = producer.publish_batch(Liar(0)).expect("room");
    assert_eq!(range, Sequence::ZERO..Sequence::new(2));
    assert_eq!(producer.publish(&tick(9)), Ok(Sequence::new(4)));
    assert_eq!(drain(&mut poller), [(0, 1), (1, 2), (4, 9)]);
}

#[test]
fn a_batch_larger_than_the_ring_is_refused() {
    let (mut producer, _poller, _bus) = ring(4);
    let refused = producer.publish_batch(ticks(0..5));
    assert_eq!(refused, Err(PublishError::BatchTooLarge { events: 5, capacity: 4 }));
}

#[test]
fn a_poller_behind_another_is_gated_until_that_one_passed() {
    let mut builder = Bus::<Tick>::builder(8);
    builder.poller("first");
    builder.poller("second").after(["first"]);
    let (mut producer, mut bus) = builder.start().expect("a sound bus");
    let mut first = bus.take_poller("first").expect("built");
    let mut second = bus.take_poller("second").expect("built");
    assert!(matches!(second.poll(), Polled::Idle));
    producer.publish_batch([tick(0), tick(1)]).expect("room");
    assert!(matches!(second.poll(), Polled::Gated));
    {
        let Polled::Batch(mut batch) = first.poll() else { panic!("two events are there") };
        assert!(batch.next().is_some());
    }
    assert_eq!(drain(&mut second), [(0, 0)]);
    assert!(matches!(second.poll(), Polled::Gated));
    assert_eq!(drain(&mut first), [(1, 1)]);
    assert_eq!(drain(&mut second), [(1, 1)]);
    assert!(matches!(second.poll(), Polled::Idle));
}

#[test]
fn an_event_whose_handling_unwinds_stays_unhandled() {
    let (mut producer, mut poller, _bus) = ring(8);
    producer.publish_batch([tick(0), tick(1)]).expect("room");
    let unwound = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let Polled::Batch(mut batch) = poller.poll() else { panic!("two events are there") };
        batch.next();
        batch.next();
        panic!("on the second");
    }));
    assert!(unwound.is_err());
    assert_eq!(poller.sequence(), Sequence::new(1));
    assert_eq!(drain(&mut poller), [(1, 1)]);
}

#[test]
fn the_end_of_a_batch_is_its_last_event_and_not_an_aborted_tail() {
    let (mut producer, mut poller, _bus) = ring(16);
    producer.publish_batch([tick(0), tick(1)]).expect("room");
    drop(producer.claim().expect("room"));
    let Polled::Batch(mut batch) = poller.poll() else { panic!("events are there") };
    let mut ends = Vec::new();
    while let Some((_, sequence, end_of_batch)) = batch.next_with_end() {
        ends.push((sequence.get(), end_of_batch));
    }
    assert_eq!(ends, [(0, false), (1, true)]);
    assert_eq!(batch.walked(), Sequence::new(3));
}

#[test]
fn a_dropped_poller_no_longer_gates() {
    let (mut producer, poller, _bus) = ring(2);
    producer.publish_batch([tick(0), tick(1)]).expect("room");
    assert!(producer.publish(&tick(2)).is_err());
    drop(poller);
    for n in 2..20 {
        producer.publish(&tick(n)).expect("nobody gates");
    }
}

#[test]
fn a_dropped_poller_with_dependents_lets_nothing_past() {
    let mut builder = Bus::<Tick>::builder(4);
    builder.poller("first");
    builder.poller("second").after(["first"]);
    let (mut producer, mut bus) = builder.start().expect("a sound bus");
    producer.publish(&tick(0)).expect("room");
    drop(bus.take_poller("first"));
    let mut second = bus.take_poller("second").expect("built");
    assert!(matches!(second.poll(), Polled::Gated));
}

#[test]
fn a_halted_bus_closes_both_ends_and_a_draining_one_hands_out_the_rest() {
    let (mut producer, mut poller, bus) = ring(8);
    producer.publish(&tick(0)).expect("room");
    bus.halt();
    assert_eq!(producer.publish(&tick(1)), Err(PublishError::Closed));
    assert!(matches!(poller.poll(), Polled::Closed));
}

#[test]
fn a_capacity_that_is_no_power_of_two_names_the_next_that_is() {
    let refused = Bus::<Tick>::builder(1000).start().expect_err("refused");
    assert!(matches!(refused, BuildError::Capacity { asked: 1000, next: 1024 }));
    assert!(Bus::<Tick>::builder(0).start().is_err());
    assert!(Bus::<Tick>::builder(1).start().is_err());
}

#[test]
fn warming_up_publishes_nothing_and_disturbs_nobody() {
    let (mut producer, mut poller, bus) = ring(8);
    for lap in 0..10 {
        producer.publish_batch(ticks(lap * 5..lap * 5 + 5)).expect("room");
        producer.warm_up(100, &tick(u64::MAX)).expect("room");
        assert_eq!(bus.published(), Sequence::new(lap * 5 + 5));
        assert_eq!(drain(&mut poller), (lap * 5..lap * 5 + 5).map(|n| (n, n)).collect::<Vec<_>>());
        assert!(matches!(poller.poll(), Polled::Idle));
    }
    producer.publish_batch(ticks(50..58)).expect("room");
    assert!(matches!(producer.warm_up(1, &tick(0)), Err(PublishError::Full(_))));
    assert_eq!(drain(&mut poller), (50..58).map(|n| (n, n)).collect::<Vec<_>>());
    assert_eq!(bus.counters().aborted, 0);
}
