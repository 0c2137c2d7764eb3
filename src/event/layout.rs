//! *Owns* the hash over an archived layout. *Invariant*: what changes the bytes of an archive, or the
//! names in them, changes the hash: kind, byte order, size, alignment, order and inner types.
//! *Source*: FNV-1a, 128 bits wide; the scheme follows `epserde`, over archived types.

use core::{
    marker::PhantomData,
    mem::{align_of, size_of},
};
use rkyv::{
    boxed::ArchivedBox,
    collections::{
        btree_map::ArchivedBTreeMap,
        btree_set::ArchivedBTreeSet,
        swiss_table::{ArchivedHashMap, ArchivedHashSet},
        util::Entry,
    },
    ffi::ArchivedCString,
    net::{
        ArchivedIpAddr, ArchivedIpv4Addr, ArchivedIpv6Addr, ArchivedSocketAddr,
        ArchivedSocketAddrV4, ArchivedSocketAddrV6,
    },
    niche::{niched_option::NichedOption, niching, option_box::ArchivedOptionBox, option_nonzero},
    ops::{
        ArchivedBound, ArchivedRange, ArchivedRangeFrom, ArchivedRangeInclusive, ArchivedRangeTo,
    },
    option::ArchivedOption,
    primitive::{ArchivedIsize, ArchivedU32, ArchivedUsize},
    rend::{self, unaligned},
    result::ArchivedResult,
    string::ArchivedString,
    time::ArchivedDuration,
    tuple::*,
    vec::ArchivedVec,
};

/// The layout of rkyv's own types is fixed within a series, and so are their hashes.
const SERIES: &str = "rkyv 0.8";

/// An archived type whose layout has a hash.
///
/// The derives implement it for the archives of your types; implement it by hand for an archived
/// type that you wrote by hand, and change the number whenever its bytes change.
#[diagnostic::on_unimplemented(
    message = "the archived type `{Self}` has no layout hash, so a change of it would go unseen",
    note = "a foreign type in a field: give the field `#[event(fp = \"..\")]` or `#[schema(fp = \"..\")]`, and change the text whenever its layout changes"
)]
pub trait Layout {
    /// Hash over the bytes' meaning.
    const LAYOUT: u128;
}

/// FNV-1a over 128 bits, usable in constants.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct Hash(u128);

impl Hash {
    const BASIS: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = (1 << 88) + 0x13b;

    /// Begins with what is hashed: a struct, an enum, a vector.
    pub const fn new(kind: &str) -> Self {
        Self(Self::BASIS).text(kind)
    }

    const fn bytes(self, bytes: &[u8]) -> Self {
        let mut state = self.0;
        let mut at = 0;
        while at < bytes.len() {
            state = (state ^ bytes[at] as u128).wrapping_mul(Self::PRIME);
            at += 1;
        }
        Self(state)
    }

    /// Adds a text with its length, so that two texts never run into one.
    pub const fn text(self, text: &str) -> Self {
        self.number(text.len() as u64).bytes(text.as_bytes())
    }

    /// Adds a number.
    pub const fn number(self, number: u64) -> Self {
        self.bytes(&number.to_le_bytes())
    }

    /// Adds the hash of something inside.
    pub const fn hash(self, inner: u128) -> Self {
        self.bytes(&inner.to_le_bytes())
    }

    /// Adds size and alignment.
    pub const fn sized<T>(self) -> Self {
        self.number(size_of::<T>() as u64).number(align_of::<T>() as u64)
    }

    /// The hash of all that was added.
    #[must_use]
    pub const fn finish(self) -> u128 {
        self.0
    }
}

/// The hash of a field's archive, where the field's own type may stand in one.
#[must_use]
pub const fn field<F: super::Field>() -> u128 {
    <F::Archived as Layout>::LAYOUT
}

/// The hash of an archived type: of a field with a wrapper, which answers for the native one.
#[must_use]
pub const fn layout<A: Layout>() -> u128 {
    A::LAYOUT
}

/// The hash of a foreign archived type, by a text in place of its structure.
#[must_use]
pub const fn foreign<A>(fp: &str) -> u128 {
    Hash::new("foreign").text(fp).sized::<A>().finish()
}

macro_rules! plain {
    ($($ty:ty: $name:expr),* $(,)?) => {$(
        impl Layout for $ty {
            const LAYOUT: u128 = Hash::new($name).sized::<Self>().finish();
        }
    )*};
}

plain! {
    (): "()",
    bool: "bool",
    u8: "u8",
    i8: "i8",
    core::num::NonZeroU8: "NonZeroU8",
    core::num::NonZeroI8: "NonZeroI8",
}

macro_rules! multibyte {
    ($($le:ident $le_name:literal, $be:ident $be_name:literal,
       $ule:ident $ule_name:literal, $ube:ident $ube_name:literal;)*) => {
        plain! {$(
            rend::$le: $le_name,
            rend::$be: $be_name,
            unaligned::$ule: $ule_name,
            unaligned::$ube: $ube_name,
        )*}
    };
}

