//! The attribute `#[dust(..)]`, in which the user describes the entity.

use proc_macro2::Span;
use quote::ToTokens;
use syn::meta::ParseNestedMeta;
use syn::parse::Parse;
use syn::punctuated::Punctuated;
use syn::{Attribute, Error, Ident, LitStr, Path, Result, Token, parenthesized, parse_quote};

/// The derive that runs. Each accepts its own attributes and generates its own impls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Derive {
    /// `DeriveDustEntity`
    Entity,
    /// `DeriveChangeset`
    Changeset,
}

impl Derive {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Derive::Entity => "DeriveDustEntity",
            Derive::Changeset => "DeriveChangeset",
        }
    }

    fn allowed(self) -> &'static [&'static str] {
        match self {
            Derive::Entity => &["prefix", "mode", "required", "key_case", "crate"],
            Derive::Changeset => &["required", "crate"],
        }
    }
}

/// The attributes of one struct. An attribute that is not written has its default.
pub(crate) struct Attributes {
    pub(crate) prefix: Option<Vec<LitStr>>,
    /// The variant of `StorageMode`.
    pub(crate) mode: &'static str,
    /// The variant of `KeyCase`.
    pub(crate) key_case: &'static str,
    pub(crate) required: Vec<Ident>,
    /// The path of the crate `dust-orm`.
    pub(crate) krate: Path,
}

const MODES: [(&str, &str); 2] = [("flat", "Flat"), ("map", "Map")];
const KEY_CASES: [(&str, &str); 2] = [("lower", "Lower"), ("any", "Any")];

impl Default for Attributes {
    fn default() -> Attributes {
        Attributes {
            prefix: None,
            mode: MODES[0].1,
            key_case: KEY_CASES[0].1,
            required: Vec::new(),
            krate: parse_quote!(::dust_orm),
        }
    }
}

impl Attributes {
    /// Attributes in place of ones with a mistake, so that the impls can be written. `None` if the attributes name a
    /// crate: without that name, the impls would only add errors of their own.
    pub(crate) fn in_place_of(attrs: &[Attribute]) -> Option<Attributes> {
        let names_crate = |attr: &Attribute| {
            attr.path().is_ident("dust") && attr.meta.to_token_stream().to_string().contains("crate")
        };
        let stand_in =
            Attributes { prefix: Some(vec![LitStr::new("mistaken", Span::call_site())]), ..Attributes::default() };
        (!attrs.iter().any(names_crate)).then_some(stand_in)
    }
}

/// Reads all `#[dust(..)]` of a struct, as if they were one.
pub(crate) fn parse(attrs: &[Attribute], derive: Derive) -> Result<Attributes> {
    let mut attributes = Attributes::default();
    let mut seen = Vec::new();
    for attr in attrs.iter().filter(|attr| attr.path().is_ident("dust")) {
        attr.parse_nested_meta(|meta| {
            let name = meta.path.get_ident().map(Ident::to_string).unwrap_or_default();
            if !derive.allowed().contains(&name.as_str()) {
                return Err(unknown_attribute(&meta, derive));
            }
            if seen.contains(&name) {
                return Err(meta.error(format!("`{name}` is given twice; keep one")));
            }
            match name.as_str() {
                "prefix" => attributes.prefix = Some(prefix(&meta)?),
                "mode" => attributes.mode = one_of(&meta, &MODES)?,
                "key_case" => attributes.key_case = one_of(&meta, &KEY_CASES)?,
                "required" => attributes.required = required(&meta)?,
                _ => attributes.krate = krate(&meta)?,
            }
            seen.push(name);
            Ok(())
        })?;
    }
    Ok(attributes)
}

