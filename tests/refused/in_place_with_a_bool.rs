#[derive(rkyv::Archive, rkyv::Serialize, tourbillon::Event)]
#[event(name = "test.refused", version = 1, in_place)]
struct Refused {
    price: i64,
    is_bid: bool,
    rest: [u8; 7],
}

fn main() {}
