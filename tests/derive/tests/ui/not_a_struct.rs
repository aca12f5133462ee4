use dust_orm::entity::prelude::*;

#[derive(DeriveDustEntity)]
#[dust(prefix = "links")]
pub enum Model {
    Link { slug: String },
}

fn main() {}
