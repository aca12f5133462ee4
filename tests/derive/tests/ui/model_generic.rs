use dust_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveDustEntity)]
#[dust(prefix = "links")]
pub struct Model<T> {
    pub slug: String,
    pub title: T,
}

fn main() {}
