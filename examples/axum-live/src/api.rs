//! The site as JSON, for scripts and other programs.

use axum::extract::{Path, State};
use axum::http::StatusCode;
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

/// Returns a link with its revision as a text. A change with this revision fails if others have changed the link since.
async fn show(State(site): State<Site>, Path(slug): Path<String>) -> Result<Json<Value>, Failure> {
    let seen = site.repo.get_versioned::<link::Entity>(&slug).await?;
    Ok(Json(json!({"link": seen.model, "revision": json!(seen.revision).to_string()})))
}

async fn save(
    State(site): State<Site>,
    Path(slug): Path<String>,
    Json(params): Json<Value>,
) -> Result<Json<link::Model>, Failure> {
    Ok(Json(site.save(&slug, &params).await?))
}

async fn remove(State(site): State<Site>, Path(slug): Path<String>) -> Result<StatusCode, Failure> {
    site.remove(&slug).await?;
    Ok(StatusCode::NO_CONTENT)
}
