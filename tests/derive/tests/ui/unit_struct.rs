use dust_orm::entity::prelude::*;

#[derive(DeriveChangeset)]
pub struct Model;

fn main() {}
