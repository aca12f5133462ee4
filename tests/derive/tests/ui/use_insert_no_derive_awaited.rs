use dust_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "links")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub slug: String,
    pub title: String,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

async fn run(repo: dust_orm::DustRepo, active: ActiveModel) -> Result<(), dust_orm::DustErr> {
    repo.insert(active).if_absent().await?;
    Ok(())
}

fn main() {
    let _ = run;
}
