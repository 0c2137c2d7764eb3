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
    producer.publish(&Tick { value: 7 }).expect("allowed");
    let Polled::Batch(mut batch) = book.poll() else { unreachable!() };
    let (event, _) = batch.next().expect("allowed");
    assert_eq!(event.value.to_native(), 7);
    drop(batch);
}
