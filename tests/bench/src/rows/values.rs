//! The record codec and changesets, without a store.

use std::hint::black_box;

use dust_orm::__private::codec;
use dust_orm::changeset::Number;
use dust_orm::entity::prelude::*;
use dust_protocol::{Path, RawJson};
use serde_json::json;

use crate::Result;
use crate::entities::account::{self, Column};
use crate::entities::page::{self, draft, page};
use crate::plan::{Case, Plan};
use crate::table::{Aim, Figure};

const SERDE: &str = "serde_json, the whole model";

pub async fn rows(plan: &mut Plan) -> Result<()> {
    plan.group("values");
    let scale = plan.scale;
    let case =
        |what, with| Case::new(what, with, scale.rounds, scale.calls(20_000)).aims(&[Aim::Most(Figure::Time(1_000.0))]);
    let (model, active) = (page(4242), draft(4242));

    plan.compare(
        case("encode a record", SERDE),
        async |_| {
            black_box(serde_json::to_vec(black_box(&model))?);
            Ok(())
        },
        async |_| {
            black_box(codec::encode::<page::Entity>(black_box(&active))?);
            Ok(())
        },
    )
    .await?;

    let text = serde_json::to_vec(&model)?;
    let path = Path::parse(&format!("pages/{}", model.slug))?;
    let leaves = [
        ("note", json!(model.note)),
        ("title", json!(model.title)),
        ("url", json!(model.url)),
        ("visits", json!(model.visits)),
    ];
    let leaves = leaves.map(|(name, value)| Ok((path.child(name)?, RawJson::from(value))));
    let stored = codec::stored(path, leaves.into_iter().collect::<Result<Vec<_>>>()?);
    plan.compare(
        case("decode a record", SERDE),
        async |_| {
            black_box(serde_json::from_slice::<page::Model>(black_box(&text))?);
            Ok(())
        },
        async |_| {
            black_box(codec::read::<page::Entity>(black_box(&stored))?);
            Ok(())
        },
    )
    .await?;

    let params = json!({
        "slug": "ada", "name": "Ada Lovelace", "email": "ada@example.com", "role": "admin",
        "age": 36, "score": 99.5, "active": true, "bio": "wrote the first program"
    });
    plan.compare(
        case("cast and check eight fields", "serde and checks by hand").aims(&[Aim::Most(Figure::Time(2_000.0))]),
        async |_| {
            let account: account::Model = Deserialize::deserialize(black_box(&params))?;
            if !by_hand(&account).is_empty() {
                return Err("a check is wrong".into());
            }
            black_box(account.into_active_model());
            Ok(())
        },
        async |_| {
            black_box(checked(account::cast(black_box(&params))).apply()?);
            Ok(())
        },
    )
    .await
}

fn checked(changeset: Changeset<account::ActiveModel>) -> Changeset<account::ActiveModel> {
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

/// The errors of an account.
fn by_hand(account: &account::Model) -> Vec<(&'static str, &'static str)> {
    let characters = |text: &str| text.chars().count();
    let is_slug = |text: &str| {
        text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_'))
    };
    let required =
        [("slug", &account.slug), ("name", &account.name), ("email", &account.email), ("role", &account.role)];
    let blank = required.into_iter().filter(|(_, value)| value.trim().is_empty());
    let mut wrong: Vec<_> = blank.map(|(field, _)| (field, "can't be blank")).collect();
    let mut check = |is_right: bool, field, what| {
        if !is_right {
            wrong.push((field, what));
        }
    };
    check(is_slug(&account.slug), "slug", "has invalid format");
    check(characters(&account.name) <= 200, "name", "is too long");
    check(account.bio.as_deref().is_none_or(|bio| characters(bio) <= 1000), "bio", "is too long");
    check((3..=100).contains(&characters(&account.email)), "email", "has the wrong length");
    check(["admin", "member"].contains(&account.role.as_str()), "role", "is invalid");
    check(account.age >= 0, "age", "must be positive");
    check((0.0..=100.0).contains(&account.score), "score", "is out of range");
    wrong
}
