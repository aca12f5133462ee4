//! The site as JSON, for scripts and other programs.

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::link;
use crate::site::Site;

pub(crate) fn routes() -> Router<Site> {
    Router::new()
        .route("/api/links", get(list).post(add))
        .route("/api/links/{slug}", get(show).patch(save).delete(remove))
}

async fn list(State(site): State<Site>) -> Result<Json<Vec<link::Model>>, Failure> {
    Ok(Json(site.repo.all::<link::Entity>().await?))
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
