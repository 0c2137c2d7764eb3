#[derive(rkyv::Archive, rkyv::Serialize, tourbillon::Event)]
#[event(version = 1)]
struct Refused {
    price: i64,
}

fn main() {}