fn unknown_attribute(meta: &ParseNestedMeta<'_>, derive: Derive) -> Error {
    let path = &meta.path;
    let name = quote::quote!(#path).to_string().replace(' ', "");
    let allowed = quoted_list(derive.allowed());
    let mut message = format!("unknown attribute `{name}`: `{}` knows {allowed}", derive.name());
    if derive == Derive::Changeset && Derive::Entity.allowed().contains(&name.as_str()) {
        message.push_str("; an entity that lives in Dust derives `DeriveDustEntity` instead");
    }
    meta.error(message)
}

/// `prefix = "links"`, or `prefix("reading", "links")`.
fn prefix(meta: &ParseNestedMeta<'_>) -> Result<Vec<LitStr>> {
    if !meta.input.peek(syn::token::Paren) {
        let literal = string(meta, "write `prefix = \"links\"`, or `prefix(\"reading\", \"links\")`")?;
        return single_segment(literal).map(|segment| vec![segment]);
    }
    let segments = list::<LitStr>(meta, "the segments of a prefix are strings: `prefix(\"reading\", \"links\")`")?;
    if segments.is_empty() {
        return Err(meta.error("a prefix needs at least one segment, as in `prefix(\"reading\", \"links\")`"));
    }
    segments
        .into_iter()
        .map(|segment| {
            if segment.value().is_empty() {
                return Err(Error::new(segment.span(), "a segment of a prefix cannot be empty; leave it out"));
            }
            addressable(segment)
        })
        .collect()
}

/// The error for a name that contains a NUL character.
pub(crate) const WITHOUT_NUL: &str = "a Dust server loses what is under a path with a NUL character: remove `\\0`";

/// Rejects the texts that a Dust server cannot read back: the two that a pattern reads as an escaped wildcard, and
/// those that contain a NUL character.
fn addressable(literal: LitStr) -> Result<LitStr> {
    match literal.value().as_str() {
        value @ ("\\*" | "\\**") => Err(Error::new(
            literal.span(),
            format!("no pattern can name the segment `{value}`, so that its records could not be read; choose another"),
        )),
        value if value.contains('\0') => Err(Error::new(literal.span(), WITHOUT_NUL)),
        _ => Ok(literal),
    }
}

fn single_segment(literal: LitStr) -> Result<LitStr> {
    let value = literal.value();
    if value.is_empty() {
        return Err(Error::new(
            literal.span(),
            "the prefix is empty: name the segment under which all records live, as in `prefix = \"links\"`",
        ));
    }
    if !value.contains('/') {
        return addressable(literal);
    }
    let parts: Vec<_> = value.split('/').filter(|part| !part.is_empty()).map(|part| format!("{part:?}")).collect();
    let suggestion = match parts.as_slice() {
        [] => "prefix = \"links\"".to_owned(),
        [one] => format!("prefix = {one}"),
        several => format!("prefix({})", several.join(", ")),
    };
    Err(Error::new(literal.span(), format!("a prefix of one segment holds no `/`: write `{suggestion}`")))
}

/// `required(note, title)`
fn required(meta: &ParseNestedMeta<'_>) -> Result<Vec<Ident>> {
    const HINT: &str = "list the fields that are required although their type is an `Option`: `required(note)`";
    if !meta.input.peek(syn::token::Paren) {
        return Err(meta.error(HINT));
    }
    let fields = list::<Ident>(meta, HINT)?;
    if fields.is_empty() {
        return Err(meta.error(HINT));
    }
    for (index, field) in fields.iter().enumerate() {
        if fields[..index].contains(field) {
            return Err(Error::new(field.span(), format!("`{field}` is named twice; keep one")));
        }
    }
    Ok(fields)
}

/// `crate = "path::to::dust_orm"`
fn krate(meta: &ParseNestedMeta<'_>) -> Result<Path> {
    const HINT: &str = "write the path of the `dust-orm` crate as a string: `crate = \"my_app::dust_orm\"`";
    let literal = string(meta, HINT)?;
    literal.parse_with(Path::parse_mod_style).map_err(|_| Error::new(literal.span(), HINT))
}

/// Parses a string that is one of a few words, and returns its variant.
fn one_of(meta: &ParseNestedMeta<'_>, choices: &[(&str, &'static str)]) -> Result<&'static str> {
    let name = meta.path.require_ident()?;
    let words: Vec<_> = choices.iter().map(|(word, _)| format!("`{name} = \"{word}\"`")).collect();
    let allowed = words.join(" or ");
    let literal = string(meta, &format!("write {allowed}"))?;
    let value = literal.value();
    match choices.iter().find(|(word, _)| *word == value) {
        Some((_, variant)) => Ok(variant),
        None => Err(Error::new(literal.span(), format!("unknown {name} {value:?}: write {allowed}"))),
    }
}

