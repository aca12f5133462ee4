//! The server: the emulator with its store in a file, in a process of its own, so that it can be killed.

use dust_emulator::Emulator;
use tokio::io::{AsyncReadExt, stdin};

use crate::Failure;

pub const STORE: &str = "acme/notes";
/// Both processes, and the server after it has started again, have to know it.
pub const TOKEN: &str = "dust_tok_realtime";

pub async fn run(directory: &str, port: u16) -> Result<(), Failure> {
    let emulator = Emulator::builder().data_dir(directory).port(port).store(STORE).secret(TOKEN).start().await?;
    println!("listens on {}", emulator.url());
    // Until the input ends, or it is killed.
    stdin().read_to_end(&mut Vec::new()).await?;
    emulator.stop().await;
    Ok(())
}
