//! The fingerprint sees what checked access does not: each change here is one that rkyv alone may
//! read as the wrong value.

use rkyv::{Archive, Serialize};
use tourbillon::{Caused, Envelope, Event, Schema, SchemaId, Sequence, Stamped};

/// `old` and `new` are two definitions of one type, under one name and version.
macro_rules! seen {
    ($($promise:ident: { $($old:tt)* } => { $($new:tt)* })*) => {$(
        #[test]
        fn $promise() {
            let old = {
                definition! { $($old)* }
                T::FINGERPRINT
            };
            let again = {
                definition! { $($old)* }
                T::FINGERPRINT
            };
            let new = {
                definition! { $($new)* }
                T::FINGERPRINT
            };
            assert_eq!(old, again, "equal definitions have one fingerprint");
            assert_ne!(old, new, "the change went unseen");
        }
    )*};
}

macro_rules! definition {
    ($($item:item)*) => {
        $(
            #[allow(dead_code)]
            #[derive(Archive, Serialize, Schema)]
            $item
        )*
    };
}

seen! {
    swapping_two_fields_of_one_type_is_seen:
        { struct T { price: u64, quantity: u64 } } => { struct T { quantity: u64, price: u64 } }
    swapping_two_fields_of_a_tuple_struct_is_seen:
        { struct T(u32, i32); } => { struct T(i32, u32); }
    renaming_a_field_is_seen:
        { struct T { price_cents: u64 } } => { struct T { price_mills: u64 } }
    another_sign_is_seen:
        { struct T { a: u64 } } => { struct T { a: i64 } }
    a_float_for_an_integer_is_seen:
        { struct T { a: u64 } } => { struct T { a: f64 } }
    another_element_type_is_seen:
        { struct T { a: Vec<u32> } } => { struct T { a: Vec<i32> } }
    reordered_variants_are_seen:
        { enum T { Buy, Sell } } => { enum T { Sell, Buy } }
    a_variant_inserted_in_the_middle_is_seen:
        { enum T { Buy, Sell } } => { enum T { Buy, Hold, Sell } }
    a_variant_appended_is_seen:
        { enum T { Buy, Sell } } => { enum T { Buy, Sell, Hold } }
    a_larger_variant_appended_is_seen:
        { enum T { A { x: u8 } } } => { enum T { A { x: u8 }, B { x: u64 } } }
    a_renamed_variant_is_seen:
        { enum T { Buy, Sell } } => { enum T { Bid, Sell } }
    another_discriminant_is_seen:
        { enum T { Buy, Sell } } => { enum T { Buy = 1, Sell } }
    a_renamed_field_of_a_variant_is_seen:
        { enum T { A { x: u8 } } } => { enum T { A { y: u8 } } }
    another_type_in_a_variant_is_seen:
        { enum T { A(u8), B } } => { enum T { A(i8), B } }
    a_field_moved_to_the_next_variant_is_seen:
        { enum T { A(u8, u8), B(u8) } } => { enum T { A(u8), B(u8, u8) } }
    a_field_appended_in_tail_padding_is_seen:
        { struct T { a: u64, b: u32 } } => { struct T { a: u64, b: u32, c: u32 } }
    a_field_appended_is_seen:
        { struct T { a: u64 } } => { struct T { a: u64, b: u64 } }
    a_field_appended_behind_a_string_is_seen:
        { struct T { id: u64, name: String } } => { struct T { id: u64, name: String, n: u64 } }
    dropping_the_last_field_is_seen:
        { struct T { a: u32, b: u32 } } => { struct T { a: u32 } }
    narrowing_is_seen:
        { struct T { a: u64 } } => { struct T { a: u32 } }
    widening_is_seen:
        { struct T { a: u32 } } => { struct T { a: u64 } }
    an_option_that_becomes_a_number_is_seen:
        { struct T { a: Option<u32> } } => { struct T { a: u64 } }
    an_option_that_becomes_an_array_is_seen:
        { struct T { a: Option<u32> } } => { struct T { a: [u32; 2] } }
    another_array_length_is_seen:
        { struct T { a: [u8; 4] } } => { struct T { a: [u8; 5] } }
    a_swapped_tuple_is_seen:
        { struct T { a: (u8, bool) } } => { struct T { a: (bool, u8) } }
    bytes_for_a_string_are_seen:
        { struct T { a: String } } => { struct T { a: Vec<u8> } }
    a_box_for_a_string_is_seen:
        { struct T { a: String } } => { struct T { a: Box<str> } }
    another_map_is_seen:
        { struct T { a: std::collections::HashMap<u32, u32> } } =>
        { struct T { a: std::collections::BTreeMap<u32, u32> } }
    another_map_value_is_seen:
        { struct T { a: std::collections::BTreeMap<u32, u32> } } =>
        { struct T { a: std::collections::BTreeMap<u32, i32> } }
    a_slice_for_a_vector_is_seen:
        { struct T { a: Vec<u32> } } => { struct T { a: Box<[u32]> } }
    a_number_that_may_be_zero_is_seen:
        { struct T { a: core::num::NonZeroU32 } } => { struct T { a: u32 } }
    a_wrapper_that_skips_is_seen:
        { struct T { a: u32 } } => { struct T { #[rkyv(with = rkyv::with::Skip)] a: u32 } }
    a_wrapper_that_niches_is_seen:
        { struct T { a: Option<core::num::NonZeroU64> } } =>
        { struct T { #[rkyv(with = rkyv::with::Niche)] a: Option<core::num::NonZeroU64> } }
    another_niche_is_seen:
        { struct T {
            #[rkyv(with = rkyv::with::NicheInto<rkyv::niche::niching::NaN>)] a: Option<f32>
        } } =>
        { struct T { a: Option<f32> } }
    a_wrapper_that_boxes_is_seen:
        { struct T { a: u64 } } => { struct T { #[rkyv(with = rkyv::with::AsBox)] a: u64 } }
    a_change_inside_a_nested_type_is_seen:
        { struct T { inner: Inner } struct Inner { a: u32, b: u32 } } =>
        { struct T { inner: Inner } struct Inner { b: u32, a: u32 } }
    a_change_inside_a_vector_of_a_nested_type_is_seen:
        { struct T { inner: Vec<Option<Inner>> } enum Inner { A, B } } =>
        { struct T { inner: Vec<Option<Inner>> } enum Inner { B, A } }
    another_version_is_seen:
        { struct T { a: u32 } } => { #[schema(version = 2)] struct T { a: u32 } }
    another_version_of_a_nested_type_is_seen:
        { struct T { inner: Inner } struct Inner { a: u32 } } =>
        { struct T { inner: Inner } #[schema(version = 2)] struct Inner { a: u32 } }
    another_name_is_seen:
        { #[schema(name = "a")] struct T { a: u32 } } =>
        { #[schema(name = "b")] struct T { a: u32 } }
    a_unit_struct_is_no_empty_enum:
        { struct T; } => { enum T { A } }
    another_text_for_a_foreign_type_is_seen:
        { struct T { #[schema(fp = "foreign 1")] a: u64 } } =>
        { struct T { #[schema(fp = "foreign 2")] a: u64 } }
}

#[derive(Archive, Serialize, Event)]
#[event(name = "test.tick", version = 1)]
struct Tick {
    instrument: u32,
    side: Side,
    price: i64,
    quantity: Option<u32>,
}

#[derive(Archive, Serialize, Schema)]
#[schema(name = "test.side")]
#[allow(dead_code, reason = "only its schema is looked at")]
enum Side {
    Buy,
    Sell,
}

#[derive(Archive, Serialize, Event)]
#[event(name = "test.order", version = 7)]
#[allow(dead_code)]
enum Order {
    Add { id: u64, side: Side },
    Cancel(u64, [u8; 3]),
    Halt,
}

/// A changed literal here means that every journal written so far is refused. (They are those of
/// rkyv's default format: little-endian, aligned, 32-bit relative pointers.)
#[test]
fn fingerprints_are_the_same_for_ever() {
    assert_eq!(
        SchemaId::of::<Tick>().to_string(),
        "test.tick v1 (fingerprint fb640a027f446f38fc489a202c4eb83f)"
    );
    assert_eq!(
        SchemaId::of::<Order>().to_string(),
        "test.order v7 (fingerprint 9be31d756b2fd1f88635e8c2e75c9e95)"
    );
    assert_eq!(
        SchemaId::of::<Sequence>().to_string(),
        "tourbillon.sequence v1 (fingerprint d2b6cf10f49ce1ba9b3491677eb722af)"
    );
}

#[test]
fn a_type_that_names_nothing_has_its_own_name_and_version_1() {
    definition! { struct Plain { a: u32 } }
    assert_eq!((Plain::NAME, Plain::VERSION), ("Plain", 1));
    assert_eq!((Order::NAME, Order::VERSION), ("test.order", 7));
    assert_eq!((Side::NAME, Side::VERSION), ("test.side", 1));
}

#[test]
fn a_renamed_archive_is_found() {
    #[derive(Archive, Serialize, Event)]
    #[rkyv(archived = Stored, derive(Clone, Debug), compare(PartialEq))]
    #[event(name = "test.renamed", version = 1)]
    struct Renamed {
        a: u32,
    }
    #[derive(Archive, Serialize, Event)]
    #[event(name = "test.renamed", version = 1)]
    struct Usual {
        a: u32,
    }
    assert_eq!(Renamed::FINGERPRINT, Usual::FINGERPRINT);
    assert_eq!(<Stored as tourbillon::Layout>::LAYOUT, Usual::FINGERPRINT);
}

#[test]
fn a_type_that_archives_as_itself_has_a_fingerprint() {
    #[derive(Archive, Serialize, Schema, rkyv::Portable)]
    #[rkyv(as = Self)]
    #[repr(C)]
    struct Bytes {
        bytes: [u8; 8],
    }
    #[derive(Archive, Serialize, Schema)]
    #[schema(name = "Bytes")]
    struct Usual {
        bytes: [u8; 8],
    }
    assert_eq!(Bytes::FINGERPRINT, Usual::FINGERPRINT);
}

#[test]
fn a_foreign_type_stands_in_an_event_by_its_text() {
    #[derive(Archive, Serialize)]
    struct Foreign {
        a: u32,
    }
    #[derive(Archive, Serialize, Event)]
    #[event(name = "test.foreign", version = 1)]
    struct Mine {
        #[event(fp = "foreign 0.1")]
        foreign: Foreign,
        #[rkyv(with = rkyv::with::Skip)]
        _scratch: usize,
    }
    let mine = Mine { foreign: Foreign { a: 1 }, _scratch: 2 };
    assert_eq!((mine.foreign.a, Mine::NAME), (1, "test.foreign"));
}

#[derive(Archive, Serialize, Event)]
#[event(name = "test.pair", version = 1)]
struct Pair<T, const N: usize> {
    first: T,
    more: [Option<T>; N],
}

fn is_event<E: Event>() -> SchemaId {
    SchemaId::of::<E>()
}

#[test]
fn a_generic_event_has_a_fingerprint_for_each_of_its_types() {
    let pairs = [
        is_event::<Pair<u32, 2>>(),
        is_event::<Pair<i32, 2>>(),
        is_event::<Pair<u32, 3>>(),
        is_event::<Pair<Side, 2>>(),
    ];
    for (at, pair) in pairs.iter().enumerate() {
        assert_eq!(pair.name, "test.pair");
        assert!(pairs[..at].iter().all(|other| other.fingerprint != pair.fingerprint));
    }
}

#[test]
fn a_wrapped_event_carries_the_schema_of_its_payload() {
    let tick = is_event::<Caused<Tick>>();
    assert_eq!((tick.name, tick.version), ("caused<test.tick>", 1));
    let order = is_event::<Caused<Order>>();
    assert_eq!((order.name, order.version), ("caused<test.order>", 7));
    assert_ne!(tick.fingerprint, order.fingerprint);
    assert_eq!(is_event::<Stamped<Caused<Tick>>>().name, "stamped<caused<test.tick>>");
    assert_ne!(Stamped::<Tick>::FINGERPRINT, Tick::FINGERPRINT);
    assert_ne!(Stamped::<Tick>::FINGERPRINT, Envelope::<Tick>::FINGERPRINT);
}

#[test]
fn the_time_of_a_wrapped_event_is_the_nearest_one() {
    fn time<E>(event: &E) -> Option<u64>
    where
        E: Event
            + for<'a> Serialize<
                rkyv::api::high::HighSerializer<
                    rkyv::util::AlignedVec,
                    rkyv::ser::allocator::ArenaHandle<'a>,
                    rkyv::rancor::Error,
                >,
            >,
        rkyv::Archived<E>: for<'a> rkyv::bytecheck::CheckBytes<
                rkyv::api::high::HighValidator<'a, rkyv::rancor::Error>,
            >,
    {
        let bytes = rkyv::to_bytes::<rkyv::rancor::Error>(event).unwrap();
        E::time_ns(rkyv::access::<rkyv::Archived<E>, rkyv::rancor::Error>(&bytes).unwrap())
    }
    let tick = || Tick { instrument: 1, side: Side::Sell, price: 2, quantity: None };
    let cause = Sequence::new(3);
    assert_eq!(time(&tick()), None);
    assert_eq!(time(&Stamped { time_ns: 5, payload: tick() }), Some(5));
    assert_eq!(
        time(&Caused { cause, n: 0, payload: Stamped { time_ns: 6, payload: tick() } }),
        Some(6)
    );
    assert_eq!(time(&Caused { cause, n: 1, payload: tick() }), None);
    let envelope = Envelope {
        event_time_ns: 8,
        source: 1,
        correlation: u128::MAX,
        causation: cause,
        payload: Stamped { time_ns: 6, payload: tick() },
    };
    assert_eq!(time(&envelope), Some(8));
}
