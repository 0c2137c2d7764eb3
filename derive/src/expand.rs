//! *Owns* the emitted code. *Invariant*: a hash covers name, version, size, alignment, and of each
//! field its name, its place and the hash of its archived type; of an enum the tags as well.

use crate::attributes::{FieldAttributes, Identity, Kind, TypeAttributes, refuse, strip_raw};
use crate::in_place;
use proc_macro2::{TokenStream, TokenTree};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::{
    Data, DataEnum, DeriveInput, Error, Field, Fields, Generics, Ident, Member, Result, Type,
    WherePredicate, parse_quote, spanned::Spanned,
};

pub(crate) fn derive(kind: Kind, input: &DeriveInput) -> Result<TokenStream> {
    let identity = Identity::parse(kind, input)?;
    let rkyv = TypeAttributes::parse(input)?;
    let mut generics = input.generics.clone();
    let bounds = bounds(kind, input, &rkyv)?;
    generics.make_where_clause().predicates.extend(bounds);

    let layout = layout(kind, input, &identity, &archived_type(input, &rkyv), &generics)?;
    let schema = schema(input, &identity, &generics);
    let copied = copied(input);
    let in_place = match identity.in_place {
        Some(asked) => in_place::derive(input, asked, &identity, &rkyv)?,
        None => TokenStream::new(),
    };
    let event = match kind {
        Kind::Event => event(input, &generics, identity.is_framed)?,
        Kind::Schema => TokenStream::new(),
    };
    Ok(quote! {
        const _: () = {
            #layout
            #schema
            #copied
            #event
            #in_place
        };
    })
}

