//! The server: the emulator with its store in a file, in a process of its own, so that it can be killed.

use dust_emulator::Emulator;
use tokio::io::{AsyncReadExt, stdin};

use crate::Failure;

pub const STORE: &str = "acme/notes";
/// The token of both processes and of the server, also after its restart.
pub const TOKEN: &str = "dust_tok_realtime";

pub async fn run(directory: &str, port: u16) -> Result<(), Failure> {
    let emulator = Emulator::builder().data_dir(directory).port(port).store(STORE).secret(TOKEN).start().await?;
    println!("listens on {}", emulator.url());
    // Runs until the input ends, or the process is killed.
    stdin().read_to_end(&mut Vec::new()).await?;
    emulator.stop().await;
    Ok(())
}
