//! The program on dust-orm.

pub mod link;
pub mod old_link;

use dust_orm::prelude::*;
use sea_orm::{IntoActiveModel, Set};
use serde_json::json;

use crate::Server;

/// A repo on a server. A program with its settings in the environment calls `DustRepo::from_env()`.
pub fn connect(server: &Server) -> Result<DustRepo, DustErr> {
    DustRepo::connect(DustConfig::builder().base_url(&server.url).store(&server.store).token(&server.token).build()?)
}

/// Runs the program, and returns the lines that it prints.
pub async fn run(server: &Server) -> Result<Vec<String>, DustErr> {
    let dust = connect(server)?;
    let mut output = Vec::new();

    let all = [
        json!({"slug": "dust", "title": "Dust", "url": "https://dustlayer.io"}),
        json!({"slug": "rust", "title": "Rust", "url": "https://www.rust-lang.org", "note": "1.95"}),
        json!({"slug": "sea-orm", "title": "SeaORM", "url": "https://www.sea-ql.org/SeaORM"}),
    ];
    let imported = dust.insert_many(all.map(link::create)).await?;
    output.push(format!("imported {}", imported.len()));

    let params = json!({"slug": "bad", "title": "", "url": "https://example.com"});
    match dust.insert(link::create(params)).await {
        Err(DustErr::Invalid { errors, .. }) => output.push(format!("refused: {errors}")),
        other => drop(other?),
    }

    let rust = dust.get::<link::Entity>("rust").await?;
    dust.update(link::edit(rust, json!({"title": "The Rust language", "note": null}))).await?;
    output.push("edited rust".to_owned());

    let seen = dust.get_versioned::<link::Entity>("dust").await?;
    let title = |title: &str| {
        let mut link = seen.model.clone().into_active_model();
        link.title = Set(title.to_owned());
        link
    };
    dust.update(title("Dust, a store")).if_match(&seen.revision).await?;
    match dust.update(title("Dust, reactive")).if_match(&seen.revision).await {
        Err(error) if error.kind() == ErrKind::Conflict => output.push("dust: another editor was first".to_owned()),
        other => drop(other?),
    }

    dust.delete_by_id::<link::Entity>("sea-orm").await?;
    match dust.get::<link::Entity>("sea-orm").await {
        Err(error) if error.kind() == ErrKind::NotFound => output.push("sea-orm is gone".to_owned()),
        other => drop(other?),
    }

    for link in dust.all::<link::Entity>().await? {
        output.push(format!("{}: {} <{}>", link.slug, link.title, link.url));
    }
    Ok(output)
}

/// Deletes the links that the old program has deleted softly, and returns their number. Run it once, when the last old
/// program has stopped; until then the new program shows these links.
pub async fn purge(dust: &DustRepo) -> Result<usize, DustErr> {
    let mut links = dust.all::<old_link::Entity>().await?;
    links.retain(|link| link.deleted_at.is_some());
    for some in links.chunks(1000) {
        let deletes = some.iter().map(|link| BatchEntry::delete_by_id::<old_link::Entity>(&link.slug));
        dust.batch_write(deletes).await?;
    }
    Ok(links.len())
}
