//! Two processes on one server that receive each other's writes, also after a crash of the server.
//!
//! `cargo run -p realtime` starts itself three more times: as the server, as Ada and as Bob. It sends them commands,
//! prints their output, and succeeds only if both have the same notes at the end.

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
    let url = server.expect_line("listens on ").await?;
    let port = url.rsplit(':').next().ok_or("the address has no port")?.to_owned();
    let mut ada = Process::start("ada", &["person", "ada", &url])?;
    let mut bob = Process::start("bob", &["person", "bob", &url])?;
    ada.expect_line("live").await?;
    bob.expect_line("live").await?;

    title("Each sees the writes of the other");
    ada.send_line("hello from Ada").await?;
    bob.expect_line("sees ada: hello from Ada").await?;
    bob.send_line("hello from Bob").await?;
    ada.expect_line("sees bob: hello from Bob").await?;

    title("The server is killed: both continue to read, and a write waits");
    server.kill().await?;
    ada.expect_line("offline").await?;
    bob.expect_line("offline").await?;
    ada.send_line("list").await?;
    ada.expect_line("has ").await?;
    ada.send_line("written while the server was away").await?;

    title("It starts again on its file: both reconnect");
    let mut server = Process::start("server", &["server", directory, &port])?;
    server.expect_line("listens on ").await?;
    ada.expect_line("wrote written while the server was away").await?;
    bob.expect_line("sees ada: written while the server was away").await?;
    bob.send_line("welcome back").await?;
    ada.expect_line("sees bob: welcome back").await?;
    // Ada may receive it before Bob prints it: his mirror has it when his write has returned.
    bob.expect_line("wrote welcome back").await?;

    title("Both have the same");
    ada.send_line("list").await?;
    bob.send_line("list").await?;
    let (hers, his) = (ada.expect_line("has ").await?, bob.expect_line("has ").await?);
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
