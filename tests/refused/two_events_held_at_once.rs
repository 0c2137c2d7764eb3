use tourbillon::{Bus, Event, Polled};

#[derive(rkyv::Archive, rkyv::Serialize, Event)]
#[event(name = "test.tick", version = 1)]
struct Tick {
    value: u64,
}

fn main() {
    let mut builder = Bus::<Tick>::builder(4);
    builder.poller("book");
    let (mut producer, mut bus) = builder.start().unwrap();
    let mut book = bus.take_poller("book").unwrap();
    producer.publish_batch([1, 2].map(|value| Tick { value })).unwrap();
    let Polled::Batch(mut batch) = book.poll() else { unreachable!() };
    let (first, _) = batch.next().unwrap();
    let second = batch.next();
    assert_eq!(first.value.to_native(), 1);
    drop(second);
}
