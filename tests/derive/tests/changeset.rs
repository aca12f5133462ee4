//! Changesets over the field types of other crates: parameters of a form are read as serde reads them.

#![allow(unreachable_pub, reason = "entities are written as in an application")]

use dust_orm::Changeset;
use dust_orm::changeset::Number;
use serde_json::{Value, json};

mod event {
    use dust_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel, DeriveDustEntity, Serialize, Deserialize)]
    #[sea_orm(table_name = "events")]
    #[dust(prefix = "events")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub day: Date,
        pub starts: Option<DateTimeUtc>,
        pub ends: Option<TimeDateTimeWithTimeZone>,
        pub price: Option<Decimal>,
        pub seats: Vec<i32>,
        pub labels: Option<Vec<String>>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

use event::{ActiveModel, Column};

fn cast(params: Value) -> Changeset<ActiveModel> {
    use Column::*;
    Changeset::cast(ActiveModel::default(), params, [Id, Day, Starts, Ends, Price, Seats, Labels])
}

#[test]
fn cast_reads_form_parameters() {
    let form = json!({
        "id": "67e55044-10b1-426f-9247-bb680e5fe0c8",
        "day": "2026-11-22",
        "starts": "2026-11-22T18:30:00Z",
        "ends": "2026-11-22 20:30:00.0 +00:00:00",
        "price": "12.50",
        "seats": ["1", "", "2"],
        "labels": [""],
    });
    let changeset = cast(form.clone());
    assert!(changeset.is_valid(), "{}", changeset.errors());
    let model = changeset.apply().unwrap();
    assert_eq!(model.seats.as_ref(), &[1, 2]);
    assert_eq!(model.labels.as_ref(), &Some(Vec::new()));
    assert_eq!(model.price.as_ref().unwrap().to_string(), "12.50");
    assert!(
        Changeset::cast(model, form, [Column::Id, Column::Starts, Column::Price, Column::Seats]).changes().is_empty()
    );
    assert!(cast(json!({"starts": "", "ends": " ", "price": null, "labels": ""})).is_valid());
}

#[test]
fn cast_of_wrong_text_is_invalid() {
    let params = json!({
        "id": "67e5", "day": "2026-02-30", "starts": "tomorrow", "ends": 7, "price": "12,50", "seats": ["one"],
        "labels": "a",
    });
    let errors = cast(params.clone()).apply().unwrap_err();
    let fields: Vec<&str> = errors.iter().map(|(field, _)| field).collect();
    assert_eq!(fields, ["id", "day", "starts", "ends", "price", "seats", "labels"]);
    assert!(errors.iter().all(|(_, errors)| errors[0].code() == "cast"));
}

#[test]
fn decimals_keep_exact_digits() {
    let priced = |number: Number| cast(json!({"price": "0.30"})).validate_number(Column::Price, number).is_valid();
    assert!(priced(Number::equal_to(0.3)) && priced((0..1).into()) && !priced(Number::less_than(0.3)));
    let same = cast(json!({"price": "0.30"})).validate_inclusion(Column::Price, ["0.3", "0.5"]);
    assert!(same.is_valid(), "{}", same.errors());
    let stored = cast(json!({"price": "0.30"})).apply().unwrap();
    let again = Changeset::cast(stored, json!({"price": 0.3}), [Column::Price]);
    assert!(again.is_valid() && again.changes().is_empty());
}

mod opening {
    use dust_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel, DeriveDustEntity, Serialize, Deserialize)]
    #[sea_orm(table_name = "openings")]
    #[dust(prefix = "openings")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        pub day: Option<Date>,
        pub clock: Option<Time>,
        pub local: Option<DateTime>,
        pub utc: Option<DateTimeUtc>,
        pub zoned: Option<DateTimeWithTimeZone>,
        pub time_day: Option<TimeDate>,
        pub time_clock: Option<TimeTime>,
        pub time_local: Option<TimeDateTime>,
        pub time_zoned: Option<TimeDateTimeWithTimeZone>,
        #[serde(default, with = "time::serde::rfc3339::option")]
        pub time_rfc: Option<TimeDateTimeWithTimeZone>,
        pub text: Option<String>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

