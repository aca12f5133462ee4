//! A child process that reads lines and prints lines.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use crate::Failure;

/// Time limit for an expected line.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Process {
    name: &'static str,
    child: Child,
    input: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Process {
    /// Starts this program with arguments.
    pub fn start(name: &'static str, arguments: &[&str]) -> Result<Process, Failure> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let input = child.stdin.take().ok_or("it has no input")?;
        let output = child.stdout.take().ok_or("it has no output")?;
        Ok(Process { name, child, input, lines: BufReader::new(output).lines() })
    }

    /// Sends a line to its input.
    pub async fn send_line(&mut self, line: &str) -> Result<(), Failure> {
        Ok(self.input.write_all(format!("{line}\n").as_bytes()).await?)
    }

    /// Waits for a line with this beginning, prints all lines up to it, and returns the rest of the line.
    pub async fn expect_line(&mut self, beginning: &str) -> Result<String, Failure> {
        loop {
            let line = timeout(PATIENCE, self.lines.next_line()).await;
            let line = line.map_err(|_| format!("{} does not print `{beginning}`", self.name))??;
            let line = line.ok_or_else(|| format!("{} has ended without printing `{beginning}`", self.name))?;
            println!("  {:6} {line}", self.name);
            if let Some(rest) = line.strip_prefix(beginning) {
                return Ok(rest.to_owned());
            }
        }
    }

    /// Kills it without a shutdown.
    pub async fn kill(mut self) -> Result<(), Failure> {
        Ok(self.child.kill().await?)
    }

    /// Closes its input, and waits until it ends.
    pub async fn end(mut self) -> Result<(), Failure> {
        drop(self.input);
        let status = timeout(PATIENCE, self.child.wait()).await??;
        if status.success() { Ok(()) } else { Err(format!("{} has ended with {status}", self.name).into()) }
    }
}
