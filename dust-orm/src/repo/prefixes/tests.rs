use std::fmt;
use std::sync::{Arc, Mutex};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};

use crate::tests_cfg::{bookmark, link, setting};
use crate::{BatchEntry, DustRepo, ErrKind};

macro_rules! entity {
    ($module:ident, $($prefix:literal),+) => {
        mod $module {
            use crate::entity::prelude::*;

            #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, DeriveDustEntity)]
            #[sea_orm(table_name = "things")]
            #[dust(prefix($($prefix),+), key_case = "any", crate = "crate")]
            pub(super) struct Model {
                #[sea_orm(primary_key, auto_increment = false)]
                pub name: String,
                pub title: String,
            }

            #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
            pub(super) enum Relation {}

            impl ActiveModelBehavior for ActiveModel {}

            pub(super) fn thing(name: &str) -> Model {
                Model { name: name.to_owned(), title: "T".to_owned() }
            }
        }
    };
}

entity!(app, "app");
entity!(same_app, "app");
entity!(upper_app, "App", "Deep", "Down");
entity!(notes_of_ada, "bookmarks", "ada", "7", "notes");

/// Collects the warnings as `outer_prefix > inner_prefix`.
#[derive(Clone, Default)]
struct Warnings(Arc<Mutex<Vec<String>>>);

impl Warnings {
    fn take(&self) -> Vec<String> {
        let mut taken = std::mem::take(&mut *self.0.lock().unwrap());
        taken.sort();
        taken
    }
}

impl tracing::Subscriber for Warnings {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() == tracing::Level::WARN
    }

    fn event(&self, event: &tracing::Event<'_>) {
        struct Named(Vec<String>);
        impl Visit for Named {
            fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
                if field.name() != "message" {
                    self.0.push(format!("{value:?}").trim_matches('"').to_owned());
                }
            }
        }
        let mut named = Named(Vec::new());
        event.record(&mut named);
        self.0.lock().unwrap().push(named.0.join(" "));
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

const APP_AND_SETTINGS: &str =
    "dust_orm::repo::prefixes::tests::app::Entity app dust_orm::tests_cfg::setting::Entity app/settings";

#[tokio::test]
async fn nested_prefixes_are_warned_of_once() {
    let warnings = Warnings::default();
    let _guard = tracing::subscriber::set_default(warnings.clone());
    for first_is_outer in [true, false] {
        let repo = DustRepo::embedded();
        for _ in 0..3 {
            if first_is_outer {
                repo.put(app::thing("a")).await.unwrap();
            }
            repo.clone().all::<setting::Entity>().await.unwrap();
            repo.find_by_id::<app::Entity>("a").await.unwrap();
            repo.all::<link::Entity>().await.unwrap();
        }
        assert_eq!(warnings.take(), [APP_AND_SETTINGS], "{first_is_outer}");
    }
}

#[tokio::test]
async fn every_kind_of_use_is_noticed() {
    let warnings = Warnings::default();
    let _guard = tracing::subscriber::set_default(warnings.clone());
    let repos = || {
        let repo = DustRepo::embedded();
        (repo.clone(), repo)
    };
    let (repo, clone) = repos();
    repo.all::<app::Entity>().await.unwrap();
    clone.batch_write([BatchEntry::delete_by_id::<setting::Entity>("x")]).await.unwrap();
    assert_eq!(warnings.take(), [APP_AND_SETTINGS]);

    let (repo, clone) = repos();
    repo.all::<app::Entity>().await.unwrap();
    drop(clone.subscribe::<setting::Entity>().await.unwrap());
    assert_eq!(warnings.take(), [APP_AND_SETTINGS]);

    let (repo, clone) = repos();
    repo.all::<setting::Entity>().await.unwrap();
    let lease = clone.lease("locks/a", std::time::Duration::from_secs(60)).await.unwrap();
    lease.repo().all::<app::Entity>().await.unwrap();
    assert_eq!(warnings.take(), [APP_AND_SETTINGS]);

    let (repo, clone) = repos();
    repo.all::<setting::Entity>().await.unwrap();
    drop(clone.increment("x", app::Column::Title, 1));
    assert_eq!(warnings.take(), [APP_AND_SETTINGS]);
}