multibyte! {
    i16_le "i16le", i16_be "i16be", i16_ule "i16ule", i16_ube "i16ube";
    i32_le "i32le", i32_be "i32be", i32_ule "i32ule", i32_ube "i32ube";
    i64_le "i64le", i64_be "i64be", i64_ule "i64ule", i64_ube "i64ube";
    i128_le "i128le", i128_be "i128be", i128_ule "i128ule", i128_ube "i128ube";
    u16_le "u16le", u16_be "u16be", u16_ule "u16ule", u16_ube "u16ube";
    u32_le "u32le", u32_be "u32be", u32_ule "u32ule", u32_ube "u32ube";
    u64_le "u64le", u64_be "u64be", u64_ule "u64ule", u64_ube "u64ube";
    u128_le "u128le", u128_be "u128be", u128_ule "u128ule", u128_ube "u128ube";
    f32_le "f32le", f32_be "f32be", f32_ule "f32ule", f32_ube "f32ube";
    f64_le "f64le", f64_be "f64be", f64_ule "f64ule", f64_ube "f64ube";
    char_le "charle", char_be "charbe", char_ule "charule", char_ube "charube";
    NonZeroI16_le "NonZeroI16le", NonZeroI16_be "NonZeroI16be", NonZeroI16_ule "NonZeroI16ule", NonZeroI16_ube "NonZeroI16ube";
    NonZeroI32_le "NonZeroI32le", NonZeroI32_be "NonZeroI32be", NonZeroI32_ule "NonZeroI32ule", NonZeroI32_ube "NonZeroI32ube";
    NonZeroI64_le "NonZeroI64le", NonZeroI64_be "NonZeroI64be", NonZeroI64_ule "NonZeroI64ule", NonZeroI64_ube "NonZeroI64ube";
    NonZeroI128_le "NonZeroI128le", NonZeroI128_be "NonZeroI128be", NonZeroI128_ule "NonZeroI128ule", NonZeroI128_ube "NonZeroI128ube";
    NonZeroU16_le "NonZeroU16le", NonZeroU16_be "NonZeroU16be", NonZeroU16_ule "NonZeroU16ule", NonZeroU16_ube "NonZeroU16ube";
    NonZeroU32_le "NonZeroU32le", NonZeroU32_be "NonZeroU32be", NonZeroU32_ule "NonZeroU32ule", NonZeroU32_ube "NonZeroU32ube";
    NonZeroU64_le "NonZeroU64le", NonZeroU64_be "NonZeroU64be", NonZeroU64_ule "NonZeroU64ule", NonZeroU64_ube "NonZeroU64ube";
    NonZeroU128_le "NonZeroU128le", NonZeroU128_be "NonZeroU128be", NonZeroU128_ule "NonZeroU128ule", NonZeroU128_ube "NonZeroU128ube";
}

/// rkyv's own types: the series, the name, what lies inside.
macro_rules! archived {
    ($([$($params:tt)*] $ty:ty: $name:literal, $($inner:ty),*;)*) => {$(
        impl<$($params)*> Layout for $ty {
            const LAYOUT: u128 = Hash::new(SERIES).text($name).sized::<Self>()
                $(.hash(<$inner as Layout>::LAYOUT))*
                .finish();
        }
    )*};
}

