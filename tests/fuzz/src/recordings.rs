//! What a real server said: the recordings in `tests/wire`.

use std::path::Path;

/// An answer over HTTP.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers that were recorded, without those of every answer.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

/// Everything that was recorded.
#[derive(Clone, Debug, Default)]
pub struct Recordings {
    /// Answers over HTTP.
    pub answers: Vec<Answer>,
    /// Frames that a client received.
    pub frames: Vec<String>,
}

impl Recordings {
    /// Reads them.
    pub fn load() -> Result<Recordings, String> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../wire");
        let mut files: Vec<_> = std::fs::read_dir(&folder)
            .map_err(|error| format!("{}: {error}", folder.display()))?
            .filter_map(|entry| entry.ok().map(|entry| entry.path()))
            .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
            .collect();
        // The order decides what a seed means.
        files.sort();
        let mut all = Recordings::default();
        for file in files {
            let text = std::fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
            all.read(&text);
        }
        if all.answers.len() < 300 || all.frames.len() < 300 {
            return Err(format!("only {} answers and {} frames were found", all.answers.len(), all.frames.len()));
        }
        Ok(all)
    }

    fn read(&mut self, text: &str) {
        let mut open = false;
        for line in text.lines() {
            if line.starts_with("$ curl") {
                open = true;
                self.answers.push(Answer::default());
            } else if line.is_empty() {
                open = false;
            } else if let Some((_, frame)) = line.split_once("] <- text   ") {
                self.frames.push(frame.to_owned());
            } else if let Some(answer) = self.answers.last_mut().filter(|_| open) {
                answer.read(line);
            }
        }
        self.answers.retain(|answer| answer.status != 0);
    }
}

impl Answer {
    fn read(&mut self, line: &str) {
        let Some(head) = line.strip_prefix("< ") else {
            self.body.push_str(line);
            return;
        };
        match (head.strip_prefix("HTTP/1.1 "), head.split_once(": ")) {
            (Some(status), _) => {
                self.status = status.get(..3).and_then(|status| status.parse().ok()).unwrap_or(0);
            }
            (None, Some((name, value))) => self.headers.push((name.to_owned(), value.to_owned())),
            (None, None) => {}
        }
    }
}
