//! The same verbs over HTTP.
//!
//! `cargo run -p http-tour` starts an emulator in this process and uses it. With `DUST_STORE` and `DUST_TOKEN` in the
//! environment (and `DUST_BASE_URL` for another server than the hosted one) it uses that server, below the prefix
//! `http-tour`, and removes its records.

mod setting;

use dust_emulator::{Emulator, Fault};
use dust_orm::entity::prelude::*;
use dust_orm::prelude::*;
use futures_util::TryStreamExt;
use serde_json::json;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    if std::env::var_os("DUST_STORE").is_some() {
        let repo = DustRepo::from_env()?;
        tour(&repo).await?;
        return Ok(());
    }
    let emulator = Emulator::start().await?;
    println!("An emulator listens on {}", emulator.url());
    let config =
        DustConfig::builder().base_url(emulator.url()).store(emulator.store()).token(emulator.token()).build()?;
    let repo = DustRepo::connect(config)?;
    tour(&repo).await?;
    faults(&repo, &emulator).await?;
    emulator.stop().await;
    Ok(())
}

/// Shows the verbs that every server supports.
async fn tour(repo: &DustRepo) -> Result<(), DustErr> {
    repo.delete_all::<setting::Entity>().await?;

    title("A changeset, written as one request");
    let params = json!({"name": "dark-mode", "enabled": true, "percentage": "25", "options": {"contrast": "high"}});
    show(&repo.insert(setting::create(params)).await?);
    let error = repo.insert(setting::create(json!({"name": "Beta", "percentage": 101}))).await.unwrap_err();
    println!("  refused before anything is sent: {error}");

    title("Compare-and-swap of a whole record");
    if let Some(seen) = repo.find_versioned::<setting::Entity>("dark-mode").await? {
        let more = setting::edit(seen.model.clone(), json!({"percentage": 50}));
        show(&repo.update(more).if_match(&seen.revision).await?);
        let late = setting::edit(seen.model, json!({"percentage": 10}));
        println!("  {}", repo.update(late).if_match(&seen.revision).await.unwrap_err());
    }

    title("Insert or fail");
    let again = json!({"name": "dark-mode", "enabled": false, "percentage": 0, "options": {}});
    println!("  {}", repo.insert(setting::create(again)).if_absent().await.unwrap_err());

    title("An atomic batch, then every record, page by page");
    let new = |name: &str, percentage: u8| setting::ActiveModel {
        name: Set(name.to_owned()),
        enabled: Set(percentage > 0),
        percentage: Set(percentage),
        options: Set(json!({})),
    };
    let written =
        repo.batch_write([BatchEntry::insert(new("search", 100)), BatchEntry::insert(new("export", 0))]).await?;
    println!("  {} ops, the last at {:?}", written.ops, written.store_seq);
    let mut settings = std::pin::pin!(repo.stream::<setting::Entity>());
    while let Some(setting) = settings.try_next().await? {
        show(&setting);
    }

    title("Clean up");
    println!("  done by op {}", repo.delete_all::<setting::Entity>().await?.store_seq);
    Ok(())
}

/// Shows the effect of server failures, which the emulator injects.
async fn faults(repo: &DustRepo, emulator: &Emulator) -> Result<(), DustErr> {
    title("A read is retried after two failures of the server");
    emulator.faults().add(Fault::status(503).times(2));
    println!("  exists: {}, after {} requests", repo.exists::<setting::Entity>("search").await?, requests(emulator));

    title("A write whose answer is lost is never sent twice");
    emulator.faults().add(Fault::close().applied().times(1));
    let error = repo.delete_by_id::<setting::Entity>("search").await.unwrap_err();
    println!("  {error}");
    assert_eq!(error.kind(), ErrKind::Timeout);
    Ok(())
}

fn requests(emulator: &Emulator) -> usize {
    emulator.requests().iter().rev().take_while(|request| request.method == "GET").count()
}

fn title(text: &str) {
    println!("\n{text}");
}

fn show(setting: &setting::Model) {
    let setting::Model { name, enabled, percentage, options } = setting;
    println!("  {name:<10} {} for {percentage} %, {options}", if *enabled { "on " } else { "off" });
}
