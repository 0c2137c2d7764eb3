use tourbillon::{Bus, Event};

#[derive(rkyv::Archive, rkyv::Serialize, Event)]
#[event(name = "test.tick", version = 1)]
struct Tick {
    value: u64,
}

pub(crate) fn main() {
    let (producer, _bus) = Bus::<Tick>::builder(4).start_multi().expect("allowed");
    let mut another = producer.clone();
    std::thread::spawn(move || another.publish(&Tick { value: 1 })).join().expect("allowed").expect("allowed");
    drop(producer);
}
