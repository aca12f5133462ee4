//! The emulator in a process of its own, which can be killed.

use std::path::Path;
use std::process::Stdio;

use dust_emulator::Emulator;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, Command};

/// The argument that makes the program an emulator.
pub const ARGUMENT: &str = "--emulate";
/// The store and the token of the emulator.
pub(super) const STORE: &str = "acme/main";
pub(super) const TOKEN: &str = "secret";
const READY: &str = "listening on ";

/// Serves the stores of a directory until the process is killed, or its parent has ended.
pub async fn serve(data: &Path) -> Result<(), String> {
    let emulator = Emulator::builder().data_dir(data).store(STORE).secret(TOKEN).start().await;
    let emulator = emulator.map_err(|error| error.to_string())?;
    #[allow(clippy::print_stdout, reason = "the parent waits for it")]
    {
        println!("{READY}{}", emulator.address());
    }
    // Its input ends with its parent.
    let mut rest = Vec::new();
    let _ = tokio::io::stdin().read_to_end(&mut rest).await;
    emulator.stop().await;
    Ok(())
}

/// A process with an emulator.
pub(super) struct Server {
    process: Child,
    pub(super) address: std::net::SocketAddr,
}

impl Server {
    /// Starts a process, and waits until it listens.
    pub(super) async fn start(program: &Path, data: &Path) -> Result<Server, String> {
        let failed = |error: &dyn std::fmt::Display| format!("the emulator does not start: {error}");
        let mut process = Command::new(program)
            .arg(ARGUMENT)
            .arg(data)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| failed(&error))?;
        let output = process.stdout.take().ok_or_else(|| failed(&"it has no output"))?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line).await.map_err(|error| failed(&error))?;
        let address = line.trim().strip_prefix(READY).and_then(|address| address.parse().ok());
        let address = address.ok_or_else(|| failed(&format!("it says `{line}`")))?;
        Ok(Server { process, address })
    }

    /// Kills it without a shutdown, and waits until it has ended.
    pub(super) async fn kill(mut self) -> Result<(), String> {
        self.process.kill().await.map_err(|error| format!("the emulator cannot be killed: {error}"))
    }
}
