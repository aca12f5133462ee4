//! The pages. They need no script: a refused form is shown again with its input, and the errors beside its fields; an
//! accepted form redirects to the list.

use axum::Router;
use axum::extract::{Form, Path, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use dust_orm::DustErr;
use serde_json::{Value, json};

use crate::site::Site;
use crate::{failure, html, link};

pub(crate) fn routes() -> Router<Site> {
    Router::new()
        .route("/", get(index))
        .route("/links", post(add))
        .route("/links/{slug}", get(edit).post(save))
        .route("/links/{slug}/delete", post(remove))
}

async fn index(State(site): State<Site>) -> Response {
    list(&site, &Value::Null, None).await
}

async fn add(State(site): State<Site>, Form(params): Form<Value>) -> Response {
    match site.add(&params).await {
        Ok(_) => Redirect::to("/").into_response(),
        Err(error) => list(&site, &params, Some(&error)).await,
    }
}

async fn list(site: &Site, params: &Value, refused: Option<&DustErr>) -> Response {
    // Read before the list, so that events after this op miss no change of the list.
    let after = site.links.receiver().store_seq();
    match site.repo.all::<link::Entity>().await {
        Ok(links) => answer(refused, html::index(&html::new_link(params, refused), &links, after)),
        Err(error) => trouble(&error),
    }
}

async fn edit(State(site): State<Site>, Path(slug): Path<String>) -> Response {
    match site.repo.find_versioned::<link::Entity>(&slug).await {
        Ok(Some(seen)) => {
            let mut params = json!(seen.model);
            params["revision"] = json!(seen.revision).to_string().into();
            Html(html::edit(&slug, &params, None)).into_response()
        }
        Ok(None) => trouble(&DustErr::not_found(slug)),
        Err(error) => trouble(&error),
    }
}

async fn save(State(site): State<Site>, Path(slug): Path<String>, Form(params): Form<Value>) -> Response {
    match site.save(&slug, &params, None).await {
        Ok(_) => Redirect::to("/").into_response(),
        Err(error) => answer(Some(&error), html::edit(&slug, &params, Some(&error))),
    }
}

async fn remove(State(site): State<Site>, Path(slug): Path<String>) -> Response {
    match site.remove(&slug).await {
        Ok(()) => Redirect::to("/").into_response(),
        Err(error) => trouble(&error),
    }
}

fn answer(refused: Option<&DustErr>, page: String) -> Response {
    (refused.map_or(StatusCode::OK, failure::status), Html(page)).into_response()
}

fn trouble(error: &DustErr) -> Response {
    answer(Some(error), html::trouble(failure::message(error)))
}
