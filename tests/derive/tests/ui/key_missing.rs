use dust_orm::entity::prelude::*;

// SeaORM's own derive has much to say about this one, so it is left out.
#[derive(DeriveDustEntity)]
#[dust(prefix = "links")]
pub struct Model {
    pub slug: String,
    pub title: String,
}

fn main() {}
