//! A headless Chromium, controlled over its DevTools protocol, with the commands that the test needs.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

const PATIENCE: Duration = Duration::from_secs(120);

pub struct Chromium {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    last_id: u64,
    /// Killed on drop, if the test fails before it is [closed](Chromium::close).
    process: Child,
    _profile: TempDir,
}

/// A page, identified by its session.
pub struct Page(String);

/// The program: `$CHROMIUM`, or a program with one of its usual names.
pub fn find() -> Option<PathBuf> {
    if let Some(program) = std::env::var_os("CHROMIUM") {
        return Some(program.into());
    }
    let path = std::env::var_os("PATH")?;
    let names = ["chromium", "chromium-browser", "google-chrome"];
    std::env::split_paths(&path).flat_map(|folder| names.map(|name| folder.join(name))).find(|file| file.is_file())
}

impl Chromium {
    pub async fn start(program: &Path) -> Chromium {
        let profile = tempfile::tempdir().unwrap();
        let mut process = Command::new(program)
            // The sandbox does not work for root, the user of continuous integration; the test opens only its own
            // pages.
            .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"])
            .args(["--remote-debugging-port=0", "--window-size=1100,760", "--force-color-profile=srgb"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut said = BufReader::new(process.stderr.take().unwrap()).lines();
        let address = async {
            let mut all = String::new();
            while let Some(line) = said.next_line().await.unwrap() {
                if let Some(address) = line.strip_prefix("DevTools listening on ") {
                    return address.to_owned();
                }
                let _ = writeln!(all, "{line}");
            }
            panic!("Chromium does not start: {all}");
        };
        let address = tokio::time::timeout(PATIENCE, address).await.expect("Chromium prints its address");
        // Reads and drops its other output: Chromium would block on a full pipe.
        tokio::spawn(async move { while let Ok(Some(_)) = said.next_line().await {} });
        let (socket, _) = tokio_tungstenite::connect_async(address).await.unwrap();
        Chromium { socket, last_id: 0, process, _profile: profile }
    }

    /// Closes it, and waits for its end, as it writes to its profile until then.
    pub async fn close(mut self) {
        // It may end before it answers.
        let _ = self.call(None, "Browser.close", json!({})).await;
        tokio::time::timeout(PATIENCE, self.process.wait()).await.expect("Chromium ends").unwrap();
    }

    pub async fn open(&mut self, url: &str) -> Page {
        // A new window is not in the background of another one.
        let target = self.call(None, "Target.createTarget", json!({"url": url, "newWindow": true})).await.unwrap();
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let session = self.call(None, "Target.attachToTarget", attach).await.unwrap();
        let page = Page(session["sessionId"].as_str().unwrap().to_owned());
        self.on(&page, "Emulation.setFocusEmulationEnabled", json!({"enabled": true})).await;
        page
    }

    /// Waits until a JavaScript expression is true. The page evaluates it again after each change of its content, focus
    /// or loading state.
    pub async fn until(&mut self, page: &Page, expression: &str) {
        let wait = format!(
            "new Promise(resolve => {{
                const look = () => {{ try {{ return {expression} }} catch {{ return false }} }};
                const observer = new MutationObserver(() => again());
                const again = () => {{ if (look()) {{ observer.disconnect(); resolve(true) }} }};
                observer.observe(document, {{ subtree: true, childList: true, attributes: true, characterData: true }});
                document.addEventListener('focusin', again);
                document.addEventListener('readystatechange', again);
                again();
            }})"
        );
        let wait = json!({"expression": wait, "awaitPromise": true, "returnByValue": true});
        let holds = async {
            // If the page navigates during the wait, the wait continues on the next page.
            while self.call(Some(page), "Runtime.evaluate", wait.clone()).await.is_err() {
                tokio::task::yield_now().await;
            }
        };
        if tokio::time::timeout(PATIENCE, holds).await.is_err() {
            let shown = self.value(page, "document.documentElement.outerHTML").await;
            panic!("this does not become true: {expression}\n{}", shown.as_str().unwrap_or_default());
        }
    }

    pub async fn value(&mut self, page: &Page, expression: &str) -> Value {
        let evaluate = json!({"expression": expression, "returnByValue": true});
        self.on(page, "Runtime.evaluate", evaluate).await["result"]["value"].take()
    }

    /// Types a text where the focus is.
    pub async fn write(&mut self, page: &Page, text: &str) {
        self.on(page, "Input.insertText", json!({"text": text})).await;
    }

    pub async fn press(&mut self, page: &Page, key: &str) {
        let (code, text) = match key {
            "Enter" => (13, "\r"),
            "Tab" => (9, ""),
            other => panic!("unknown key {other}"),
        };
        for kind in ["keyDown", "keyUp"] {
            let text = if kind == "keyDown" { text } else { "" };
            let event = json!({"type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code, "text": text});
            self.on(page, "Input.dispatchKeyEvent", event).await;
        }
    }

    /// Presses Tab until the focus is on an element.
    pub async fn tab_to(&mut self, page: &Page, selector: &str) {
        for _ in 0..50 {
            self.press(page, "Tab").await;
            if self.value(page, &format!("document.activeElement.matches({})", json!(selector))).await == json!(true) {
                return;
            }
        }
        panic!("Tab does not reach {selector}");
    }

    /// Selects the text of the field that has the focus, so that typing replaces it.
    pub async fn select(&mut self, page: &Page) {
        self.value(page, "document.activeElement.select()").await;
    }

    pub async fn screenshot(&mut self, page: &Page, file: &Path) {
        let image = self.on(page, "Page.captureScreenshot", json!({"format": "png"})).await;
        std::fs::write(file, STANDARD.decode(image["data"].as_str().unwrap()).unwrap()).unwrap();
    }

    async fn on(&mut self, page: &Page, method: &str, params: Value) -> Value {
        self.call(Some(page), method, params).await.unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    async fn call(&mut self, page: Option<&Page>, method: &str, params: Value) -> Result<Value, String> {
        self.last_id += 1;
        let mut message = json!({"id": self.last_id, "method": method, "params": params});
        if let Some(Page(session)) = page {
            message["sessionId"] = json!(session);
        }
        self.socket.send(Message::text(message.to_string())).await.unwrap();
        let answer = async {
            loop {
                let Some(Ok(message)) = self.socket.next().await else { return Err("Chromium has ended".to_owned()) };
                let Ok(mut message) = serde_json::from_str::<Value>(message.to_text().unwrap_or_default()) else {
                    continue;
                };
                if message["id"] != json!(self.last_id) {
                    continue;
                }
                let thrown = &message["result"]["exceptionDetails"];
                return match (message.get("error"), thrown.is_null()) {
                    (Some(error), _) => Err(error.to_string()),
                    (None, false) => Err(thrown.to_string()),
                    (None, true) => Ok(message["result"].take()),
                };
            }
        };
        tokio::time::timeout(PATIENCE, answer).await.unwrap_or_else(|_| Err(format!("no answer to {method}")))
    }
}
