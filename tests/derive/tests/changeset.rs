//! Changesets over the field types of other crates: what a form sends is read as serde reads it.

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
fn reads_what_a_form_sends() {
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
fn refuses_what_is_none() {
    let params = json!({
        "id": "67e5", "day": "2026-02-30", "starts": "tomorrow", "ends": 7, "price": "12,50", "seats": ["one"], "labels": "a",
    });
    let errors = cast(params.clone()).apply().unwrap_err();
    let fields: Vec<&str> = errors.iter().map(|(field, _)| field).collect();
    assert_eq!(fields, ["id", "day", "starts", "ends", "price", "seats", "labels"]);
    assert!(errors.iter().all(|(_, errors)| errors[0].code() == "cast"));
}

#[test]
fn decimals_are_numbers_with_exact_digits() {
    let priced = |number: Number| cast(json!({"price": "0.30"})).validate_number(Column::Price, number).is_valid();
    assert!(priced(Number::equal_to(0.3)) && priced((0..1).into()) && !priced(Number::less_than(0.3)));
    let same = cast(json!({"price": "0.30"})).validate_inclusion(Column::Price, ["0.3", "0.5"]);
    assert!(same.is_valid(), "{}", same.errors());
    let stored = cast(json!({"price": "0.30"})).apply().unwrap();
    let again = Changeset::cast(stored, json!({"price": 0.3}), [Column::Price]);
    assert!(again.is_valid() && again.changes().is_empty());
}
