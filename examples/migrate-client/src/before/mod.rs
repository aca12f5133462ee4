//! The program on a client written by hand.

pub mod client;
pub mod repo;
pub mod schema;

use serde_json::json;

use crate::Server;
use client::{Client, Error};
use repo::Links;

/// Runs the program, and returns the lines that it prints.
pub async fn run(server: &Server) -> Result<Vec<String>, Error> {
    let links = Links::new(Client::new(server));
    let mut output = Vec::new();

    let all = [
        json!({"slug": "dust", "title": "Dust", "url": "https://dustlayer.io"}),
        json!({"slug": "rust", "title": "Rust", "url": "https://www.rust-lang.org", "note": "1.95"}),
        json!({"slug": "sea-orm", "title": "SeaORM", "url": "https://www.sea-ql.org/SeaORM"}),
    ];
    for params in &all {
        links.insert(schema::check(params)?).await?;
    }
    output.push(format!("imported {}", all.len()));

    match schema::check(&json!({"slug": "bad", "title": "", "url": "https://example.com"})) {
        Err(("invalid", message)) => output.push(format!("refused: {message}")),
        Err(error) => return Err(error),
        Ok(link) => links.insert(link).await?,
    }

    links.update("rust", &[("title", json!("The Rust language")), ("note", json!(null))]).await?;
    output.push("edited rust".to_owned());

    let seen = links.revision("dust", "title").await?;
    links.update_if("dust", "title", json!("Dust, a store"), seen).await?;
    match links.update_if("dust", "title", json!("Dust, reactive"), seen).await {
        Err(("conflict", _)) => output.push("dust: another editor was first".to_owned()),
        other => other?,
    }

    links.delete("sea-orm").await?;
    match links.get("sea-orm").await {
        Err(("not_found", _)) => output.push("sea-orm is gone".to_owned()),
        other => drop(other?),
    }

    for link in links.all().await? {
        output.push(format!("{}: {} <{}>", link.slug, link.title, link.url));
    }
    Ok(output)
}
