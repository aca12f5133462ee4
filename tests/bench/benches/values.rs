//! The record codec and changesets, without a store: `cargo bench -p bench --bench values`.

#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

mod account;

use divan::{Bencher, black_box};
use dust_orm::__private::codec;
use dust_orm::changeset::Number;
use dust_orm::entity::prelude::*;
use dust_orm::protocol::{Path, RawJson};
use dust_orm::tests_cfg::link;
use serde_json::json;

fn main() {
    divan::main();
}

fn model() -> link::Model {
    link::Model {
        slug: "page-04242".to_owned(),
        title: "The title of a page".to_owned(),
        url: "https://example.com/pages/4242".to_owned(),
        note: Some("a note of ordinary length".to_owned()),
    }
}

#[divan::bench]
fn encode_one_record(bencher: Bencher) {
    let active = model().into_active_model();
    bencher.bench_local(|| codec::encode::<link::Entity>(black_box(&active)).unwrap());
}

#[divan::bench]
fn decode_one_record(bencher: Bencher) {
    let path = Path::parse("links/page-04242").unwrap();
    let model = model();
    let leaves = [("note", json!(model.note)), ("title", json!(model.title)), ("url", json!(model.url))]
        .map(|(name, value)| (path.child(name).unwrap(), RawJson::from(value)));
    let stored = codec::stored(path, leaves);
    bencher.bench_local(|| codec::read::<link::Entity>(black_box(&stored)).unwrap());
}

fn params() -> serde_json::Value {
    json!({
        "slug": "ada", "name": "Ada Lovelace", "email": "ada@example.com", "role": "admin",
        "age": 36, "score": 99.5, "active": true, "bio": "wrote the first program"
    })
}

/// Eight rules on eight fields that have been cast.
#[divan::bench]
fn validate_eight_fields(bencher: Bencher) {
    let params = params();
    bencher.with_inputs(|| account::cast(&params)).bench_local_values(|changeset| validate(changeset).is_valid());
}

/// The same with the cast before and the ActiveModel after it.
#[divan::bench]
fn cast_validate_and_apply_eight_fields(bencher: Bencher) {
    let params = params();
    bencher.bench_local(|| validate(account::cast(black_box(&params))).apply().unwrap());
}

fn validate(changeset: Changeset<account::ActiveModel>) -> Changeset<account::ActiveModel> {
    use account::Column;
    changeset
        .validate_required([Column::Slug, Column::Name, Column::Email, Column::Role])
        .validate_slug()
        .validate_length(Column::Name, 1..=200)
        .validate_length(Column::Bio, ..=1000)
        .validate_length(Column::Email, 3..=100)
        .validate_inclusion(Column::Role, ["admin", "member"])
        .validate_number(Column::Age, Number::greater_than_or_equal_to(0))
        .validate_number(Column::Score, 0.0..=100.0)
}
