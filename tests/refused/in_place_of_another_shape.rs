#[derive(rkyv::Archive, rkyv::Serialize, tourbillon::Event)]
#[event(name = "test.refused", version = 1, in_place)]
enum Choice {
    Nothing,
}

#[derive(rkyv::Archive, rkyv::Serialize, tourbillon::Event)]
#[event(name = "test.refused", version = 1, framed, in_place)]
struct Framed {
    price: i64,
}

#[derive(rkyv::Archive, rkyv::Serialize, tourbillon::Event)]
#[event(name = "test.refused", version = 1, in_place)]
struct Generic<T> {
    price: T,
}

fn main() {}
