//! The site without a browser: responses to scripts, other programs and forms without a script.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderValue, Request, Response, StatusCode, header};
use axum_live::{Dust, Site};
use dust_emulator::Emulator;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

async fn start() -> (Dust, Router) {
    let dust = Dust::on(Emulator::start().await.unwrap()).await.unwrap();
    let router = Site::new(&dust).await.unwrap().router();
    (dust, router)
}

async fn send(router: &Router, request: Request<Body>) -> Response<Body> {
    router.clone().oneshot(request).await.unwrap()
}

async fn text(response: Response<Body>) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

async fn call(router: &Router, method: &str, path: &str, body: &Value) -> (StatusCode, Value) {
    let request = Request::builder().method(method).uri(path).header("content-type", "application/json");
    let response = send(router, request.body(Body::from(body.to_string())).unwrap()).await;
    let status = response.status();
    (status, serde_json::from_str(&text(response).await).unwrap_or_default())
}

async fn post(router: &Router, path: &str, form: &'static str) -> Response<Body> {
    let request = Request::post(path).header("content-type", "application/x-www-form-urlencoded");
    send(router, request.body(Body::from(form)).unwrap()).await
}

fn link(slug: &str, title: &str) -> Value {
    json!({"slug": slug, "title": title, "url": "https://example.com"})
}

#[tokio::test]
async fn api_returns_errors_by_field() {
    let (dust, router) = start().await;
    let (status, body) = call(&router, "POST", "/api/links", &json!({"slug": "A", "url": "javascript:alert(1)"})).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    let errors = json!({
        "slug": ["may have a-z, 0-9 and single dashes only"],
        "title": ["can't be blank"],
        "url": ["must be an address such as https://example.com"],
    });
    assert_eq!(body, json!({"message": "Please look at the fields below.", "errors": errors}));
    let (status, body) = call(&router, "POST", "/api/links", &json!("dust")).await;
    assert_eq!((status, body["errors"]["base"].clone()), (StatusCode::UNPROCESSABLE_ENTITY, json!(["is invalid"])));

    let (status, body) = call(&router, "POST", "/api/links", &link("dust", "Dust")).await;
    assert_eq!((status, &body["note"]), (StatusCode::CREATED, &Value::Null));
    let (status, body) = call(&router, "POST", "/api/links", &link("dust", "Other")).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(body["errors"], json!({"slug": ["has already been taken"]}));
    dust.stop().await;
}

#[tokio::test]
async fn api_list_is_paged_in_the_order_of_slugs() {
    let (dust, router) = start().await;
    for slug in ["d", "b", "e", "a", "c"] {
        call(&router, "POST", "/api/links", &link(slug, slug)).await;
    }
    let (mut pages, mut next) = (Vec::new(), Some("/api/links?limit=2".to_owned()));
    while let Some(path) = next {
        let response = send(&router, Request::get(path).body(Body::empty()).unwrap()).await;
        let link = response.headers().get(header::LINK).map(|link| link.to_str().unwrap().to_owned());
        next = link.map(|link| link.trim_start_matches('<').split_once(">; rel=\"next\"").unwrap().0.to_owned());
        let links: Vec<Value> = serde_json::from_str(&text(response).await).unwrap();
        pages.push(links.iter().map(|link| link["slug"].as_str().unwrap().to_owned()).collect::<String>());
    }
    assert_eq!(pages, ["ab", "cd", "e"]);
    dust.stop().await;
}

