use tourbillon::{Bus, Event};

#[derive(rkyv::Archive, rkyv::Serialize, Event)]
#[event(name = "test.tick", version = 1)]
struct Tick {
    value: u64,
}

pub(crate) fn main() {
    let (mut producer, _bus) = Bus::<Tick>::builder(4).start().expect("allowed");
    let claim = producer.claim().expect("allowed");
    claim.write(&Tick { value: 1 }).expect("allowed").publish();
}
