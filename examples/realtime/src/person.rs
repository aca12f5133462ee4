//! A process with a mirror of the store: it runs the commands of its input, and prints the events.

use std::time::Duration;

use dust_orm::entity::prelude::*;
use dust_orm::realtime::{StoreState, SyncClient};
use dust_orm::{DustRepo, Event};
use futures_util::StreamExt;
use serde_json::json;
use tokio::io::{AsyncBufReadExt, BufReader, stdin};

use crate::server::{STORE, TOKEN};
use crate::{Failure, note};

pub async fn run(name: &str, url: &str) -> Result<(), Failure> {
    let client = SyncClient::builder().base_url(url).store(STORE).token(TOKEN).start().await?;
    // Without `wait_for_connection` a write fails at once while the server is unreachable.
    let repo = DustRepo::with_client(&client, STORE)?.wait_for_connection(Duration::from_secs(30));
    let mut changes = repo.subscribe::<note::Entity>().with_current().await?;
    let mut states = std::pin::pin!(client.states(STORE)?);
    let mut orders = BufReader::new(stdin()).lines();
    let (mut is_live, mut written) = (false, 0);
    loop {
        tokio::select! {
            Some(state) = states.next() => match state {
                StoreState::Live { .. } if !is_live => {
                    is_live = true;
                    println!("live");
                }
                StoreState::Offline if is_live => {
                    is_live = false;
                    println!("offline");
                }
                _ => {}
            },
            Some(event) = changes.next() => match event {
                Event::Upserted(note) if note.author != name => println!("sees {}: {}", note.author, note.text),
                Event::Upserted(_) | Event::Deleted(_) => {}
                Event::Resync => println!("reads everything again"),
            },
            order = orders.next_line() => match order?.as_deref() {
                None => break,
                Some("list") => println!("has {}", json!(repo.all::<note::Entity>().await?)),
                Some(text) => {
                    written += 1;
                    let slug = format!("{name}-{written}");
                    let note = note::Model { slug, author: name.to_owned(), text: text.to_owned() };
                    // A task of its own, since it may wait for a connection.
                    tokio::spawn(write(repo.clone(), note));
                }
            },
        }
    }
    client.shutdown().await;
    Ok(())
}

async fn write(repo: DustRepo, note: note::Model) {
    let text = note.text.clone();
    match repo.insert(note.into_active_model()).await {
        Ok(_) => println!("wrote {text}"),
        Err(error) => println!("could not write {text}: {error}"),
    }
}