#[tokio::test]
async fn events_of_a_link_are_those_of_no_other() {
    let (dust, router) = start().await;
    call(&router, "POST", "/api/links", &link("dust", "Dust")).await;
    call(&router, "POST", "/api/links", &link("rust", "Rust")).await;
    let mut body = send(&router, Request::get("/events/dust").body(Body::empty()).unwrap()).await.into_body();
    let mut next = async || {
        let frame = body.frame().await.unwrap().unwrap().into_data().unwrap();
        String::from_utf8(frame.to_vec()).unwrap()
    };
    assert!(next().await.contains(r#""title":"Dust""#));
    call(&router, "PATCH", "/api/links/rust", &json!({"title": "Other"})).await;
    call(&router, "PATCH", "/api/links/dust", &json!({"title": "New"})).await;
    assert!(next().await.contains(r#""title":"New""#));
    call(&router, "DELETE", "/api/links/rust", &Value::Null).await;
    call(&router, "DELETE", "/api/links/dust", &Value::Null).await;
    assert!(next().await.contains("event: deleted"));
    dust.stop().await;
}

#[tokio::test]
async fn api_update_with_stale_revision_conflicts() {
    let (dust, router) = start().await;
    call(&router, "POST", "/api/links", &link("dust", "Dust")).await;
    let (_, seen) = call(&router, "GET", "/api/links/dust", &Value::Null).await;
    let with_revision = |title: &str| json!({"title": title, "revision": seen["revision"]});
    let (status, saved) = call(&router, "PATCH", "/api/links/dust", &with_revision("One")).await;
    assert_eq!((status, &saved["title"]), (StatusCode::OK, &json!("One")));
    let (status, _) = call(&router, "PATCH", "/api/links/dust", &with_revision("Two")).await;
    assert_eq!(status, StatusCode::PRECONDITION_FAILED);
    let (status, _) = call(&router, "PATCH", "/api/links/dust", &json!({"title": "x", "revision": "7th"})).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let (status, _) = call(&router, "PATCH", "/api/links/nobody", &json!({"title": "x"})).await;
    assert_eq!(status, StatusCode::NOT_FOUND);

    let (status, _) = call(&router, "DELETE", "/api/links/dust", &Value::Null).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    let (status, all) = call(&router, "GET", "/api/links", &Value::Null).await;
    assert_eq!((status, all), (StatusCode::OK, json!([])));
    dust.stop().await;
}

#[tokio::test]
async fn api_update_with_etag_of_other_content_conflicts() {
    let (dust, router) = start().await;
    call(&router, "POST", "/api/links", &link("dust", "Dust")).await;
    let show = || Request::get("/api/links/dust").body(Body::empty()).unwrap();
    let save = |title: &str, if_match: &HeaderValue| {
        let body = Body::from(json!({"title": title}).to_string());
        let request = Request::patch("/api/links/dust").header(header::CONTENT_TYPE, "application/json");
        request.header(header::IF_MATCH, if_match).body(body).unwrap()
    };
    let etag = send(&router, show()).await.headers()[header::ETAG].clone();
    let saved = send(&router, save("One", &etag)).await;
    assert_eq!(saved.status(), StatusCode::OK);
    assert_eq!(send(&router, save("Two", &etag)).await.status(), StatusCode::PRECONDITION_FAILED);
    let next = &saved.headers()[header::ETAG];
    assert_eq!(send(&router, show()).await.headers()[header::ETAG], *next);
    assert_eq!(send(&router, save("Two", next)).await.status(), StatusCode::OK);
    dust.stop().await;
}

#[tokio::test]
async fn forms_work_without_a_script() {
    let (dust, router) = start().await;
    let refused = post(&router, "/links", "slug=dust&title=%22Dust%22&url=dust&note=").await;
    assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let page = text(refused).await;
    assert!(page.contains(r#"value="&quot;Dust&quot;""#), "{page}");
    assert!(page.contains(r#"aria-invalid="true" autofocus>"#), "{page}");
    assert!(page.contains(r#"id="url-error">must be an address such as https://example.com"#), "{page}");

    let added = post(&router, "/links", "slug=dust&title=Dust&url=https://dustlayer.io&note=").await;
    assert_eq!((added.status(), &added.headers()["location"]), (StatusCode::SEE_OTHER, &"/".parse().unwrap()));
    let page = text(send(&router, Request::get("/").body(Body::empty()).unwrap()).await).await;
    assert!(page.contains(r#"<li id="link-dust""#), "{page}");

    let page = text(send(&router, Request::get("/links/dust").body(Body::empty()).unwrap()).await).await;
    assert!(page.contains(r#"name="revision" value="{&quot;"#), "{page}");
    let saved = post(&router, "/links/dust", "title=Dust+2&url=https://dustlayer.io&note=new").await;
    assert_eq!(saved.status(), StatusCode::SEE_OTHER);
    let deleted = post(&router, "/links/dust/delete", "").await;
    assert_eq!(deleted.status(), StatusCode::SEE_OTHER);
    let gone = send(&router, Request::get("/links/dust").body(Body::empty()).unwrap()).await;
    assert_eq!(gone.status(), StatusCode::NOT_FOUND);
    dust.stop().await;
}

#[tokio::test]
async fn link_of_other_program_is_escaped_and_unsafe_url_is_no_link() {
    let record = json!({"title": "<b>A</b>", "url": "javascript:alert(1)", "note": "'\""});
    let seed = json!({"axum-live/links/a~1b c?": record}).to_string();
    let emulator = Emulator::builder().seed("local/dev", seed).start().await.unwrap();
    let dust = Dust::on(emulator).await.unwrap();
    let router = Site::new(&dust).await.unwrap().router();
    let page = text(send(&router, Request::get("/").body(Body::empty()).unwrap()).await).await;
    assert!(page.contains(r#"<span class="title">&lt;b&gt;A&lt;/b&gt;</span>"#), "{page}");
    assert!(page.contains("<p>&#39;&quot;</p>") && !page.contains("href=\"javascript"), "{page}");
    assert!(page.contains(r#"href="/links/a%2Fb%20c%3F""#), "{page}");
    let deleted = post(&router, "/links/a%2Fb%20c%3F/delete", "").await;
    assert_eq!(deleted.status(), StatusCode::SEE_OTHER);
    assert_eq!(call(&router, "GET", "/api/links", &Value::Null).await.1, json!([]));
    dust.stop().await;
}

/// A page in a browser: its links, and the last id that it received.
#[derive(Default)]
struct Page {
    links: BTreeMap<String, String>,
    doubtful: BTreeSet<String>,
    last_event_id: Option<String>,
}

impl Page {
    /// Applies an event as the page's script does, and returns its name.
    fn take(&mut self, event: &str) -> String {
        let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim();
        let (name, data) = (field("event:"), field("data:"));
        match name {
            "replay" => self.doubtful = self.links.keys().cloned().collect(),
            "current" => std::mem::take(&mut self.doubtful).iter().for_each(|slug| drop(self.links.remove(slug))),
            "upserted" => {
                let (_, rest) = data.split_once("data-slug=\"").unwrap();
                let (slug, _) = rest.split_once('"').unwrap();
                self.doubtful.remove(slug);
                self.links.insert(slug.to_owned(), data.to_owned());
            }
            "deleted" => drop(self.links.remove(data)),
            _ => {}
        }
        if let Some(id) = event.lines().find_map(|line| line.strip_prefix("id:")) {
            self.last_event_id = Some(id.trim().to_owned());
        }
        name.to_owned()
    }

    /// Connects as a browser does, applies events up to a matching one, and returns the names of those about links.
    async fn connect_until(&mut self, router: &Router, is_enough: impl Fn(&str) -> bool) -> Vec<String> {
        let mut request = Request::get("/events");
        if let Some(id) = &self.last_event_id {
            request = request.header("last-event-id", id);
        }
        let mut body = send(router, request.body(Body::empty()).unwrap()).await.into_body();
        let mut names = Vec::new();
        loop {
            let frame = body.frame().await.unwrap().unwrap().into_data().unwrap();
            let name = self.take(std::str::from_utf8(&frame).unwrap());
            let is_last = is_enough(&name);
            if name != "dust" {
                names.push(name);
            }
            if is_last {
                return names;
            }
        }
    }

    async fn connect(&mut self, router: &Router) -> Vec<String> {
        self.connect_until(router, |name| name == "current").await
    }

    fn slugs(&self) -> Vec<&str> {
        self.links.keys().map(String::as_str).collect()
    }
}

#[tokio::test]
async fn browser_that_reconnects_receives_missed_events() {
    let (dust, router) = start().await;
    call(&router, "POST", "/api/links", &link("dust", "Dust")).await;
    let mut page = Page::default();
    assert_eq!(page.connect(&router).await, ["replay", "upserted", "current"]);
    assert_eq!(page.slugs(), ["dust"]);

    // No op followed, for this process of the site and for another one.
    assert_eq!(page.connect(&router).await, ["current"]);
    let other = Site::new(&dust).await.unwrap().router();
    assert_eq!(page.connect(&other).await, ["current"]);

    call(&router, "POST", "/api/links", &link("rust", "Rust")).await;
    call(&router, "DELETE", "/api/links/dust", &Value::Null).await;
    assert_eq!(page.connect(&router).await, ["replay", "upserted", "current"]);
    assert_eq!(page.slugs(), ["rust"]);
    call(&router, "DELETE", "/api/links/rust", &Value::Null).await;
    assert_eq!(page.connect(&router).await, ["replay", "current"]);
    assert_eq!(page.slugs(), [""; 0]);
    dust.stop().await;
}

#[tokio::test]
async fn browser_cut_off_at_any_event_of_replay_ends_with_whole_list() {
    let (dust, router) = start().await;
    let all = ["a", "b", "c", "d"];
    for slug in all.into_iter().chain(["gone"]) {
        call(&router, "POST", "/api/links", &link(slug, "Old")).await;
    }
    let mut before = Page::default();
    before.connect(&router).await;
    call(&router, "DELETE", "/api/links/gone", &Value::Null).await;
    call(&router, "PATCH", "/api/links/d", &json!({"title": "New"})).await;
    // For a new page, and for one that reconnects.
    for page in [Page::default(), before] {
        for events in 1..=all.len() + 2 {
            let mut page =
                Page { links: page.links.clone(), last_event_id: page.last_event_id.clone(), ..Page::default() };
            let count = Cell::new(0);
            page.connect_until(&router, |_| {
                count.set(count.get() + 1);
                count.get() == events
            })
            .await;
            page.connect(&router).await;
            assert_eq!(page.slugs(), all, "cut off after {events} events");
            assert!(page.links["d"].contains("New"), "cut off after {events} events");
        }
    }
    dust.stop().await;
}
