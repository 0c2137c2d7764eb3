//! What a duty cycle over several rings promises.

use tourbillon::{
    Bus, Drain, DutyCycle, Event, From, Outcome, PublishError, Sequence, Wait, WhenFull,
};

#[derive(rkyv::Archive, rkyv::Serialize, Event)]
#[event(name = "test.tick", version = 1)]
struct Tick {
    value: u64,
}

#[derive(rkyv::Archive, rkyv::Serialize, Event)]
#[event(name = "test.order", version = 1, framed)]
struct Order {
    symbol: String,
}

#[test]
fn one_thread_drives_pollers_of_two_rings_to_their_ends() {
    const EVENTS: u64 = 5_000;
    let mut builder = Bus::<Tick>::builder(16);
    builder.poller("book");
    let (mut ticks, mut tick_bus) = builder.start().expect("a sound bus");
    let mut builder = Bus::<Order>::builder(8);
    builder.when_full(WhenFull::Yield(None));
    let (mut orders, order_bus) = builder.start().expect("a sound bus");

    let mut values = Vec::new();
    let mut letters = 0;
    let cycle = DutyCycle::new(Wait::Auto)
        .drive(
            tick_bus.take_poller("book").expect("named"),
            move |tick: &ArchivedTick, sequence: Sequence, _: bool| {
                values.push(tick.value.to_native());
                assert_eq!(values.len() as u64, sequence.get() + 1);
                assert_eq!(values.last(), Some(&sequence.get()));
            },
        )
        .drive(
            order_bus.join("risk", From::Oldest).expect("a gate"),
            move |order: &ArchivedOrder, _: Sequence, _: bool| {
                letters += order.symbol.len();
                assert!(letters > 0);
            },
        );
    let thread = std::thread::spawn(move || cycle.run());
    for value in 0..EVENTS {
        ticks.publish(&Tick { value }).expect("room in time");
        orders.publish(&Order { symbol: format!("S{value}") }).expect("room in time");
    }
    let last = Some(Sequence::new(EVENTS));
    while tick_bus.sequence("book") != last || order_bus.sequence("risk") != last {
        std::thread::yield_now();
    }
    tick_bus.shutdown(Drain::Complete).expect("an orderly end");
    order_bus.shutdown(Drain::Complete).expect("an orderly end");
    let ended = thread.join().expect("it catches panics");
    let outcomes: Vec<_> = ended.iter().map(|ended| (&*ended.name, &ended.outcome)).collect();
    assert_eq!(outcomes.len(), 2);
    for name in ["book", "risk"] {
        assert!(outcomes.contains(&(name, &Outcome::Stopped)), "{outcomes:?}");
    }
}

#[test]
fn a_panic_halts_its_own_bus_and_the_other_goes_on() {
    let (mut ticks, tick_bus) = Bus::<Tick>::builder(16).start().expect("a sound bus");
    let (mut others, other_bus) = Bus::<Tick>::builder(16).start().expect("a sound bus");
    let cycle = DutyCycle::new(Wait::Yield)
        .drive(
            tick_bus.join("frail", From::Oldest).expect("a gate"),
            |tick: &ArchivedTick, _: Sequence, _: bool| {
                assert_ne!(tick.value.to_native(), 3, "three is too much");
            },
        )
        .drive(
            other_bus.join("sound", From::Oldest).expect("a gate"),
            |_: &ArchivedTick, _: Sequence, _: bool| {},
        );
    let thread = std::thread::spawn(move || cycle.run());
    let refused = loop {
        if let Err(refused) = ticks.publish(&Tick { value: 3 }) {
            break refused;
        }
    };
    assert_eq!(refused, PublishError::Closed);
    for value in 0..100 {
        others.publish(&Tick { value }).expect("the other bus is open");
    }
    while other_bus.sequence("sound") != Some(Sequence::new(100)) {
        std::thread::yield_now();
    }
    other_bus.shutdown(Drain::Complete).expect("an orderly end");
    let ended = thread.join().expect("it catches panics");
    let frail = ended.iter().find(|ended| &*ended.name == "frail").expect("driven");
    assert!(matches!(&frail.outcome, Outcome::Panicked(text) if text.contains("too much")));
    assert_eq!(ended.len(), 2);
}
