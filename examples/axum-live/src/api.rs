//! The site as JSON, for scripts and other programs.

use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::html::in_url;
use crate::link;
use crate::site::Site;

pub(crate) fn routes() -> Router<Site> {
    Router::new()
        .route("/api/links", get(list).post(add))
        .route("/api/links/{slug}", get(show).patch(save).delete(remove))
}

#[derive(Deserialize)]
struct Page {
    after: Option<String>,
    limit: Option<u64>,
}

/// Returns links in the order of their slugs: `?limit=` of them, 100 unless given, at most 1000, behind `?after=`. A
/// full page has the address of the next one in a `Link` header.
async fn list(State(site): State<Site>, Query(page): Query<Page>) -> Result<Response, Failure> {
    let limit = page.limit.unwrap_or(100).min(1000);
    let links = site.repo.find::<link::Entity>().after(page.after.unwrap_or_default()).first(limit).all().await?;
    let next = links.last().filter(|_| links.len() as u64 == limit);
    let next = next.map(|last| format!(r#"</api/links?after={}&limit={limit}>; rel="next""#, in_url(&last.slug)));
    let mut response = Json(links).into_response();
    if let Some(Ok(next)) = next.map(HeaderValue::try_from) {
        response.headers_mut().insert(header::LINK, next);
    }
    Ok(response)
}

async fn add(State(site): State<Site>, Json(params): Json<Value>) -> Result<(StatusCode, Json<link::Model>), Failure> {
    Ok((StatusCode::CREATED, Json(site.add(&params).await?)))
}

/// Returns a link with its revision as a text, and an `ETag`. A change with this revision fails if others have changed
/// the same fields since, a change with `If-Match` if they have changed the link.
async fn show(State(site): State<Site>, Path(slug): Path<String>) -> Result<impl IntoResponse, Failure> {
    let seen = site.repo.get_versioned::<link::Entity>(&slug).await?;
    let body = json!({"link": seen.model, "revision": json!(seen.revision).to_string()});
    Ok(([(header::ETAG, seen.revision.etag())], Json(body)))
}

async fn save(
    State(site): State<Site>,
    Path(slug): Path<String>,
    headers: HeaderMap,
    Json(params): Json<Value>,
) -> Result<impl IntoResponse, Failure> {
    // A header that is no text matches no tag.
    let if_match = headers.get(header::IF_MATCH).map(|value| value.to_str().unwrap_or_default());
    let saved = site.save(&slug, &params, if_match).await?;
    Ok(([(header::ETAG, saved.revision.etag())], Json(saved.model)))
}

async fn remove(State(site): State<Site>, Path(slug): Path<String>) -> Result<StatusCode, Failure> {
    site.remove(&slug).await?;
    Ok(StatusCode::NO_CONTENT)
}
