//! Two processes on one server, each seeing what the other writes, and a server that crashes between them.
//!
//! `cargo run -p realtime` starts itself three more times: as the server, as Ada and as Bob. It tells them what to do, shows
//! what they say, and ends well only if both have the same notes in the end.

mod note;
mod person;
mod process;
mod server;

use process::Process;

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => story().await,
        ["server", directory, port] => server::run(directory, port.parse()?).await,
        ["person", name, url] => person::run(name, url).await,
        _ => Err("it is started without arguments".into()),
    }
}

async fn story() -> Result<(), Failure> {
    let directory = tempfile::tempdir()?;
    let directory = directory.path().to_str().ok_or("the directory has no name")?;

    title("A server, and two processes that mirror its store");
    let mut server = Process::start("server", &["server", directory, "0"])?;
    let url = server.says("listens on ").await?;
    let port = url.rsplit(':').next().ok_or("the address has no port")?.to_owned();
    let mut ada = Process::start("ada", &["person", "ada", &url])?;
    let mut bob = Process::start("bob", &["person", "bob", &url])?;
    ada.says("live").await?;
    bob.says("live").await?;

    title("Each sees what the other writes");
    ada.hear("hello from Ada").await?;
    bob.says("sees ada: hello from Ada").await?;
    bob.hear("hello from Bob").await?;
    ada.says("sees bob: hello from Bob").await?;

    title("The server is killed: both read on, and a write waits");
    server.kill().await?;
    ada.says("offline").await?;
    bob.says("offline").await?;
    ada.hear("list").await?;
    ada.says("has ").await?;
    ada.hear("written while the server was away").await?;

    title("It starts again on its file: both heal");
    let mut server = Process::start("server", &["server", directory, &port])?;
    server.says("listens on ").await?;
    ada.says("wrote written while the server was away").await?;
    bob.says("sees ada: written while the server was away").await?;
    bob.hear("welcome back").await?;
    ada.says("sees bob: welcome back").await?;
    // Ada may hear of it before Bob does: his mirror has it when his write has returned.
    bob.says("wrote welcome back").await?;

    title("Both have the same");
    ada.hear("list").await?;
    bob.hear("list").await?;
    let (hers, his) = (ada.says("has ").await?, bob.says("has ").await?);
    for process in [ada, bob, server] {
        process.end().await?;
    }
    if hers != his || hers.matches("slug").count() != 4 {
        return Err("their notes differ, or some are missing".into());
    }
    println!("  yes: the same four notes");
    Ok(())
}

fn title(text: &str) {
    println!("\n{text}");
}
