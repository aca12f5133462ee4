//! Derive macros of `dust-orm`. Use them through `dust_orm::entity::prelude`, where they are documented.
//!
//! Each derive reads the struct (`model`), with its attributes (`attributes`, `serde_attributes`), rejects mistakes
//! (`check`) and writes the impls (`expand`). Only the first mistake is reported. If it is in `#[dust(..)]`, the impls
//! are emitted all the same, so that code that uses them causes no further errors.

mod attributes;
mod case;
mod check;
mod expand;
mod model;
mod serde_attributes;

use proc_macro::TokenStream;
use proc_macro2::TokenStream as TokenStream2;
use syn::{DeriveInput, parse_macro_input};

use attributes::{Attributes, Derive};

/// Makes a SeaORM entity a Dust entity: derive it on `Model`, beside `DeriveEntityModel`.
#[proc_macro_derive(DeriveDustEntity, attributes(dust))]
pub fn derive_dust_entity(input: TokenStream) -> TokenStream {
    derive(&parse_macro_input!(input as DeriveInput), Derive::Entity)
}

/// Implements only the traits for changesets on a SeaORM entity in SQL: derive it on `Model`, beside
/// `DeriveEntityModel`.
#[proc_macro_derive(DeriveChangeset, attributes(dust))]
pub fn derive_changeset(input: TokenStream) -> TokenStream {
    derive(&parse_macro_input!(input as DeriveInput), Derive::Changeset)
}

fn derive(input: &DeriveInput, derive: Derive) -> TokenStream {
    // `#[sea_orm::model]` copies every derive and attribute of `Model` to its twin with the relations.
    if input.ident == "ModelEx" {
        return TokenStream::new();
    }
    expand(input, derive).unwrap_or_else(|mistake| refuse(input, derive, &mistake)).into()
}

/// The mistake, and the impls that there would be without its attributes: code that uses the entity is correct, and
/// must not cause further errors. A mistake in a field yields no impls.
fn refuse(input: &DeriveInput, derive: Derive, mistake: &syn::Error) -> TokenStream2 {
    let attributes = Attributes::in_place_of(&input.attrs);
    let impls = attributes.and_then(|attributes| expand_with(&attributes, input, derive).ok());
    let mistake = mistake.to_compile_error();
    quote::quote!(#mistake #impls)
}

fn expand(input: &DeriveInput, derive: Derive) -> syn::Result<TokenStream2> {
    expand_with(&attributes::parse(&input.attrs, derive)?, input, derive)
}

fn expand_with(attributes: &Attributes, input: &DeriveInput, derive: Derive) -> syn::Result<TokenStream2> {
    let mut model = model::parse(input, derive)?;
    model.require(&attributes.required)?;
    if derive == Derive::Changeset {
        return Ok(expand::in_scope(&attributes.krate, &[expand::fields(&model), expand::required_columns()]));
    }
    let prefix = check::prefix(attributes, input)?;
    let keys = check::entity(&model)?;
    let impls = [expand::fields(&model), expand::entity(attributes, prefix, &keys)];
    Ok(expand::in_scope(&attributes.krate, &impls))
}
