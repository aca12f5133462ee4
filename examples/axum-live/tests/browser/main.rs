//! Two windows of a browser, used by keyboard, with a store that becomes unreachable.
//!
//! The test is skipped without a Chromium, unless `REQUIRE_BROWSER` is set. Its screenshots are in the target
//! directory, as `tmp/axum-live*.png`.

mod chromium;

use std::net::SocketAddr;
use std::path::Path;

use axum_live::{Dust, Site};
use chromium::{Chromium, Page};
use dust_emulator::Emulator;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// The site on an address.
struct Served {
    site: Site,
    address: SocketAddr,
    task: JoinHandle<()>,
}

async fn serve(dust: &Dust, address: &str) -> Served {
    let site = Site::new(dust).await.unwrap();
    let listener = TcpListener::bind(address).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (router, closed) = (site.router(), site.clone());
    let task = tokio::spawn(async move {
        axum::serve(listener, router).with_graceful_shutdown(async move { closed.closed().await }).await.unwrap();
    });
    Served { site, address, task }
}

impl Served {
    async fn stop(self) -> SocketAddr {
        self.site.close();
        self.task.await.unwrap();
        self.address
    }
}

/// Fills in the form for a new link and sends it, with keys only, from any focus.
async fn add(browser: &mut Chromium, page: &Page, fields: [&str; 4]) {
    browser.tab_to(page, "#slug").await;
    for text in fields {
        browser.write(page, text).await;
        browser.press(page, "Tab").await;
    }
    browser.until(page, "document.activeElement.matches('button.main')").await;
    browser.press(page, "Enter").await;
}

/// A condition: the page shows a link with this title.
fn shows(slug: &str, title: &str) -> String {
    format!("document.querySelector('#link-{slug} .title').textContent === {}", json!(title))
}

fn lacks(slug: &str) -> String {
    format!("document.querySelector('#links') && !document.querySelector('#link-{slug}')")
}

fn state(state: &str) -> String {
    format!("document.querySelector('#state').dataset.state === '{state}'")
}

