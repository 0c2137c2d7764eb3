//! *Owns* what users write in `#[event(..)]`, `#[schema(..)]` and `#[rkyv(..)]`. *Invariant*: an
//! unknown key of ours is an error at that key; a key of rkyv's that does not move bytes is skipped.

use proc_macro2::{Span, TokenTree};
use syn::{
    Attribute, DeriveInput, Error, Field, Ident, LitInt, LitStr, Result, Token, Type,
    WherePredicate, meta::ParseNestedMeta, parenthesized, parse::Parse, punctuated::Punctuated,
};

/// Which derive is running, and so which attribute it reads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Event,
    Schema,
}

impl Kind {
    pub(crate) fn attribute(self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::Schema => "schema",
        }
    }
}

/// The name and the version of a type.
#[derive(Debug)]
pub(crate) struct Identity {
    pub(crate) name: String,
    pub(crate) version: u32,
}

impl Identity {
    pub(crate) fn parse(kind: Kind, input: &DeriveInput) -> Result<Self> {
        let mut name = None;
        let mut version = None;
        for attribute in ours(kind, &input.attrs) {
            attribute.parse_nested_meta(|meta| {
                if meta.path.is_ident("name") {
                    set(&mut name, parse_name(&meta)?, &meta)
                } else if meta.path.is_ident("version") {
                    set(&mut version, meta.value()?.parse::<LitInt>()?.base10_parse()?, &meta)
                } else {
                    Err(unknown(kind, &meta, "`name` and `version`"))
                }
            })?;
        }
        if kind == Kind::Event && (name.is_none() || version.is_none()) {
            let ident = &input.ident;
            return Err(Error::new(
                ident.span(),
                format!(
                    "an event needs a name and a version, which stand in every segment header: add \
                     `#[event(name = \"{}\", version = 1)]`",
                    ident.to_string().to_lowercase()
                ),
            ));
        }
        let name = name.unwrap_or_else(|| strip_raw(&input.ident));
        Ok(Self { name, version: version.unwrap_or(1) })
    }
}

/// What a field says about its archive.
#[derive(Default)]
pub(crate) struct FieldAttributes {
    /// Stands in for the fingerprint of a foreign type.
    pub(crate) fp: Option<LitStr>,
    /// rkyv's `with` wrapper.
    pub(crate) with: Option<Type>,
}

impl FieldAttributes {
    pub(crate) fn parse(kind: Kind, field: &Field) -> Result<Self> {
        let mut parsed = Self::default();
        for attribute in ours(kind, &field.attrs) {
            attribute.parse_nested_meta(|meta| {
                if meta.path.is_ident("fp") {
                    let text = meta.value()?.parse()?;
                    set(&mut parsed.fp, text, &meta)
                } else {
                    Err(unknown(kind, &meta, "`fp` on a field"))
                }
            })?;
        }
        for attribute in rkyvs(&field.attrs) {
            attribute.parse_nested_meta(|meta| {
                if meta.path.is_ident("with") {
                    parsed.with = Some(meta.value()?.parse()?);
                    return Ok(());
                }
                skip(&meta)
            })?;
        }
        Ok(parsed)
    }
}

/// What a type says to rkyv about its archive.
#[derive(Default)]
pub(crate) struct TypeAttributes {
    /// `archived = Name`.
    pub(crate) archived: Option<Ident>,
    /// `as = Type`.
    pub(crate) as_type: Option<Type>,
    /// `archive_bounds(..)`.
    pub(crate) bounds: Vec<WherePredicate>,
}

impl TypeAttributes {
    pub(crate) fn parse(input: &DeriveInput) -> Result<Self> {
        let mut parsed = Self::default();
        for attribute in rkyvs(&input.attrs) {
            attribute.parse_nested_meta(|meta| {
                if meta.path.is_ident("archived") {
                    parsed.archived = Some(meta.value()?.parse()?);
                } else if meta.path.is_ident("as") {
                    parsed.as_type = Some(meta.value()?.parse()?);
                } else if meta.path.is_ident("archive_bounds") {
                    let content;
                    parenthesized!(content in meta.input);
                    let bounds: Punctuated<_, Token![,]> =
                        content.parse_terminated(WherePredicate::parse, Token![,])?;
                    parsed.bounds.extend(bounds);
                } else if meta.path.is_ident("remote") {
                    return Err(meta.error(
                        "a remote derive has no schema of its own: give the field that uses it \
                         `fp = \"..\"`",
                    ));
                } else {
                    return skip(&meta);
                }
                Ok(())
            })?;
        }
        Ok(parsed)
    }
}

/// An identifier without `r#`.
pub(crate) fn strip_raw(ident: &Ident) -> String {
    let text = ident.to_string();
    text.strip_prefix("r#").map(ToOwned::to_owned).unwrap_or(text)
}

/// Refuses our attribute where it says nothing, for example on a variant.
pub(crate) fn refuse(kind: Kind, attributes: &[Attribute]) -> Result<()> {
    match ours(kind, attributes).next() {
        None => Ok(()),
        Some(attribute) => Err(Error::new_spanned(
            attribute,
            format!("`#[{}(..)]` stands on the type or on a field", kind.attribute()),
        )),
    }
}

fn ours(kind: Kind, attributes: &[Attribute]) -> impl Iterator<Item = &Attribute> {
    attributes.iter().filter(move |attribute| attribute.path().is_ident(kind.attribute()))
}

fn rkyvs(attributes: &[Attribute]) -> impl Iterator<Item = &Attribute> {
    attributes.iter().filter(|attribute| attribute.path().is_ident("rkyv"))
}

fn set<T>(slot: &mut Option<T>, value: T, meta: &ParseNestedMeta<'_>) -> Result<()> {
    if slot.replace(value).is_some() {
        return Err(meta.error("given twice"));
    }
    Ok(())
}

fn unknown(kind: Kind, meta: &ParseNestedMeta<'_>, known: &str) -> Error {
    meta.error(format!("unknown key; `#[{}(..)]` knows {known}", kind.attribute()))
}

fn parse_name(meta: &ParseNestedMeta<'_>) -> Result<String> {
    let literal: LitStr = meta.value()?.parse()?;
    let name = literal.value();
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(refused_name(literal.span()));
    }
    Ok(name)
}

fn refused_name(span: Span) -> Error {
    Error::new(span, "a name is printable ASCII without spaces, such as \"md.tick\"")
}

/// Passes over a key of rkyv's with its value, up to the comma that ends it; rkyv checks it.
fn skip(meta: &ParseNestedMeta<'_>) -> Result<()> {
    meta.input.step(|cursor| {
        let mut rest = *cursor;
        let mut open_angles = 0_u32;
        while let Some((token, next)) = rest.token_tree() {
            if let TokenTree::Punct(punct) = &token {
                match punct.as_char() {
                    ',' if open_angles == 0 => break,
                    '<' => open_angles += 1,
                    '>' => open_angles = open_angles.saturating_sub(1),
                    _ => {}
                }
            }
            rest = next;
        }
        Ok(((), rest))
    })
}
