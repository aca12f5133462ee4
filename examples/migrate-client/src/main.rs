//! `cargo run -p migrate-client`: runs both programs, each on an emulator of its own, and compares their stores
//! afterwards.

use dust_emulator::Emulator;
use migrate_client::{Server, after, before};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (old, new) = (Emulator::start().await?, Emulator::start().await?);

    let output_before =
        before::run(&Server::from(&old)).await.map_err(|(kind, message)| format!("{kind}: {message}"))?;
    println!("Before, in {}", requests(&old));
    output_before.iter().for_each(|line| println!("  {line}"));

    let output_after = after::run(&Server::from(&new)).await?;
    println!("\nAfter, in {}", requests(&new));
    output_after.iter().for_each(|line| println!("  {line}"));

    println!("\nBoth print the same: {}", output_before == output_after);
    let purged = after::purge(&after::connect(&Server::from(&old))?).await?;
    println!("Softly deleted before, and permanently now: {purged}");
    println!("Both stores hold the same: {}", old.export(&old.store())? == new.export(&new.store())?);
    Ok(())
}

fn requests(emulator: &Emulator) -> String {
    let requests = emulator.requests();
    let writes = requests.iter().filter(|request| request.method != "GET").count();
    format!("{} requests, {writes} of them writes", requests.len())
}
