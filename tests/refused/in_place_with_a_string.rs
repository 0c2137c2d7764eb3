#[derive(rkyv::Archive, rkyv::Serialize, tourbillon::Schema)]
#[schema(in_place)]
struct Refused {
    symbol: String,
}

fn main() {}
