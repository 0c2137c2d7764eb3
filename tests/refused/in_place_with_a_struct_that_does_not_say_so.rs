#[derive(rkyv::Archive, rkyv::Serialize, tourbillon::Schema)]
struct Level {
    price: i64,
}

#[derive(rkyv::Archive, rkyv::Serialize, tourbillon::Event)]
#[event(name = "test.refused", version = 1, in_place)]
struct Refused {
    levels: [Level; 4],
}

fn main() {}