// Numbers inside a type stand for their byte order, `ArchivedIsize` and `ArchivedUsize` also for
// the width of relative pointers and lengths.
archived! {
    [] ArchivedString: "String", ArchivedIsize, ArchivedUsize;
    [] ArchivedCString: "CString", ArchivedIsize, ArchivedUsize;
    [T: Layout] ArchivedVec<T>: "Vec", ArchivedIsize, ArchivedUsize, T;
    [T: Layout] ArchivedBox<T>: "Box", ArchivedIsize, T;
    [T: Layout] ArchivedBox<[T]>: "Box of a slice", ArchivedIsize, ArchivedUsize, T;
    [] ArchivedBox<str>: "Box of a str", ArchivedIsize, ArchivedUsize;
    [T: Layout] ArchivedOption<T>: "Option", T;
    [T: Layout, E: Layout] ArchivedResult<T, E>: "Result", T, E;
    [K: Layout, V: Layout] Entry<K, V>: "Entry", K, V;
    [K: Layout, V: Layout] ArchivedHashMap<K, V>: "HashMap", ArchivedIsize, ArchivedUsize, K, V;
    [K: Layout] ArchivedHashSet<K>: "HashSet", ArchivedIsize, ArchivedUsize, K;
    [K: Layout, V: Layout] ArchivedBTreeMap<K, V>: "BTreeMap", ArchivedIsize, ArchivedUsize, K, V;
    [K: Layout] ArchivedBTreeSet<K>: "BTreeSet", ArchivedIsize, ArchivedUsize, K;
    [] ArchivedDuration: "Duration", ArchivedU32;
    [] ArchivedIpv4Addr: "Ipv4Addr",;
    [] ArchivedIpv6Addr: "Ipv6Addr",;
    [] ArchivedIpAddr: "IpAddr",;
    [] ArchivedSocketAddrV4: "SocketAddrV4", ArchivedU32;
    [] ArchivedSocketAddrV6: "SocketAddrV6", ArchivedU32;
    [] ArchivedSocketAddr: "SocketAddr", ArchivedU32;
    [T: Layout] ArchivedRange<T>: "Range", T;
    [T: Layout] ArchivedRangeInclusive<T>: "RangeInclusive", T;
    [T: Layout] ArchivedRangeFrom<T>: "RangeFrom", T;
    [T: Layout] ArchivedRangeTo<T>: "RangeTo", T;
    [T: Layout] ArchivedBound<T>: "Bound", T;
    [T: Layout] ArchivedOptionBox<T>: "OptionBox", ArchivedIsize, T;
    [T: Layout, N: Layout] NichedOption<T, N>: "NichedOption", T, N;
    [] niching::DefaultNiche: "niche by default",;
    [] niching::Zero: "niche at zero",;
    [] niching::NaN: "niche at NaN",;
    [] niching::Null: "niche at null",;
    [] niching::Bool: "niche in a bool",;
    [] option_nonzero::ArchivedOptionNonZeroU8: "OptionNonZeroU8",;
    [] option_nonzero::ArchivedOptionNonZeroU16: "OptionNonZeroU16", ArchivedU32;
    [] option_nonzero::ArchivedOptionNonZeroU32: "OptionNonZeroU32", ArchivedU32;
    [] option_nonzero::ArchivedOptionNonZeroU64: "OptionNonZeroU64", ArchivedU32;
    [] option_nonzero::ArchivedOptionNonZeroU128: "OptionNonZeroU128", ArchivedU32;
    [] option_nonzero::ArchivedOptionNonZeroI8: "OptionNonZeroI8",;
    [] option_nonzero::ArchivedOptionNonZeroI16: "OptionNonZeroI16", ArchivedU32;
    [] option_nonzero::ArchivedOptionNonZeroI32: "OptionNonZeroI32", ArchivedU32;
    [] option_nonzero::ArchivedOptionNonZeroI64: "OptionNonZeroI64", ArchivedU32;
    [] option_nonzero::ArchivedOptionNonZeroI128: "OptionNonZeroI128", ArchivedU32;
}

impl<T: Layout, const N: usize> Layout for [T; N] {
    const LAYOUT: u128 = Hash::new("array").number(N as u64).hash(T::LAYOUT).finish();
}

impl<T> Layout for PhantomData<T> {
    const LAYOUT: u128 = Hash::new("PhantomData").finish();
}

macro_rules! tuples {
    ($($ty:ident $($param:ident)*;)*) => {$(
        impl<$($param: Layout),*> Layout for $ty<$($param),*> {
            const LAYOUT: u128 =
                Hash::new(SERIES).text("tuple").sized::<Self>()$(.hash($param::LAYOUT))*.finish();
        }
    )*};
}

tuples! {
    ArchivedTuple1 A;
    ArchivedTuple2 A B;
    ArchivedTuple3 A B C;
    ArchivedTuple4 A B C D;
    ArchivedTuple5 A B C D E;
    ArchivedTuple6 A B C D E F;
    ArchivedTuple7 A B C D E F G;
    ArchivedTuple8 A B C D E F G H;
    ArchivedTuple9 A B C D E F G H I;
    ArchivedTuple10 A B C D E F G H I J;
    ArchivedTuple11 A B C D E F G H I J K;
    ArchivedTuple12 A B C D E F G H I J K L;
}

#[cfg(test)]
mod tests {
    use super::{Hash, Layout};

    #[test]
    fn the_hash_is_fnv_1a_of_128_bits() {
        // The published test vectors of FNV.
        assert_eq!(Hash(Hash::BASIS).bytes(b"a").0, 0xd228_cb69_6f1a_8caf_7891_2b70_4e4a_8964);
        assert_eq!(Hash(Hash::BASIS).bytes(b"foobar").0, 0x343e_1662_793c_64bf_6f0d_3597_ba44_6f18);
    }

    #[test]
    fn neighbouring_texts_do_not_run_into_one() {
        assert_ne!(Hash::new("ab").text("c").finish(), Hash::new("a").text("bc").finish());
    }

    #[test]
    fn byte_order_and_alignment_are_part_of_a_number() {
        use rkyv::rend::{u64_be, u64_le, unaligned::u64_ule};
        assert_ne!(u64_le::LAYOUT, u64_be::LAYOUT);
        assert_ne!(u64_le::LAYOUT, u64_ule::LAYOUT);
    }
}
