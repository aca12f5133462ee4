//! The main verbs: an entity in Dust, on a store embedded in this process.
//!
//! `cargo run -p quickstart`, or `cargo run -p quickstart -- dev.redb` to keep the store in a file.

mod link;

use dust_orm::entity::prelude::*;
use dust_orm::prelude::*;
use futures_util::TryStreamExt;
use serde_json::json;

#[tokio::main]
async fn main() -> Result<(), DustErr> {
    let repo = match std::env::args().nth(1) {
        Some(file) => DustRepo::open(file)?,
        None => DustRepo::embedded(),
    };
    repo.delete_all::<link::Entity>().await?;

    title("Insert: params are cast and validated, then written as one request");
    let dust = json!({"slug": "dust", "title": "Dust", "url": "https://dustlayer.io", "ignored": true});
    let dust = repo.insert(link::create(dust)).await?;
    show(&dust);
    let rust = json!({"slug": "rust", "title": "Rust", "url": "https://www.rust-lang.org", "note": "1.95"});
    show(&repo.insert(link::create(rust)).await?);

    title("An invalid changeset is refused, nothing is written");
    let params = json!({"slug": "Bad", "title": "", "url": "no url", "note": 7});
    let error = repo.insert(link::create(params)).await.unwrap_err();
    if let Some(errors) = error.errors() {
        println!("  as JSON: {}", json!(errors));
        for (field, errors) in errors.iter() {
            errors.iter().for_each(|error| println!("  {field} {error}"));
        }
    }

    title("List and find");
    for link in repo.all::<link::Entity>().await? {
        show(&link);
    }
    println!("  find_by_id(nobody): {:?}", repo.find_by_id::<link::Entity>("nobody").await?);
    println!("  exists(dust): {}", repo.exists::<link::Entity>("dust").await?);

    title("Compare-and-swap: of two updates of the same state, one conflicts");
    let Some(seen) = repo.find_versioned::<link::Entity>("dust").await? else { return Ok(()) };
    let mut mine = seen.model.clone().into_active_model();
    mine.note = Set(Some("read me".into()));
    let mut theirs = seen.model.clone().into_active_model();
    theirs.note = Set(Some("read me first".into()));
    show(&repo.update(theirs).if_match(&seen.revision).await?);
    println!("  {}", repo.update(mine).if_match(&seen.revision).await.unwrap_err());

    title("Insert or fail");
    println!("  {}", repo.insert(dust.into_active_model()).if_absent().await.unwrap_err());

    title("An atomic batch");
    let edit = link::edit(seen.model, json!({"title": "Dust, a reactive store"}));
    let new = json!({"slug": "sea-orm", "title": "SeaORM", "url": "https://www.sea-ql.org/SeaORM"});
    let written = repo
        .batch_write([
            BatchEntry::insert(link::create(new)),
            BatchEntry::update(edit),
            BatchEntry::delete_by_id::<link::Entity>("rust"),
        ])
        .await?;
    println!("  {} ops in one request; the store is at {}", written.ops, written.store_seq.unwrap_or_default());

    title("Many records, and a stream of them");
    let many = (1..=2500).map(|number| link::ActiveModel {
        slug: Set(format!("page-{number:04}")),
        title: Set(format!("Page {number}")),
        url: Set(format!("https://example.com/{number}")),
        note: Set(None),
    });
    println!("  {} inserted", repo.insert_many(many).await?.len());
    let mut stream = std::pin::pin!(repo.stream::<link::Entity>());
    let mut count = 0;
    while let Some(link) = stream.try_next().await? {
        if count < 2 {
            show(&link);
        }
        count += 1;
    }
    println!("  … {count} in all");

    title("Delete");
    repo.delete_by_id::<link::Entity>("dust").await?;
    println!("  find_by_id(dust): {:?}", repo.find_by_id::<link::Entity>("dust").await?);
    repo.delete_all::<link::Entity>().await?;
    println!("  {} links left", repo.all::<link::Entity>().await?.len());
    Ok(())
}

fn title(text: &str) {
    println!("\n{text}");
}

fn show(link: &link::Model) {
    let note = link.note.as_deref().map(|note| format!(" ({note})")).unwrap_or_default();
    println!("  {:<10} {} <{}>{note}", link.slug, link.title, link.url);
}
