use tourbillon::{Bus, Event};

#[derive(rkyv::Archive, rkyv::Serialize, Event)]
#[event(name = "test.tick", version = 1)]
struct Tick {
    value: u64,
}

pub(crate) fn main() {
    let (producer, _bus) = Bus::<Tick>::builder(4).start_multi().expect("allowed");
    let another = producer.clone();
    assert_eq!(another.next_sequence().get(), 0);
}
