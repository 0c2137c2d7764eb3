//! *Owns* which archived types a closure may write where they lie. *Invariant*: all bytes zero are a
//! value of such a type and none of its bytes is padding, so whatever safe code does to it leaves
//! initialised bytes that are an archive. *Source*: `zerocopy`'s `FromZeros` and `IntoBytes`.

use rkyv::Portable;
use rkyv::primitive::{
    ArchivedF32, ArchivedF64, ArchivedI16, ArchivedI32, ArchivedI64, ArchivedI128, ArchivedU16,
    ArchivedU32, ArchivedU64, ArchivedU128,
};

/// An archived type that can be written through `&mut`, in its slot, over zeros.
///
/// Numbers, arrays of them, and structs of those whose event says `in_place`:
///
/// ```
/// # use tourbillon::{Bus, Polled};
/// #[derive(rkyv::Archive, rkyv::Serialize, tourbillon::Event)]
/// #[event(name = "md.depth", version = 1, in_place)]
/// struct Depth {
///     prices: [i64; 20],
///     quantities: [u32; 20],
/// }
///
/// let mut builder = Bus::<Depth>::builder(64);
/// builder.poller("book");
/// let (mut producer, mut bus) = builder.start()?;
/// producer.publish_in_place(|depth: &mut ArchivedDepth, sequence| {
///     depth.prices[0] = 5_853_300.into();
///     depth.quantities[0] = (sequence.get() as u32 + 7).into();
/// })?;
///
/// let mut book = bus.take_poller("book").expect("named above");
/// let Polled::Batch(mut batch) = book.poll() else { unreachable!() };
/// let (depth, _) = batch.next().expect("published above");
/// assert_eq!((depth.prices[0].to_native(), depth.quantities[0].to_native()), (5_853_300, 7));
/// assert_eq!(depth.prices[1].to_native(), 0); // what the closure leaves out is zero
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// `bool`, `char`, enums, `Option`s and what lies out of line are left out: not every byte is a value
/// of theirs, or some are padding. A struct inside an event says it as well, with `#[derive(Schema)]`
/// and `#[schema(in_place)]`; where fields leave padding between or behind them, fill it with a field.
///
/// # Safety
/// Whoever implements it promises:
///
/// - All bytes zero are a valid value.
/// - No byte is padding, and no value that safe code can store has an uninitialised one.
/// - A value means the same wherever it lies: it holds no relative pointer.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be written in place",
    label = "not every byte of it is a number's",
    note = "numbers can, arrays of them, and structs of those without padding",
    note = "instead of a `bool`, an enum or an `Option` keep a number; for a struct of your own add `#[schema(in_place)]`",
    note = "or leave `in_place` out, and publish the event by `publish` or `publish_with`"
)]
pub unsafe trait InPlace: Portable {}

macro_rules! numbers {
    ($($number:ty),* $(,)?) => {$(
        // SAFETY: a number in a fixed byte order, without padding: every pattern of bytes is a value,
        // and none of them points anywhere.
        unsafe impl InPlace for $number {}
    )*};
}

#[rustfmt::skip]
numbers!(
    u8, i8, ArchivedU16, ArchivedI16, ArchivedU32, ArchivedI32, ArchivedU64, ArchivedI64,
    ArchivedU128, ArchivedI128, ArchivedF32, ArchivedF64,
);

// SAFETY: elements lie next to each other, without padding between them; each is as promised.
unsafe impl<T: InPlace, const N: usize> InPlace for [T; N] {}

/// Compiles for fields that can be written in place; gives the bytes of the one that is projected to.
pub const fn in_place<A, T: InPlace>(_field: fn(&A) -> &T) -> usize {
    size_of::<T>()
}

/// Compiles, where it is a constant, for an archive of `fields` bytes in fields and none beside them.
pub const fn unpadded<A>(fields: usize) {
    assert!(
        size_of::<A>() == fields,
        "an event that is written in place has no padding: order the fields by size, largest first, and fill what is left with a field"
    );
}
