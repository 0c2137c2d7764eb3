//! The derive macros of `tourbillon`; use them through that crate.
//!
//! *Owns* the step from a type's definition to its name, version and fingerprint.
//! *Invariant*: everything emitted goes through `::tourbillon`, so a user needs no dependency of
//! ours; whatever changes the archived bytes of a type changes the hash that is emitted for it.
//! *Source*: `epserde`'s type and alignment hashes, over archived types instead of native ones.

mod attributes;
mod expand;
mod in_place;

use attributes::Kind;
use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

/// Makes a type an event: implements `Event` and `Schema`.
///
/// `#[event(name = "md.tick", version = 1)]` is required: the name and the version stand in every
/// segment header. On a field of a foreign type, `#[event(fp = "..")]` stands in for the fingerprint
/// of that type: change the text whenever the type's layout changes.
///
/// An event is *inline* unless it says otherwise: numbers, enums, arrays and structs of them, which
/// lie in a slot of exactly their size. `#[event(name = "md.news", version = 1, framed)]` makes it
/// *framed*: strings, vectors, boxes and maps as well, in slots whose size the bus is told
/// (`BusBuilder::slot_bytes`). Publishing a framed event serializes it into its slot without the
/// heap, at a few times the cost of an inline one; what does not fit is refused with what it needs.
/// `HashMap` and `HashSet` may stand in a framed event, but the order of their bytes, and so of a
/// consumer's walk over them, differs from run to run: where a replay must come out the same bit for
/// bit, use `BTreeMap` and `BTreeSet`. An event that contains itself is checked to a depth of 64
/// when it comes back from a disk.
///
/// `#[event(name = "md.depth", version = 1, in_place)]` lets a closure write the archive where it lies
/// (`Producer::publish_in_place`). Structs of numbers, of arrays of them and of such structs, without
/// padding; never `framed`, generic or verified as a whole. A struct inside says it too, by
/// `#[schema(in_place)]`.
#[proc_macro_derive(Event, attributes(event))]
pub fn derive_event(input: TokenStream) -> TokenStream {
    run(Kind::Event, &parse_macro_input!(input as DeriveInput))
}

/// Gives a type a fingerprint, so that it can stand in an event or in a snapshot: implements
/// `Schema`.
///
/// `#[schema(name = "..", version = 1)]` may be left out: the name is then the type's own and the
/// version 1. On a field of a foreign type, `#[schema(fp = "..")]` stands in for the fingerprint of
/// that type: change the text whenever the type's layout changes.
#[proc_macro_derive(Schema, attributes(schema))]
pub fn derive_schema(input: TokenStream) -> TokenStream {
    run(Kind::Schema, &parse_macro_input!(input as DeriveInput))
}

fn run(kind: Kind, input: &DeriveInput) -> TokenStream {
    expand::derive(kind, input).unwrap_or_else(syn::Error::into_compile_error).into()
}
