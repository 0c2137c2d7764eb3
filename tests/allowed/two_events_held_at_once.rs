use tourbillon::{Bus, Event, Polled};

#[derive(rkyv::Archive, rkyv::Serialize, Event)]
#[event(name = "test.tick", version = 1)]
struct Tick {
    value: u64,
}

pub(crate) fn main() {
    let mut builder = Bus::<Tick>::builder(4);
    builder.poller("book");
    let (mut producer, mut bus) = builder.start().expect("allowed");
    let mut book = bus.take_poller("book").expect("allowed");
    producer.publish_batch([1, 2].map(|value| Tick { value })).expect("allowed");
    let Polled::Batch(mut batch) = book.poll() else { unreachable!() };
    let first = batch.next().expect("allowed").0.value.to_native();
    let second = batch.next().map(|(event, _)| event.value.to_native());
    assert_eq!((first, second), (1, None), "a quarter ring at a time");
}
