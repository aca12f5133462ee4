use dust_orm::entity::prelude::*;

#[derive(DeriveDustEntity)]
#[dust(prefix = "links")]
pub struct Model(pub String, pub String);

fn main() {}
