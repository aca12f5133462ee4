//! A child process that is told lines, and says lines.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use crate::Failure;

/// How long anything may take that is certain to come.
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

    /// Tells it something.
    pub async fn hear(&mut self, line: &str) -> Result<(), Failure> {
        Ok(self.input.write_all(format!("{line}\n").as_bytes()).await?)
    }

    /// Waits until it says something that begins like this, shows all that it says until then, and answers the rest.
    pub async fn says(&mut self, beginning: &str) -> Result<String, Failure> {
        loop {
            let line = timeout(PATIENCE, self.lines.next_line()).await;
            let line = line.map_err(|_| format!("{} does not say `{beginning}`", self.name))??;
            let line = line.ok_or_else(|| format!("{} has ended without saying `{beginning}`", self.name))?;
            println!("  {:6} {line}", self.name);
            if let Some(rest) = line.strip_prefix(beginning) {
                return Ok(rest.to_owned());
            }
        }
    }

    /// Kills it, with no chance to put anything in order.
    pub async fn kill(mut self) -> Result<(), Failure> {
        Ok(self.child.kill().await?)
    }

    /// Ends its input, and waits until it has ended, too.
    pub async fn end(mut self) -> Result<(), Failure> {
        drop(self.input);
        let status = timeout(PATIENCE, self.child.wait()).await??;
        if status.success() { Ok(()) } else { Err(format!("{} has ended with {status}", self.name).into()) }
    }
}
