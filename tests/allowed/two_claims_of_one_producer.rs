use tourbillon::{Bus, Event};

#[derive(rkyv::Archive, rkyv::Serialize, Event)]
#[event(name = "test.tick", version = 1)]
struct Tick {
    value: u64,
}

pub(crate) fn main() {
    let (mut producer, _bus) = Bus::<Tick>::builder(4).start().expect("allowed");
    let first = producer.claim().expect("allowed");
    first.write(&Tick { value: 1 }).expect("allowed").publish();
    let second = producer.claim().expect("allowed");
    second.write(&Tick { value: 2 }).expect("allowed").publish();
}
