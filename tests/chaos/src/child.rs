//! A process that is killed at a moment that nobody has chosen: a test of the same binary, started as a program of its own.
//!
//! The child is told by a variable what to do; it says what it has done, line by line, and whoever started it kills it
//! (`SIGKILL`) and looks at what it has left behind.

use std::io::{self, BufRead, BufReader, Write as _};
use std::process::{Command, Stdio};

/// What a line begins with that the child has said, and not the harness of the tests.
const MARK: &str = "> ";

/// A test of this binary that runs as a process of its own.
#[derive(Debug)]
pub struct Child {
    process: std::process::Child,
    said: BufReader<std::process::ChildStdout>,
}

impl Child {
    /// Starts the test of this name, with a variable that tells it that it is meant, and what to do.
    pub fn start(test: &str, variable: &str, value: &str) -> io::Result<Child> {
        let mut process = Command::new(std::env::current_exe()?)
            .args(["--exact", test, "--nocapture", "--test-threads=1"])
            .env(variable, value)
            .stdout(Stdio::piped())
            .spawn()?;
        let said = process.stdout.take().ok_or_else(|| io::Error::other("the child has no output"))?;
        Ok(Child { process, said: BufReader::new(said) })
    }

    /// The next line that it says. It is an error if it ends by itself: it only ends by being killed.
    pub fn line(&mut self) -> io::Result<String> {
        self.next_line()?.ok_or_else(|| io::Error::other("the child ended by itself"))
    }

    /// Kills it, and answers what it had still said before it died.
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
            // What was cut in its middle was not said.
            let Some(whole) = line.strip_suffix('\n') else { return Ok(None) };
            if let Some(said) = whole.strip_prefix(MARK) {
                return Ok(Some(said.to_owned()));
            }
        }
    }
}

/// Says a line to whoever has started this process.
pub fn say(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    // The harness may have left a line unfinished.
    out.write_all(format!("\n{MARK}{line}\n").as_bytes())?;
    out.flush()
}

/// How often a process is killed: `DUST_TEST_KILLS`, or so often.
pub fn kills(usually: u64) -> u64 {
    std::env::var("DUST_TEST_KILLS").ok().and_then(|count| count.parse().ok()).unwrap_or(usually)
}
