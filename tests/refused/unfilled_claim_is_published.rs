use tourbillon::{Bus, Event};

#[derive(rkyv::Archive, rkyv::Serialize, Event)]
#[event(name = "test.tick", version = 1)]
struct Tick {
    value: u64,
}

fn main() {
    let (mut producer, _bus) = Bus::<Tick>::builder(4).start().unwrap();
    let claim = producer.claim().unwrap();
    claim.publish();
}
