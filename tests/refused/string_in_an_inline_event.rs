#[derive(rkyv::Archive, rkyv::Serialize, tourbillon::Event)]
#[event(name = "test.refused", version = 1)]
struct Refused {
    price: i64,
    symbol: String,
}

fn main() {}
