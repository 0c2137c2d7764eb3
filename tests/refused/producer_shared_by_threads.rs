use tourbillon::{Bus, Event};

#[derive(rkyv::Archive, rkyv::Serialize, Event)]
#[event(name = "test.tick", version = 1)]
struct Tick {
    value: u64,
}

fn main() {
    let (producer, _bus) = Bus::<Tick>::builder(4).start().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| producer.next_sequence());
        scope.spawn(|| producer.next_sequence());
    });
}
