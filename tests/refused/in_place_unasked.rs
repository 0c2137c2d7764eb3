use tourbillon::Bus;

#[derive(rkyv::Archive, rkyv::Serialize, tourbillon::Event)]
#[event(name = "test.refused", version = 1)]
struct Refused {
    price: i64,
}

fn main() {
    let (mut producer, _bus) = Bus::<Refused>::builder(2).start().unwrap();
    let _ = producer.publish_in_place(|event, _| event.price = 1.into());
}
