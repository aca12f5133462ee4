use dust_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveDustEntity)]
#[dust(prefix = "links")]
pub struct Model<'a> {
    pub slug: String,
    pub title: &'a str,
}

fn main() {}
