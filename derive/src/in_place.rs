//! *Owns* what `in_place` emits. *Invariant*: the archive is found sound field by field, by the fields
//! that it has and not by those of the native type; what cannot be looked into is refused. *Source*:
//! `zerocopy`'s derives.

use crate::attributes::{Identity, TypeAttributes};
use crate::expand::archived_type;
use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::{Data, DeriveInput, Error, Fields, Result, spanned::Spanned};

/// The impl, and the checks that it stands on; `asked` is where `in_place` was said.
pub(crate) fn derive(
    input: &DeriveInput,
    asked: Span,
    identity: &Identity,
    rkyv: &TypeAttributes,
) -> Result<TokenStream> {
    let fields = match &input.data {
        Data::Struct(data) => &data.fields,
        _ => return refuse(asked, "an enum: not every byte is one of its tags"),
    };
    if identity.is_framed {
        return refuse(asked, "a `framed` event: its bytes lie out of line");
    }
    if !input.generics.params.is_empty() {
        return refuse(asked, "a generic type: its padding depends on the parameters");
    }
    if rkyv.is_verified {
        return refuse(
            asked,
            "a type that is verified as a whole: nothing would verify the writes",
        );
    }
    if rkyv.as_type.is_some() {
        return refuse(asked, "a type that is archived `as` another: say `in_place` there");
    }
    Ok(checked_impl(fields, &archived_type(input, rkyv)))
}

fn refuse(asked: Span, what: &str) -> Result<TokenStream> {
    Err(Error::new(asked, format!("`in_place` is not for {what}")))
}

fn checked_impl(fields: &Fields, archived: &TokenStream) -> TokenStream {
    let sum = fields.iter().zip(fields.members()).map(|(field, member)| {
        quote_spanned! {
            field.ty.span()=>
            + ::tourbillon::__private::in_place(|archive: &#archived| &archive.#member)
        }
    });
    quote! {
        // That nothing lies between the fields, or beside those that are native, is their sum.
        const _: () = ::tourbillon::__private::unpadded::<#archived>(0 #(#sum)*);

        // SAFETY: every field is such a type, and there is no byte beside them.
        #[automatically_derived]
        unsafe impl ::tourbillon::InPlace for #archived {}
    }
}