fn open(params: Value) -> Changeset<opening::ActiveModel> {
    use opening::Column::*;
    let permitted = [Day, Clock, Local, Utc, Zoned, TimeDay, TimeClock, TimeLocal, TimeZoned, TimeRfc, Text];
    Changeset::cast(opening::ActiveModel::default(), params, permitted)
}

#[test]
fn cast_reads_date_and_time_inputs() {
    for (fields, input, expected) in [
        (&["day", "time_day"][..], "2026-11-22", &["2026-11-22", "2026-11-22"][..]),
        (&["clock", "time_clock"], "20:30", &["20:30:00", "20:30:00.0"]),
        (&["clock", "time_clock"], "20:30:15", &["20:30:15", "20:30:15.0"]),
        (&["clock", "time_clock"], "20:30:15.25", &["20:30:15.250", "20:30:15.25"]),
        (&["local", "time_local"], "2026-11-22T20:30", &["2026-11-22T20:30:00", "2026-11-22 20:30:00.0"]),
        (&["local", "time_local"], "2026-11-22T20:30:15", &["2026-11-22T20:30:15", "2026-11-22 20:30:15.0"]),
        (&["local", "time_local"], "2026-11-22 20:30", &["2026-11-22T20:30:00", "2026-11-22 20:30:00.0"]),
        (
            &["utc", "zoned", "time_zoned", "time_rfc"],
            "2026-11-22T20:30",
            &[
                "2026-11-22T20:30:00Z",
                "2026-11-22T20:30:00Z",
                "2026-11-22 20:30:00.0 +00:00:00",
                "2026-11-22T20:30:00Z",
            ],
        ),
        (
            &["zoned", "time_zoned", "time_rfc"],
            "2026-11-22T20:30:15-02:30",
            &["2026-11-22T20:30:15-02:30", "2026-11-22 20:30:15.0 -02:30:00", "2026-11-22T20:30:15-02:30"],
        ),
        (
            &["utc", "time_zoned", "time_rfc"],
            "2026-11-22T20:30:15.5Z",
            &["2026-11-22T20:30:15.500Z", "2026-11-22 20:30:15.5 +00:00:00", "2026-11-22T20:30:15.5Z"],
        ),
        (&["text"], "20:30", &["20:30"]),
    ] {
        for (field, expected) in fields.iter().zip(expected) {
            let changeset = open(json!({*field: input}));
            assert!(changeset.is_valid(), "{field} {input}: {}", changeset.errors());
            assert_eq!(Value::Object(changeset.changes()), json!({*field: expected}));
            let pairs = vec![((*field).to_owned(), input.to_owned())];
            assert_eq!(json!(open(json!(pairs)).changes()), json!({*field: expected}));
        }
    }
}

#[test]
fn cast_of_wrong_time_is_invalid() {
    for (field, input) in [
        ("clock", "24:30"),
        ("clock", "2026-11-22T20:30"),
        ("day", "2026-11-31"),
        ("local", "2026-11-22T20:60"),
        ("local", "2026-11-22T20:30Z"),
        ("time_local", "2026-11-22T20:30+01:00"),
        ("time_clock", "8:30"),
        ("utc", "2026-11-22"),
        ("time_zoned", "2026-11-22T20:30+99:00"),
        // An offset of 19 minutes and 32 seconds has no text form.
        ("zoned", "2020-01-01T00:19:32+00:19:32"),
    ] {
        assert_eq!(json!(open(json!({field: input})).errors()), json!({field: ["is invalid"]}), "{input}");
    }
    assert_eq!(
        json!(open(json!({"clock": "", "time_local": " "})).changes()),
        json!({"clock": null, "time_local": null})
    );
}
