//! *Owns* what users write in `#[event(..)]`, `#[schema(..)]` and `#[rkyv(..)]`. *Invariant*: an
//! unknown key of ours is an error at that key; a key of rkyv's that does not move bytes is skipped.

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::ToTokens;
use syn::{
    Attribute, DeriveInput, Error, Field, Ident, LitInt, LitStr, Result, Token, Type,
    WherePredicate, meta::ParseNestedMeta, parenthesized, parse::Parse, punctuated::Punctuated,
    spanned::Spanned,
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

    fn keys(self) -> &'static str {
        match self {
            Self::Event => "`name`, `version`, `framed` and `in_place`",
            Self::Schema => "`name`, `version` and `in_place`",
        }
    }
}

/// The name and the version of a type.
#[derive(Debug)]
pub(crate) struct Identity {
    pub(crate) name: String,
    pub(crate) version: u32,
    /// Whether the event may hold strings, vectors and maps.
    pub(crate) is_framed: bool,
    /// Where it says that its archive may be written in place.
    pub(crate) in_place: Option<Span>,
}

impl Identity {
    pub(crate) fn parse(kind: Kind, input: &DeriveInput) -> Result<Self> {
        let mut name = None;
        let mut version = None;
        let mut framed = None;
        let mut in_place = None;
        for attribute in ours(kind, &input.attrs) {
            attribute.parse_nested_meta(|meta| {
                if meta.path.is_ident("name") {
                    set(&mut name, parse_name(&meta)?, &meta)
                } else if meta.path.is_ident("version") {
                    set(&mut version, meta.value()?.parse::<LitInt>()?.base10_parse()?, &meta)
                } else if kind == Kind::Event && meta.path.is_ident("framed") {
                    set(&mut framed, (), &meta)
                } else if meta.path.is_ident("in_place") {
                    set(&mut in_place, meta.path.span(), &meta)
                } else {
                    Err(unknown(kind, &meta, kind.keys()))
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
        let version = version.unwrap_or(1);
        Ok(Self { name, version, is_framed: framed.is_some(), in_place })
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
    /// Whether the archive has checks of its own, on top of those of its fields.
    pub(crate) is_verified: bool,
}

impl TypeAttributes {
    pub(crate) fn parse(input: &DeriveInput) -> Result<Self> {
        let mut parsed = Self::default();
        for attribute in rkyvs(&input.attrs) {
            // As `bytecheck(verify)`, or passed on by `attr(..)`.
            parsed.is_verified |= mentions(attribute.meta.to_token_stream(), "verify");
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

fn mentions(tokens: TokenStream, word: &str) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(ident) => ident == word,
        TokenTree::Group(group) => mentions(group.stream(), word),
        _ => false,
    })
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

#[cfg(test)]
mod tests {
    use super::{FieldAttributes, Identity, Kind, TypeAttributes};
    use syn::{Data, DeriveInput, Result, parse_str};

    fn parse(source: &str) -> DeriveInput {
        parse_str(source).expect("the test's own source")
    }

    fn identity(kind: Kind, attributes: &str) -> Result<(String, u32)> {
        let input = parse(&format!("{attributes} struct Tick {{ price: i64 }}"));
        Identity::parse(kind, &input).map(|identity| (identity.name, identity.version))
    }

    fn refusal<T>(result: Result<T>) -> String {
        match result {
            Ok(_) => panic!("accepted"),
            Err(error) => error.to_string(),
        }
    }

    fn field(attributes: &str) -> Result<(Option<String>, bool)> {
        let input = parse(&format!("struct Tick {{ {attributes} price: i64 }}"));
        let Data::Struct(data) = &input.data else { unreachable!("written above") };
        let field = data.fields.iter().next().expect("one field");
        FieldAttributes::parse(Kind::Event, field)
            .map(|parsed| (parsed.fp.map(|text| text.value()), parsed.with.is_some()))
    }

    #[test]
    fn an_event_needs_name_and_version() {
        let given = "#[event(name = \"md.tick\", version = 3)]";
        assert_eq!(identity(Kind::Event, given).unwrap(), ("md.tick".to_owned(), 3));
        let given = "#[event(name = \"md.tick\")] #[event(version = 3)]";
        assert_eq!(identity(Kind::Event, given).unwrap(), ("md.tick".to_owned(), 3));
        for missing in ["", "#[event(version = 1)]", "#[event(name = \"a\")]"] {
            let refusal = refusal(identity(Kind::Event, missing));
            assert!(refusal.contains("#[event(name = \"tick\", version = 1)]"), "{refusal}");
        }
    }

    #[test]
    fn a_schema_needs_neither() {
        assert_eq!(identity(Kind::Schema, "").unwrap(), ("Tick".to_owned(), 1));
        let given = "#[schema(version = 4)]";
        assert_eq!(identity(Kind::Schema, given).unwrap(), ("Tick".to_owned(), 4));
    }

    #[test]
    fn what_is_unknown_double_or_malformed_is_refused() {
        for (given, says) in [
            ("#[event(nme = \"a\", version = 1)]", "unknown key; `#[event(..)]` knows `name`"),
            ("#[event(name = \"a\", version = 1, framed, framed)]", "given twice"),
            ("#[event(name = \"a\", version = 1, framed = 1)]", "expected `,`"),
            ("#[event(name = \"a\", name = \"b\", version = 1)]", "given twice"),
            ("#[event(name = \"a\", version = 1, version = 1)]", "given twice"),
            ("#[event(name = \"\", version = 1)]", "printable ASCII"),
            ("#[event(name = \"a b\", version = 1)]", "printable ASCII"),
            ("#[event(name = \"\u{e4}\", version = 1)]", "printable ASCII"),
            ("#[event(name = a, version = 1)]", "expected string literal"),
            ("#[event(name = \"a\", version = \"1\")]", "expected integer literal"),
            ("#[event(name = \"a\", version = 4294967296)]", "number too large"),
            ("#[event(name, version = 1)]", "expected `=`"),
            ("#[event]", "expected attribute arguments"),
        ] {
            let refusal = refusal(identity(Kind::Event, given));
            assert!(refusal.contains(says), "{given}: {refusal}");
        }
    }

    #[test]
    fn a_field_knows_its_text_and_its_wrapper() {
        assert_eq!(field("").unwrap(), (None, false));
        assert_eq!(field("#[event(fp = \"x 1\")]").unwrap(), (Some("x 1".to_owned()), false));
        assert_eq!(field("#[rkyv(with = Map<A, B>)]").unwrap(), (None, true));
        let skipped = "#[rkyv(omit_bounds, niche = N<A, B>, attr(doc(hidden)), with = W)]";
        assert_eq!(field(skipped).unwrap(), (None, true));
        assert!(refusal(field("#[event(name = \"a\")]")).contains("knows `fp` on a field"));
        assert!(refusal(field("#[event(fp = 1)]")).contains("expected string literal"));
    }

    #[test]
    fn of_rkyv_only_what_names_the_archive_is_read() {
        let input = parse(
            "#[rkyv(derive(Clone, Debug), compare(PartialEq), archived = Stored)]
             #[rkyv(crate = tourbillon::rkyv, archive_bounds(T: A<B>, U: C))]
             struct Tick;",
        );
        let parsed = TypeAttributes::parse(&input).unwrap();
        assert_eq!(parsed.archived.unwrap(), "Stored");
        assert_eq!(parsed.bounds.len(), 2);
        assert!(parsed.as_type.is_none());
        let input = parse("#[rkyv(as = Stored<A, B>)] struct Tick;");
        assert!(TypeAttributes::parse(&input).unwrap().as_type.is_some());
        let input = parse("#[rkyv(remote = Other)] struct Tick;");
        assert!(refusal(TypeAttributes::parse(&input)).contains("remote"));
    }
}
