#[derive(rkyv::Archive, rkyv::Serialize, tourbillon::Event)]
#[event(name = "test.refused", version = 1)]
enum Refused {
    Nothing,
    Index(Option<core::num::NonZeroUsize>),
}

fn main() {}
