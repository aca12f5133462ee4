//! Replays every recorded exchange with a real server against the emulator: statuses, headers and bodies have to be
//! equal, byte for byte, except for generated values and the places in `differences.rs`.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic in a test is the failure we want to see")]
#![allow(clippy::print_stdout, reason = "it prints the differences")]

mod differences;
mod elided;
mod recording;
mod scenery;
mod sockets;
#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeSet;
use std::sync::LazyLock;

use differences::{DIFFERENCES, Difference, FRAME_DIFFERENCES, NO_PLANS, NOT_COMPARED};
use recording::{Exchange, Line, Step};
use regex::Regex;
use scenery::Scenery;
use sockets::{Seen, Sockets};
use support::Answer;

/// The headers that the recordings show.
const SHOWN: [&str; 6] =
    ["content-disposition", "etag", "retry-after", "x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"];

#[derive(Default)]
struct Outcome {
    replayed: usize,
    wrong: Vec<String>,
    used: BTreeSet<usize>,
    sockets: Seen,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn emulator_answers_as_recorded_server() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/wire");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "txt"));
    files.sort();
    let mut outcome = Outcome::default();
    let (mut commands, mut frames) = (0, 0);
    for file in files {
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        let text = std::fs::read_to_string(&file).unwrap();
        commands += text.lines().filter(|line| line.starts_with("$ curl")).count();
        frames += text.lines().filter(|line| SOCKET_LINE.is_match(line)).count();
        let recording = recording::read(&text);
        let scenery = Scenery::of(&name, &recording.stores).await;
        let before = outcome.replayed;
        tokio::task::block_in_place(|| replay(&scenery, &recording.steps, &mut outcome));
        println!("{name}: {} exchanges", outcome.replayed - before);
        scenery.emulator.stop().await;
    }
    for (at, difference) in DIFFERENCES.iter().enumerate() {
        if !outcome.used.contains(&at) {
            let Difference { file, request, .. } = difference;
            outcome.wrong.push(format!("{file}: the difference of {} {} did not occur", request.0, request.1));
        }
    }
    for (at, difference) in FRAME_DIFFERENCES.iter().enumerate() {
        if !outcome.sockets.used.contains(&at) {
            outcome.wrong.push(format!("{}: the frame {} did not occur", difference.file, difference.recorded));
        }
    }
    let Seen { frames: replayed, skipped, not_compared, .. } = &outcome.sockets;
    println!("{} exchanges, {replayed} frames, and these differences:", outcome.replayed);
    for difference in DIFFERENCES {
        println!("  {}: {} {}: {}", difference.file, difference.request.0, difference.request.1, difference.reason);
    }
    for difference in FRAME_DIFFERENCES {
        println!("  {}: {}: {}", difference.file, difference.recorded, difference.reason);
    }
    for (pattern, _, reason) in NOT_COMPARED {
        println!("  frames: {pattern}: {reason}");
    }
    println!("  {skipped} messages with their answers: {NO_PLANS}");
    assert_eq!(not_compared.len(), NOT_COMPARED.len());
    assert!(outcome.wrong.is_empty(), "{} differences:\n\n{}", outcome.wrong.len(), outcome.wrong.join("\n\n"));
    assert_eq!(outcome.replayed, commands, "not every recorded command was replayed");
    // Each skipped message lacks its answer too.
    assert_eq!(replayed + 2 * skipped, frames, "not every recorded frame was replayed");
}

fn replay(scenery: &Scenery, steps: &[Step], outcome: &mut Outcome) {
    let mut section = "";
    // The token and the id of the recording, and those of this run.
    let mut made: Option<(String, String)> = None;
    let mut sockets = Sockets::default();
    let lines: Vec<&Line> =
        steps.iter().filter_map(|step| if let Step::Socket(line) = step { Some(line) } else { None }).collect();
    let mut at = 0;
    for step in steps {
        match step {
            Step::Section(title) => {
                section = title;
                scenery.before(title);
            }
            Step::Store(store) => scenery.enter(store),
            Step::Remark(remark) => {
                let wrong = sockets.remark(scenery, remark).err();
                outcome.wrong.extend(wrong.map(|error| format!("{} ({section}): {error}", scenery.file)));
            }
            Step::Socket(line) => {
                let secret = made.as_ref().map(|(secret, _)| secret.as_str());
                if let Err(error) = sockets.replay(scenery, &lines, at, secret, &mut outcome.sockets) {
                    let place = format!("{} line {} ({section}) [{}]", scenery.file, line.number, line.name);
                    outcome.wrong.push(format!("{place}\n  {error}"));
                }
                at += 1;
            }
            Step::Exchange(exchange) => {
                let answer = ask(scenery, section, exchange, made.as_ref());
                outcome.replayed += 1;
                if exchange.target == "/api/tokens" && answer.status() == 201 {
                    let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
                    let field = |name: &str| body.get(name).unwrap().as_str().unwrap().to_owned();
                    made = Some((field("raw_token"), field("id")));
                }
                judge(scenery, section, exchange, &answer, outcome);
            }
        }
    }
    if let Err(error) = sockets.end_all() {
        outcome.wrong.push(format!("{}: {error}", scenery.file));
    }
}