#[tokio::test(flavor = "multi_thread")]
async fn change_in_one_window_appears_in_other() {
    let Some(program) = chromium::find() else {
        assert!(
            std::env::var_os("REQUIRE_BROWSER").is_none(),
            "there is no Chromium: install one, or set CHROMIUM to its path"
        );
        eprintln!("SKIPPED: there is no Chromium. Install Debian's `chromium`, or set CHROMIUM to its path.");
        return;
    };
    let seed = json!({
        "axum-live/links/dust": {"title": "Dust", "url": "https://dustlayer.io", "note": "A reactive key-value store"},
        "axum-live/links/tokio": {"title": "Tokio", "url": "https://tokio.rs", "note": null},
    });
    let emulator = Emulator::builder().seed("local/dev", seed.to_string()).start().await.unwrap();
    let mut dust = Dust::on(emulator).await.unwrap();
    let served = serve(&dust, "127.0.0.1:0").await;
    let url = format!("http://{}/", served.address);
    let mut browser = Chromium::start(&program).await;
    let one = browser.open(&url).await;
    let other = browser.open(&url).await;
    for page in [&one, &other] {
        browser.until(page, &state("live")).await;
        browser.until(page, &shows("tokio", "Tokio")).await;
    }

    // Refused: the errors are beside their fields, and the focus is on the first.
    add(&mut browser, &one, ["SeaORM", "SeaORM", "www.sea-ql.org", ""]).await;
    let error =
        |field: &str, text: &str| format!("document.querySelector('#{field}-error').textContent === {}", json!(text));
    browser.until(&one, &error("slug", "may have a-z, 0-9 and single dashes only")).await;
    browser.until(&one, "document.querySelector('#url-error').textContent.startsWith('must be an address')").await;
    browser.until(&one, "document.activeElement.matches('#slug[aria-invalid=true]')").await;
    browser.until(&one, &error("title", "")).await;

    let pictures = Path::new(env!("CARGO_TARGET_TMPDIR"));
    browser.screenshot(&one, &pictures.join("axum-live-refused.png")).await;

    // Corrected and added: the other window shows it, and announces it to screen readers.
    browser.select(&one).await;
    browser.write(&one, "sea-orm").await;
    browser.tab_to(&one, "#url").await;
    browser.write(&one, "https://www.sea-ql.org/SeaORM").await;
    browser.press(&one, "Enter").await;
    for page in [&one, &other] {
        browser.until(page, &shows("sea-orm", "SeaORM")).await;
    }
    browser.until(&other, "document.querySelector('#news').textContent === 'SeaORM was added.'").await;
    browser.until(&one, "document.querySelector('#slug').value === '' && document.activeElement.id === 'slug'").await;
    let order = "[...document.querySelectorAll('#links > li')].map(({ dataset }) => dataset.slug).join()";
    assert_eq!(browser.value(&other, order).await, json!("dust,sea-orm,tokio"));

    // Markup in a link is text.
    add(&mut browser, &one, ["markup", "<i>\"A\" & 'b'</i>", "https://example.com/?a=1&b=2", "<script>x</script>"])
        .await;
    browser.until(&other, &shows("markup", "<i>\"A\" & 'b'</i>")).await;

    // Edited on a page of its own.
    browser.tab_to(&one, "[aria-label='Edit SeaORM']").await;
    browser.press(&one, "Enter").await;
    browser
        .until(
            &one,
            "document.querySelector('h2').textContent === 'Edit sea-orm' && document.readyState === 'complete'",
        )
        .await;
    browser.tab_to(&one, "#title").await;
    browser.select(&one).await;
    browser.write(&one, "SeaORM 2").await;
    browser.press(&one, "Enter").await;
    for page in [&one, &other] {
        browser.until(page, &shows("sea-orm", "SeaORM 2")).await;
    }

    // Deleted: the focus moves to the next item.
    browser.until(&one, &state("live")).await;
    browser.tab_to(&one, "[aria-label^='Delete <i>']").await;
    browser.press(&one, "Enter").await;
    for page in [&one, &other] {
        browser.until(page, &lacks("markup")).await;
    }
    browser.until(&one, "document.activeElement.matches(\"[aria-label='Delete SeaORM 2']\")").await;
    browser.screenshot(&one, &pictures.join("axum-live.png")).await;

    // The store becomes unreachable, and another program writes to it.
    let emulator = dust.emulator().unwrap();
    emulator.go_down().await;
    for page in [&one, &other] {
        browser.until(page, &state("away")).await;
    }
    add(&mut browser, &one, ["late", "Late", "https://example.com", ""]).await;
    browser
        .until(&one, "document.querySelector('form .alert').textContent.startsWith('The store cannot be reached')")
        .await;
    browser.tab_to(&other, "[aria-label='Delete Dust']").await;
    browser.press(&other, "Enter").await;
    browser.until(&other, "document.querySelector('#news.failed').textContent.startsWith('The store cannot')").await;
    browser.screenshot(&other, &pictures.join("axum-live-away.png")).await;
    let meanwhile = json!({"axum-live/links/axum": {"title": "axum", "url": "https://docs.rs/axum", "note": null}});
    emulator.import("local/dev", &meanwhile.to_string()).unwrap();
    emulator.come_up().await.unwrap();
    for page in [&one, &other] {
        browser.until(page, &shows("axum", "axum")).await;
        browser.until(page, &state("live")).await;
    }
    // The input is still in the form.
    browser.press(&one, "Enter").await;
    browser.until(&other, &shows("late", "Late")).await;

    // The site restarts, and the browsers reconnect.
    let address = served.stop().await;
    for page in [&one, &other] {
        browser.until(page, &state("away")).await;
    }
    let served = serve(&dust, &address.to_string()).await;
    for page in [&one, &other] {
        browser.until(page, &state("live")).await;
    }
    add(&mut browser, &other, ["again", "Again", "https://example.com/again", ""]).await;
    browser.until(&one, &shows("again", "Again")).await;

    browser.close().await;
    served.stop().await;
    dust.stop().await;
}