#[tokio::test]
async fn equal_prefixes_do_not_nest() {
    let warnings = Warnings::default();
    let _guard = tracing::subscriber::set_default(warnings.clone());
    let repo = DustRepo::embedded();
    repo.put(app::thing("a")).await.unwrap();
    assert_eq!(repo.all::<same_app::Entity>().await.unwrap(), [same_app::thing("a")]);
    assert_eq!(warnings.take(), [""; 0]);
    repo.delete_all::<app::Entity>().await.unwrap();
    assert!(repo.all::<same_app::Entity>().await.unwrap().is_empty());
}

#[tokio::test]
async fn prefix_in_key_space_is_nested_ignoring_case() {
    let warnings = Warnings::default();
    let _guard = tracing::subscriber::set_default(warnings.clone());
    let repo = DustRepo::embedded();
    repo.all::<app::Entity>().await.unwrap();
    repo.put(upper_app::thing("x")).await.unwrap();
    let warned = warnings.take();
    assert!(matches!(&warned[..], [one] if one.ends_with("App/Deep/Down")), "{warned:?}");
    assert_eq!(repo.delete_all::<app::Entity>().await.unwrap_err().kind(), ErrKind::InvalidParams);
}

#[tokio::test]
async fn delete_all_of_outer_entity_is_refused() {
    let repo = DustRepo::embedded();
    repo.put(app::thing("a")).await.unwrap();
    repo.put(setting::Model { name: "s".into(), enabled: true, options: serde_json::json!({"a": 1}), owner: None })
        .await
        .unwrap();
    let error = repo.delete_all::<app::Entity>().await.unwrap_err();
    assert_eq!(error.kind(), ErrKind::InvalidParams);
    let text = error.to_string();
    assert!(text.contains("setting::Entity` at `app/settings`") && text.contains("by their keys"), "{text}");
    assert!(repo.exists::<app::Entity>("a").await.unwrap() && repo.exists::<setting::Entity>("s").await.unwrap());
    repo.delete_all::<setting::Entity>().await.unwrap();
    assert!(repo.exists::<app::Entity>("a").await.unwrap());
}

#[tokio::test]
async fn delete_all_within_is_refused_if_another_prefix_is_inside() {
    let repo = DustRepo::embedded();
    repo.put(notes_of_ada::thing("n")).await.unwrap();
    for owner in ["ada", "bob"] {
        repo.put(bookmark::Model { owner: owner.into(), id: 8, url: "u".into() }).await.unwrap();
    }
    assert!(repo.delete_all::<bookmark::Entity>().within("ada").await.is_err());
    assert!(repo.delete_all::<bookmark::Entity>().await.is_err());
    repo.delete_all::<bookmark::Entity>().within("bob").await.unwrap();
    let left: Vec<String> =
        repo.all::<bookmark::Entity>().await.unwrap().into_iter().map(|bookmark| bookmark.owner).collect();
    assert_eq!(left, ["ada"]);
    repo.delete_by_id::<bookmark::Entity>(("ada", 8)).await.unwrap();
    assert!(repo.exists::<notes_of_ada::Entity>("n").await.unwrap());
}

#[test]
fn pair_used_by_many_threads_is_warned_of_once() {
    let warnings = Warnings::default();
    let repo = DustRepo::embedded();
    let start = std::sync::Barrier::new(8);
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let (repo, warnings, start) = (repo.clone(), warnings.clone(), &start);
            scope.spawn(move || {
                tracing::subscriber::with_default(warnings, || {
                    start.wait();
                    for turn in 0..4 {
                        match (thread + turn) % 4 {
                            0 => repo.prefixes.note::<app::Entity>(),
                            1 => repo.prefixes.note::<setting::Entity>(),
                            2 => repo.prefixes.note::<upper_app::Entity>(),
                            _ => repo.prefixes.note::<link::Entity>(),
                        }
                    }
                });
            });
        }
    });
    assert_eq!(warnings.take().len(), 2, "`app` with each of the two below it");
    assert_eq!(repo.prefixes.iter().count(), 4);
}