fn ask(scenery: &Scenery, section: &str, exchange: &Exchange, made: Option<&(String, String)>) -> Answer {
    let without_token = ["without Authorization", "without a token", "token in the query"];
    let mut headers = exchange.headers.clone();
    if !headers.iter().any(|(name, _)| name == "authorization")
        && !without_token.iter().any(|text| section.contains(text))
    {
        headers.push(("authorization".to_owned(), "Bearer $TOKEN".to_owned()));
    }
    let mut target = exchange.target.clone();
    if let Some(whole) = elided::restore(section, &target, &exchange.answer) {
        target = whole;
    }
    if let (Some((_, id)), Some(recorded)) = (made, target.strip_prefix("/api/tokens/")) {
        target = target.replace(recorded, id);
    }
    let target = target.replace("$TOKEN", "TOKEN");
    let mut body = exchange.body.clone();
    if let Some(recorded) = &exchange.body {
        if !headers.iter().any(|(name, _)| name == "content-type") {
            headers.push(("content-type".to_owned(), "application/json".to_owned()));
        }
        if recorded == "@-" {
            body = elided::big(section);
        } else if elided::split(recorded).is_some() {
            body = elided::restore(section, recorded, &exchange.answer);
            assert!(body.is_some(), "{} line {}: the body is unknown", scenery.file, exchange.line);
        }
    }
    // The ids of the stores differ from the recorded ones.
    let body = body.map(|body| {
        body.replace("\"store_ids\":[\"01a20229-2f91-7e85-ba25-3a72f4622a6a\"]", "\"store_names\":[\"g3snapeee754\"]")
    });
    for (_, value) in &mut headers {
        if let Some((secret, _)) = made {
            *value = value.replace("$TMP", secret);
        }
        *value = value.replace('$', "");
    }
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let body = body.as_deref().map(str::as_bytes);
    support::send(scenery.emulator.address(), &exchange.method, &target, &headers, body).unwrap()
}

fn judge(scenery: &Scenery, section: &str, exchange: &Exchange, answer: &Answer, outcome: &mut Outcome) {
    let recorded_status = exchange.status_line.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    let difference = DIFFERENCES.iter().position(|difference| {
        let Difference { file, request: (method, target), recorded, .. } = difference;
        *file == scenery.file
            && *method == exchange.method
            && *recorded == recorded_status
            && exchange.target.ends_with(target)
    });
    let place = format!(
        "{} line {} ({section}): {} {}",
        scenery.file,
        exchange.line,
        exchange.method,
        shorten(&exchange.target)
    );
    if let Some(at) = difference {
        outcome.used.insert(at);
        let (status, part) = DIFFERENCES[at].ours;
        if answer.status() != status || !answer.text().contains(part) {
            outcome.wrong.push(format!(
                "{place}\n  allowed: {status} {part}\n  now:     {} {}",
                answer.status_line,
                answer.text()
            ));
        }
        if recorded_status == 200 && status == 400 {
            let store: Vec<&str> = exchange.target.split('/').skip(3).take(2).collect();
            scenery.skip_seq(&store.join("/"));
        }
        return;
    }
    let headers: Vec<(String, String)> =
        answer.headers.iter().filter(|(name, _)| SHOWN.contains(&name.as_str())).cloned().collect();
    let (mut ours, mut theirs) = (headers, exchange.answer_headers.clone());
    // The emulator serves every file as an attachment.
    for (_, value) in theirs.iter_mut().filter(|(name, _)| name == "content-disposition") {
        *value = value.replacen("inline", "attachment", 1);
    }
    ours.sort();
    theirs.sort();
    let own_address = format!("ws://{}", scenery.emulator.address());
    let body = settled(answer.text().trim_end_matches('\n').replace(&own_address, "").as_str());
    let recorded = settled(&exchange.answer);
    let same_body = match elided::split(&recorded) {
        // The recorded length is that of the whole body; long answers have no generated values.
        Some((start, length)) => body.starts_with(start) && body.chars().count() == length,
        None => body == recorded,
    };
    if answer.status_line != exchange.status_line || ours != theirs || !same_body {
        outcome.wrong.push(format!(
            "{place}\n  recorded: {} {theirs:?}\n            {}\n  now:      {} {ours:?}\n            {}",
            exchange.status_line,
            shorten(&recorded),
            answer.status_line,
            shorten(&body),
        ));
        if let Some((_, length)) = elided::split(&recorded) {
            outcome.wrong.push(format!("{place}: {length} characters were recorded, now {}", body.chars().count()));
        }
    }
}

/// A line of a recording that is about a frame, or about the end of a socket.
static SOCKET_LINE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^(\[[^\]]+\] (->|<- (text|binary msgpack|CLOSED)) |(->|<-) \[)").unwrap());

/// Values that a server generates: ids, times, secrets.
static MADE_UP: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    let patterns = [
        (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "<id>"),
        (r#""device_id":"http:[^"]*""#, r#""device_id":"http:<id>""#),
        (r#""(inserted_at|exported_at|uploaded_at)":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z""#, r#""$1":"<ms>""#),
        (r#""(inserted_at|exported_at|uploaded_at)":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z""#, r#""$1":"<us>""#),
        (r#""expires_at":\d{13}"#, r#""expires_at":<ms>"#),
        (r#""raw_token":"[^"]*""#, r#""raw_token":"<secret>""#),
    ];
    patterns.map(|(pattern, name)| (Regex::new(pattern).unwrap(), name)).into()
});

/// A body with placeholders for generated values.
fn settled(body: &str) -> String {
    MADE_UP.iter().fold(body.to_owned(), |body, (pattern, name)| pattern.replace_all(&body, *name).into_owned())
}

fn shorten(text: &str) -> String {
    if text.chars().count() <= 700 { text.to_owned() } else { text.chars().take(700).chain("…".chars()).collect() }
}
