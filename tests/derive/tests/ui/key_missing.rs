use dust_orm::entity::prelude::*;

// SeaORM's own derive is left out: it has several errors of its own for this mistake.
#[derive(DeriveDustEntity)]
#[dust(prefix = "links")]
pub struct Model {
    pub slug: String,
    pub title: String,
}

fn main() {}
