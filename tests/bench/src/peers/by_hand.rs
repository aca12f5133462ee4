//! The client that a careful programmer writes by hand for one entity: reqwest, serde, and the same requests as
//! dust-orm.

use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, IF_MATCH};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::Result;
use crate::entities::card;
use crate::entities::page::{LEAVES, Model};
use crate::server::Server;

pub struct ByHand {
    http: reqwest::Client,
    entries: String,
}

#[derive(Deserialize)]
struct Page {
    items: Vec<Item>,
    next_cursor: Option<String>,
}

#[derive(Deserialize)]
struct Item {
    path: String,
    value: Value,
    revision: u64,
}

#[derive(Deserialize)]
struct Written {
    store_seq: u64,
}

impl ByHand {
    pub fn new(server: &Server, store: &str) -> Result<ByHand> {
        // reqwest needs a provider, although it does not use TLS here. An error means that one is installed already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, format!("Bearer {}", server.emulator.token()).parse()?);
        headers.insert(ACCEPT, "application/json".parse()?);
        let http = reqwest::Client::builder()
            .default_headers(headers)
            .connect_timeout(Duration::from_secs(30))
            .timeout(Duration::from_secs(15))
            .build()?;
        Ok(ByHand { http, entries: format!("{}/api/stores/{store}/entries", server.emulator.url()) })
    }

    async fn list(&self, pattern: &str, after: Option<&str>) -> Result<Page> {
        let mut url = reqwest::Url::parse(&self.entries)?;
        url.query_pairs_mut().append_pair("pattern", pattern).append_pair("limit", "1000");
        if let Some(after) = after {
            url.query_pairs_mut().append_pair("after", after);
        }
        let answer = self.http.get(url).send().await?.error_for_status()?;
        Ok(serde_json::from_slice(&answer.bytes().await?)?)
    }

    /// The page with this slug, and the revision of its title.
    pub async fn get(&self, slug: &str) -> Result<(Model, u64)> {
        let page = self.list(&format!("pages/{slug}/**"), None).await?;
        let title = page.items.iter().find(|item| item.path.ends_with("/title")).map_or(0, |item| item.revision);
        let mut models = models(page.items)?;
        Ok((models.pop().ok_or("not found")?, title))
    }

    pub async fn all(&self) -> Result<Vec<Model>> {
        let mut items = Vec::new();
        let mut after = None;
        loop {
            let page = self.list("pages/**", after.as_deref()).await?;
            items.extend(page.items);
            after = page.next_cursor;
            if after.is_none() {
                return models(items);
            }
        }
    }

    /// The next `count` pages behind a slug, by range.
    pub async fn page_after(&self, slug: &str, count: usize) -> Result<Vec<Model>> {
        let mut url = reqwest::Url::parse(&self.entries)?;
        let limit = (count * LEAVES).to_string();
        url.query_pairs_mut()
            .append_pair("from", &format!("pages/{slug}0"))
            .append_pair("to", "pages0")
            .append_pair("limit", &limit);
        let answer = self.http.get(url).send().await?.error_for_status()?;
        models(serde_json::from_slice::<Page>(&answer.bytes().await?)?.items)
    }

    pub async fn insert(&self, page: &Model) -> Result<u64> {
        self.insert_many(std::slice::from_ref(page)).await
    }

    /// Several pages, in one request.
    pub async fn insert_many(&self, pages: &[Model]) -> Result<u64> {
        let ops: Vec<Value> = pages
            .iter()
            .flat_map(|page| {
                let at = |field: &str| format!("pages/{}/{field}", page.slug);
                [
                    json!({"op": "set", "path": at("title"), "value": page.title}),
                    json!({"op": "set", "path": at("url"), "value": page.url}),
                    json!({"op": "set", "path": at("note"), "value": page.note}),
                    json!({"op": "set", "path": at("visits"), "value": page.visits}),
                ]
            })
            .collect();
        self.send(self.http.post(format!("{}/batch_write", self.entries)), &json!({"ops": ops})).await
    }

    /// Sends a request for each field, as many clients do.
    pub async fn insert_by_puts(&self, page: &Model) -> Result<u64> {
        let mut last = 0;
        for (field, value) in [
            ("title", json!(page.title)),
            ("url", json!(page.url)),
            ("note", json!(page.note)),
            ("visits", json!(page.visits)),
        ] {
            last = self.send(self.http.put(format!("{}/pages/{}/{field}", self.entries, page.slug)), &value).await?;
        }
        Ok(last)
    }

    /// A card as one object.
    pub async fn put_card(&self, card: &card::Model) -> Result<u64> {
        let object = json!({"title": card.title, "url": card.url, "note": card.note, "visits": card.visits});
        self.send(self.http.put(format!("{}/cards/{}", self.entries, card.slug)), &object).await
    }

    /// Sets a title if its revision is unchanged.
    pub async fn set_title(&self, slug: &str, title: &str, revision: Option<u64>) -> Result<u64> {
        let put = self.http.put(format!("{}/pages/{slug}/title", self.entries));
        let put = match revision {
            Some(revision) => put.header(IF_MATCH, revision),
            None => put,
        };
        self.send(put, &json!(title)).await
    }

    pub async fn delete(&self, slug: &str) -> Result<u64> {
        let request = self.http.delete(format!("{}/pages/{slug}", self.entries));
        let answer = request.send().await?.error_for_status()?;
        Ok(serde_json::from_slice::<Written>(&answer.bytes().await?)?.store_seq)
    }

    async fn send(&self, request: reqwest::RequestBuilder, body: &Value) -> Result<u64> {
        let request = request.header(CONTENT_TYPE, "application/json").body(serde_json::to_vec(body)?);
        let answer = request.send().await?.error_for_status()?;
        Ok(serde_json::from_slice::<Written>(&answer.bytes().await?)?.store_seq)
    }
}

fn models(items: Vec<Item>) -> Result<Vec<Model>> {
    let mut models = Vec::new();
    let mut open: Option<(String, Map<String, Value>)> = None;
    for item in items {
        let mut segments = item.path.splitn(3, '/').skip(1);
        let (Some(slug), Some(field)) = (segments.next(), segments.next()) else { continue };
        match &mut open {
            Some((current, fields)) if current == slug => {
                fields.insert(field.to_owned(), item.value);
            }
            _ => {
                let fields = Map::from_iter([(field.to_owned(), item.value)]);
                models.extend(open.replace((slug.to_owned(), fields)).map(model).transpose()?);
            }
        }
    }
    models.extend(open.map(model).transpose()?);
    Ok(models)
}

fn model((slug, fields): (String, Map<String, Value>)) -> Result<Model> {
    let mut model: Model = serde_json::from_value(Value::Object(fields))?;
    model.slug = slug;
    Ok(model)
}
