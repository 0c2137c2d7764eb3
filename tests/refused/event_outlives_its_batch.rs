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
    producer.publish(&Tick { value: 7 }).unwrap();
    let Polled::Batch(mut batch) = book.poll() else { unreachable!() };
    let (event, _) = batch.next().unwrap();
    drop(batch);
    assert_eq!(event.value.to_native(), 7);
}