/// The type that rkyv's derive makes, by name: a projection cannot stand in an impl header of a
/// generic type.
pub(crate) fn archived_type(input: &DeriveInput, rkyv: &TypeAttributes) -> TokenStream {
    let (_, arguments, _) = input.generics.split_for_impl();
    let ident = &input.ident;
    match (&rkyv.as_type, &rkyv.archived) {
        (Some(ty), _) if ty.to_token_stream().to_string() == "Self" => quote!(#ident #arguments),
        (Some(ty), _) => ty.to_token_stream(),
        (None, Some(archived)) => quote!(#archived #arguments),
        (None, None) => {
            let archived = format_ident!("Archived{}", strip_raw(ident), span = ident.span());
            quote!(#archived #arguments)
        }
    }
}

fn layout(
    kind: Kind,
    input: &DeriveInput,
    identity: &Identity,
    archived: &TokenStream,
    generics: &Generics,
) -> Result<TokenStream> {
    let Identity { name, version, .. } = identity;
    let (shape, parts) = match &input.data {
        Data::Struct(data) => ("struct", fields(kind, &data.fields, true)?),
        Data::Enum(data) => ("enum", variants(kind, data)?),
        Data::Union(_) => {
            return Err(Error::new(input.ident.span(), "a union has no schema: use an enum"));
        }
    };
    let (parameters, _, predicates) = generics.split_for_impl();
    Ok(quote! {
        #[automatically_derived]
        impl #parameters ::tourbillon::Layout for #archived #predicates {
            const LAYOUT: u128 = {
                let hash = ::tourbillon::__private::Hash::new(#shape)
                    .text(#name)
                    .number(#version as u64)
                    .sized::<Self>();
                #parts
                hash.finish()
            };
        }
    })
}

/// Rebinds `hash` once for each field.
fn fields(kind: Kind, fields: &Fields, has_offsets: bool) -> Result<TokenStream> {
    let count = fields.len() as u64;
    let mut parts = quote!(let hash = hash.number(#count););
    for (field, member) in fields.iter().zip(fields.members()) {
        let name = match &member {
            Member::Named(ident) => strip_raw(ident),
            Member::Unnamed(index) => index.index.to_string(),
        };
        // `offset_of!` of a variant's field is unstable; rkyv lays variants out as `repr(C)`, so
        // the order and the types say the same.
        let offset =
            has_offsets.then(|| quote!(.number(::core::mem::offset_of!(Self, #member) as u64)));
        let inner = field_hash(kind, field)?;
        parts.extend(quote! {
            let hash = hash.text(#name)#offset.hash(#inner);
        });
    }
    Ok(parts)
}

fn field_hash(kind: Kind, field: &Field) -> Result<TokenStream> {
    let ty = &field.ty;
    let attributes = FieldAttributes::parse(kind, field)?;
    let archived = archived_field(ty, attributes.with.as_ref());
    Ok(match (attributes.fp, attributes.with) {
        (Some(fp), _) => quote!(::tourbillon::__private::foreign::<#archived>(#fp)),
        (None, Some(_)) => {
            quote_spanned!(ty.span()=> ::tourbillon::__private::layout::<#archived>())
        }
        (None, None) => quote_spanned!(ty.span()=> ::tourbillon::__private::field::<#ty>()),
    })
}

fn archived_field(ty: &Type, with: Option<&Type>) -> TokenStream {
    match with {
        Some(with) => {
            quote!(<#with as ::tourbillon::rkyv::with::ArchiveWith<#ty>>::Archived)
        }
        None => quote!(<#ty as ::tourbillon::rkyv::Archive>::Archived),
    }
}

fn variants(kind: Kind, data: &DataEnum) -> Result<TokenStream> {
    let count = data.variants.len() as u64;
    let mut parts = quote! {
        let hash = hash.text("u8").number(#count);
        let tag = 0_u64;
    };
    for variant in &data.variants {
        refuse(kind, &variant.attrs)?;
        let name = strip_raw(&variant.ident);
        let explicit =
            variant.discriminant.as_ref().map(|(_, value)| quote!(let tag = (#value) as u64;));
        let fields = fields(kind, &variant.fields, false)?;
        parts.extend(quote! {
            #explicit
            let hash = hash.number(tag).text(#name);
            #fields
            let tag = tag + 1;
        });
    }
    parts.extend(quote!(let _ = tag;));
    Ok(parts)
}

fn schema(input: &DeriveInput, identity: &Identity, generics: &Generics) -> TokenStream {
    let Identity { name, version, .. } = identity;
    let ident = &input.ident;
    let (parameters, arguments, predicates) = generics.split_for_impl();
    quote! {
        #[automatically_derived]
        impl #parameters ::tourbillon::Field for #ident #arguments #predicates {}

        #[automatically_derived]
        impl #parameters ::tourbillon::Schema for #ident #arguments #predicates {
            const NAME: &'static str = #name;
            const VERSION: u32 = #version;
            const FINGERPRINT: u128 = <
                <Self as ::tourbillon::rkyv::Archive>::Archived as ::tourbillon::Layout
            >::LAYOUT;
        }
    }
}

fn event(input: &DeriveInput, generics: &Generics, is_framed: bool) -> Result<TokenStream> {
    let ident = &input.ident;
    let codec = match is_framed {
        true => quote!(::tourbillon::FramedCodec),
        false => quote!(::tourbillon::InlineCodec),
    };
    let mut generics = generics.clone();
    let (_, arguments, _) = input.generics.split_for_impl();
    let mut checks = TokenStream::new();
    if input.generics.params.is_empty() {
        checks = checks_of(input, is_framed)?;
    } else {
        let predicates: [WherePredicate; 3] = [
            parse_quote!(#ident #arguments: 'static),
            parse_quote!(
                <#ident #arguments as ::tourbillon::rkyv::Archive>::Archived:
                    ::core::marker::Send + ::core::marker::Sync
                    + for<'__a> ::tourbillon::rkyv::bytecheck::CheckBytes<
                        ::tourbillon::Validator<'__a>
                    >
            ),
            parse_quote!(#codec: ::tourbillon::Codec<#ident #arguments>),
        ];
        generics.make_where_clause().predicates.extend(predicates);
    }
    let (parameters, arguments, predicates) = generics.split_for_impl();
    Ok(quote! {
        #[automatically_derived]
        impl #parameters ::tourbillon::Event for #ident #arguments #predicates {
            type Codec = #codec;
        }
        #checks
    })
}

/// Asked of every type, since each may stand in a vector.
fn copied(input: &DeriveInput) -> TokenStream {
    let ident = &input.ident;
    match input.generics.params.is_empty() {
        true => quote!(const _: () = ::tourbillon::__private::copied::<#ident>();),
        false => TokenStream::new(),
    }
}

/// The codec asks that the whole event is inline; asked of each field as well, the error points at
/// the one that is not. A framed event is only asked for its alignment.
fn checks_of(input: &DeriveInput, is_framed: bool) -> Result<TokenStream> {
    let mut checks = TokenStream::new();
    for field in all_fields(&input.data) {
        if !is_framed && FieldAttributes::parse(Kind::Event, field)?.with.is_none() {
            let ty = &field.ty;
            checks.extend(quote_spanned!(ty.span()=> ::tourbillon::__private::inline::<#ty>();));
        }
    }
    let ident = &input.ident;
    Ok(quote! {
        const _: () = { #checks };
        // Asked here so that an alignment which no slot has is refused before any bus is built.
        const _: () = ::tourbillon::__private::aligned::<#ident>();
    })
}

/// What the fields of a generic type must be, so that its archive has a hash. Fields without a type
/// parameter need no bound: they are checked where they are hashed, which reads better.
fn bounds(kind: Kind, input: &DeriveInput, rkyv: &TypeAttributes) -> Result<Vec<WherePredicate>> {
    let mut bounds = rkyv.bounds.clone();
    let parameters: Vec<&Ident> = input.generics.type_params().map(|param| &param.ident).collect();
    for field in all_fields(&input.data) {
        let ty = &field.ty;
        let FieldAttributes { fp, with } = FieldAttributes::parse(kind, field)?;
        let generic = mentions(ty.to_token_stream(), &parameters)
            || mentions(with.to_token_stream(), &parameters);
        if !generic {
            continue;
        }
        let archived = archived_field(ty, with.as_ref());
        bounds.push(match (&fp, &with) {
            (_, Some(with)) => parse_quote!(#with: ::tourbillon::rkyv::with::ArchiveWith<#ty>),
            (Some(_), None) => parse_quote!(#ty: ::tourbillon::rkyv::Archive),
            (None, None) => parse_quote!(#ty: ::tourbillon::Field),
        });
        if fp.is_none() && with.is_some() {
            bounds.push(parse_quote!(#archived: ::tourbillon::Layout));
        }
    }
    Ok(bounds)
}

fn all_fields(data: &Data) -> Vec<&Field> {
    match data {
        Data::Struct(data) => data.fields.iter().collect(),
        Data::Enum(data) => data.variants.iter().flat_map(|variant| &variant.fields).collect(),
        Data::Union(_) => Vec::new(),
    }
}

fn mentions(tokens: TokenStream, parameters: &[&Ident]) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(ident) => parameters.contains(&&ident),
        TokenTree::Group(group) => mentions(group.stream(), parameters),
        _ => false,
    })
}
