//! Orders are stored in SQL only. `DeriveChangeset` adds the changesets that Dust entities have.

use dust_orm::entity::prelude::*;

const PRICE_CENTS: i64 = 250;
const SHIPPING_CENTS: i64 = 400;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, DeriveChangeset)]
#[sea_orm(table_name = "shop_orders")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i32,
    #[sea_orm(unique)]
    pub reference: String,
    pub email: String,
    pub item: String,
    pub quantity: i32,
    pub total_cents: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// A new order from the parameters of a customer. The shop computes the total, after all other fields are valid.
pub fn create(params: impl Serialize, free_shipping_from: Option<i64>) -> Changeset<ActiveModel> {
    Changeset::cast(ActiveModel::new(), params, [Column::Reference, Column::Email, Column::Item, Column::Quantity])
        .validate_required([Column::Reference, Column::Email, Column::Item, Column::Quantity])
        .validate_email(Column::Email)
        .validate_length(Column::Item, 1..=100)
        .validate_number(Column::Quantity, 1..=100)
        .prepare_changes(move |order| {
            let goods = PRICE_CENTS * order.get_field::<i64>(Column::Quantity).unwrap_or_default();
            let is_free = free_shipping_from.is_some_and(|from| goods >= from);
            order.put_change(Column::TotalCents, if is_free { goods } else { goods + SHIPPING_CENTS })
        })
}
