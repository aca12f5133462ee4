//! Derive macros of `dust-orm`. Use them through `dust_orm::entity::prelude`, where they are documented.
//!
//! Each derive reads the struct (`model`), with its attributes (`attributes`, `serde_attributes`), refuses what
//! cannot work (`check`) and writes the impls (`expand`). The first mistake is the only error, and nothing else is
//! emitted beside it, so the compiler has nothing to add.

mod attributes;
mod case;
mod check;
mod expand;
mod model;
mod serde_attributes;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

use attributes::Derive;

/// Makes a SeaORM entity a Dust entity: derive it on `Model`, beside `DeriveEntityModel`.
#[proc_macro_derive(DeriveDustEntity, attributes(dust))]
pub fn derive_dust_entity(input: TokenStream) -> TokenStream {
    derive(&parse_macro_input!(input as DeriveInput), Derive::Entity)
}

/// Gives a SeaORM entity that lives in SQL only what changesets need: derive it on `Model`, beside `DeriveEntityModel`.
#[proc_macro_derive(DeriveChangeset, attributes(dust))]
pub fn derive_changeset(input: TokenStream) -> TokenStream {
    derive(&parse_macro_input!(input as DeriveInput), Derive::Changeset)
}

fn derive(input: &DeriveInput, derive: Derive) -> TokenStream {
    // `#[sea_orm::model]` copies every derive and attribute of `Model` to its twin with the relations.
    if input.ident == "ModelEx" {
        return TokenStream::new();
    }
    expand(input, derive).unwrap_or_else(syn::Error::into_compile_error).into()
}

fn expand(input: &DeriveInput, derive: Derive) -> syn::Result<proc_macro2::TokenStream> {
    let attributes = attributes::parse(&input.attrs, derive)?;
    let mut model = model::parse(input, derive)?;
    model.require(&attributes.required)?;
    if derive == Derive::Changeset {
        return Ok(expand::in_scope(&attributes.krate, &[expand::fields(&model)]));
    }
    let prefix = check::prefix(&attributes, input)?;
    let key = check::entity(&model)?;
    let impls = [expand::fields(&model), expand::entity(&attributes, prefix, key)];
    Ok(expand::in_scope(&attributes.krate, &impls))
}
