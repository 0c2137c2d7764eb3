#[derive(rkyv::Archive, rkyv::Serialize)]
struct Inner {
    price: i64,
}

#[derive(rkyv::Archive, rkyv::Serialize, tourbillon::Event)]
#[event(name = "test.refused", version = 1)]
struct Refused {
    inner: Inner,
}

fn main() {}
