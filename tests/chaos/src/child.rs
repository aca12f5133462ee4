//! A child process that is killed at a random moment: a test of the same binary, started as a process.
//!
//! An environment variable has the child's task. The child prints a line for each completed step; the parent kills it
//! (`SIGKILL`) and checks its files.

use std::io::{self, BufRead, BufReader, Write as _};
use std::process::{Command, Stdio};

/// The prefix of a line of the child, in contrast to lines of the test harness.
const MARK: &str = "> ";

/// A test of this binary that runs as a child process.
#[derive(Debug)]
pub struct Child {
    process: std::process::Child,
    said: BufReader<std::process::ChildStdout>,
}

impl Child {
    /// Starts the test of this name, with its task in an environment variable.
    pub fn start(test: &str, variable: &str, value: &str) -> io::Result<Child> {
        let mut process = Command::new(std::env::current_exe()?)
            .args(["--exact", test, "--nocapture", "--test-threads=1"])
            .env(variable, value)
            .stdout(Stdio::piped())
            .spawn()?;
        let said = process.stdout.take().ok_or_else(|| io::Error::other("the child has no output"))?;
        Ok(Child { process, said: BufReader::new(said) })
    }

    /// Returns the next line. Fails if the child ends by itself, as only a kill ends it.
    pub fn line(&mut self) -> io::Result<String> {
        self.next_line()?.ok_or_else(|| io::Error::other("the child ended by itself"))
    }

    /// Kills it, and returns the lines that it printed before its end.
    pub fn kill(mut self) -> io::Result<Vec<String>> {
        self.process.kill()?;
        let mut rest = Vec::new();
        while let Some(line) = self.next_line()? {
            rest.push(line);
        }
        if self.process.wait()?.success() {
            return Err(io::Error::other("the child had ended by itself"));
        }
        Ok(rest)
    }

    fn next_line(&mut self) -> io::Result<Option<String>> {
        loop {
            let mut line = String::new();
            self.said.read_line(&mut line)?;
            // An incomplete line does not count.
            let Some(whole) = line.strip_suffix('\n') else { return Ok(None) };
            if let Some(said) = whole.strip_prefix(MARK) {
                return Ok(Some(said.to_owned()));
            }
        }
    }
}

/// Prints a line for the parent process.
pub fn say(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    // The harness may have printed an incomplete line.
    out.write_all(format!("\n{MARK}{line}\n").as_bytes())?;
    out.flush()
}

/// Number of kills: `DUST_TEST_KILLS`, otherwise `usually`.
pub fn kills(usually: u64) -> u64 {
    std::env::var("DUST_TEST_KILLS").ok().and_then(|count| count.parse().ok()).unwrap_or(usually)
}
