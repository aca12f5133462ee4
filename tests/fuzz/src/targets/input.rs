//! Input of an application's users: parameters of changesets.

use chaos::dice::Dice;
use dust_orm::entity::prelude::*;
use dust_orm::tests_cfg::{link, page, setting};
use serde_json::Value;

use crate::mutate::mutate_text;
use crate::recordings::Recordings;

const GOOD: [&str; 4] = [
    r#"{"slug":"dust","title":"Dust","url":"https://dustlayer.io","note":null}"#,
    r#"{"slug":"home","hits":17,"tags":["a","b"],"cover":{"_type":"file","hash":"sha256:00","size":1}}"#,
    r#"{"slug":"a-b","title":["Dust"],"url":{"a":1},"note":true,"hits":"12","tags":"a,b"}"#,
    r#"[{"slug":"x","value":"1"},{"slug":null}]"#,
];

pub(super) fn run(recordings: &Recordings, seed: u64) -> Result<(), String> {
    let dice = &mut Dice::new(seed);
    for _ in 0..20 {
        let (one, other) = (dice.index(GOOD.len()), dice.index(recordings.answers.len()));
        let text = mutate_text(dice, GOOD[one], &recordings.answers[other].body);
        let Ok(params) = serde_json::from_str::<Value>(&text) else { continue };
        let seen = Changeset::<link::ActiveModel>::cast(
            link::ActiveModel::new(),
            params.clone(),
            [link::Column::Slug, link::Column::Title, link::Column::Url, link::Column::Note],
        )
        .validate_required(link::Entity::required_columns())
        .validate_slug()
        .validate_length(link::Column::Title, 1..=200)
        .validate_format(link::Column::Note, &simple()?)
        .validate_email(link::Column::Note)
        .validate_url(link::Column::Url);
        let (is_valid, errors) = (seen.is_valid(), format!("{:?} {}", seen.errors(), seen.errors()));
        if is_valid != seen.apply().is_ok() {
            return Err(format!("valid: {is_valid}, but `apply` differs: {errors}"));
        }
        let seen = Changeset::<page::ActiveModel>::cast(
            page::ActiveModel::new(),
            params.clone(),
            [page::Column::Slug, page::Column::Hits, page::Column::Tags, page::Column::Cover],
        );
        let _ = (seen.changes(), seen.apply().map_err(|errors| errors.to_string()));
        let _ = serde_json::from_value::<setting::Model>(params);
    }
    Ok(())
}

fn simple() -> Result<dust_orm::changeset::Regex, String> {
    dust_orm::changeset::Regex::new("^[a-z ]*$").map_err(|error| error.to_string())
}