/// Parses the string of `name = ".."`. Any other form is an error with the hint.
fn string(meta: &ParseNestedMeta<'_>, hint: &str) -> Result<LitStr> {
    if !meta.input.peek(Token![=]) {
        return Err(meta.error(hint));
    }
    meta.value()?.parse().map_err(|error: Error| Error::new(error.span(), hint))
}

/// Parses the items of `name(a, b)`. An item of another kind is an error with the hint.
fn list<T: Parse>(meta: &ParseNestedMeta<'_>, hint: &str) -> Result<Vec<T>> {
    let content;
    parenthesized!(content in meta.input);
    Punctuated::<T, Token![,]>::parse_terminated(&content)
        .map(|items| items.into_iter().collect())
        .map_err(|error| Error::new(error.span(), hint))
}

/// Formats `a`, `b` and `c`, in back-quotes.
pub(crate) fn quoted_list<S: AsRef<str>>(names: &[S]) -> String {
    let quoted: Vec<_> = names.iter().map(|name| format!("`{}`", name.as_ref())).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        Some((last, _)) => last.clone(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entity(attrs: &[Attribute]) -> Result<Attributes> {
        parse(attrs, Derive::Entity)
    }

    fn error(attr: Attribute) -> String {
        entity(&[attr]).map(|_| ()).unwrap_err().to_string()
    }

    #[test]
    fn missing_attribute_has_its_default() {
        let attributes = entity(&[]).unwrap();
        assert_eq!((attributes.mode, attributes.key_case), ("Flat", "Lower"));
        assert!(attributes.prefix.is_none() && attributes.required.is_empty());
        assert_eq!(attributes.krate, parse_quote!(::dust_orm));
    }

    #[test]
    fn several_attributes_read_as_one() {
        let attributes = entity(&[
            parse_quote!(#[dust(prefix("reading", "a/b"), mode = "map")]),
            parse_quote!(#[serde(rename_all = "camelCase")]),
            parse_quote!(#[dust(key_case = "any", required(note, r#type,), crate = "crate::dust")]),
        ])
        .unwrap();
        let prefix: Vec<_> = attributes.prefix.unwrap().iter().map(LitStr::value).collect();
        assert_eq!(prefix, ["reading", "a/b"]);
        assert_eq!((attributes.mode, attributes.key_case), ("Map", "Any"));
        assert_eq!(attributes.required.iter().map(Ident::to_string).collect::<Vec<_>>(), ["note", "r#type"]);
        assert_eq!(attributes.krate, parse_quote!(crate::dust));
    }

    #[test]
    fn a_slash_in_a_single_segment_names_the_way_out() {
        assert!(error(parse_quote!(#[dust(prefix = "/a//b/")])).ends_with("write `prefix(\"a\", \"b\")`"));
        assert!(error(parse_quote!(#[dust(prefix = "a/")])).ends_with("write `prefix = \"a\"`"));
        assert!(error(parse_quote!(#[dust(prefix = "/")])).ends_with("write `prefix = \"links\"`"));
    }

    #[test]
    fn only_the_first_mistake_is_reported() {
        let error = entity(&[parse_quote!(#[dust(mode = "tree", prefx = "a", key_case = 1)])]).map(|_| ()).unwrap_err();
        assert_eq!(error.into_iter().count(), 1);
    }

    #[test]
    fn a_path_is_no_attribute_name() {
        assert!(error(parse_quote!(#[dust(a::prefix = "links")])).starts_with("unknown attribute `a::prefix`"));
    }

    #[test]
    fn changeset_refuses_attributes_of_entities() {
        let attr: Attribute = parse_quote!(#[dust(mode = "map")]);
        let error = parse(&[attr], Derive::Changeset).map(|_| ()).unwrap_err().to_string();
        assert!(
            error.contains("knows `required` and `crate`") && error.contains("`DeriveDustEntity` instead"),
            "{error}"
        );
        assert!(parse(&[parse_quote!(#[dust(required(note))])], Derive::Changeset).is_ok());
    }

    #[test]
    fn lists_read_as_english() {
        assert_eq!(quoted_list::<&str>(&[]), "");
        assert_eq!(quoted_list(&["a"]), "`a`");
        assert_eq!(quoted_list(&["a", "b", "c"]), "`a`, `b` and `c`");
    }
}
