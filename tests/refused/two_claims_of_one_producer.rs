use tourbillon::{Bus, Event};

#[derive(rkyv::Archive, rkyv::Serialize, Event)]
#[event(name = "test.tick", version = 1)]
struct Tick {
    value: u64,
}

fn main() {
    let (mut producer, _bus) = Bus::<Tick>::builder(4).start().unwrap();
    let first = producer.claim().unwrap();
    let second = producer.claim().unwrap();
    first.write(&Tick { value: 1 }).unwrap().publish();
    second.write(&Tick { value: 2 }).unwrap().publish();
}
