#[derive(rkyv::Archive, rkyv::Serialize, tourbillon::Schema)]
struct Refused {
    indices: Vec<usize>,
}

fn main() {}
