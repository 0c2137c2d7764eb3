#[derive(rkyv::Archive, rkyv::Serialize, tourbillon::Event)]
#[event(name = "test.refused", version = 1, in_place)]
struct Refused {
    price: i64,
    quantity: u32,
}

fn main() {}
