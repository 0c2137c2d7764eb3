#[derive(rkyv::Archive, rkyv::Serialize, tourbillon::Event)]
#[event(name = "test.refused", version = 1, versoin = 2)]
struct Refused {
    price: i64,
}

fn main() {}
