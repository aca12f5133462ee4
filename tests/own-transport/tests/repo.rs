//! A repo over a transport that is not `dust-orm`'s.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use dust_orm::entity::prelude::*;
use dust_orm::protocol::{Mutation, Op, Path, RawJson};
use dust_orm::store::Store;
use dust_orm::{DustErr, DustRepo, ErrKind, Transport};
use own_transport::QuotaTransport;

mod link {
    #![expect(unreachable_pub, reason = "an entity is written as SeaORM shows it")]

    use dust_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, DeriveDustEntity, Serialize, Deserialize)]
    #[sea_orm(table_name = "links")]
    #[dust(prefix = "links")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub slug: String,
        pub title: String,
        pub note: Option<String>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

fn repo(quota: u64) -> DustRepo {
    DustRepo::with_transport(Arc::new(QuotaTransport::new(Store::in_memory().unwrap(), quota)))
}

fn draft(slug: &str, title: &str) -> link::ActiveModel {
    let model = link::Model { slug: slug.to_owned(), title: title.to_owned(), note: None };
    model.into_active_model()
}

#[tokio::test]
async fn repo_reads_what_it_has_written() {
    let repo = repo(u64::MAX);
    assert_eq!(repo.transport().name(), "quota");
    let written = repo.insert(draft("dust", "Dust")).await.unwrap();
    assert_eq!(repo.get::<link::Entity>("dust").await.unwrap(), written);
    assert_eq!(repo.all::<link::Entity>().await.unwrap(), [written]);
    assert!(repo.exists::<link::Entity>("dust").await.unwrap());
    repo.delete_by_id::<link::Entity>("dust").await.unwrap();
    assert_eq!(repo.find_by_id::<link::Entity>("dust").await.unwrap(), None);
}

#[tokio::test]
async fn insert_if_absent_of_a_record_that_is_there_is_refused() {
    let repo = repo(u64::MAX);
    repo.insert(draft("dust", "Dust")).if_absent().await.unwrap();
    let error = repo.insert(draft("dust", "Other")).if_absent().await.unwrap_err();
    assert_eq!((error.kind(), error.http_status()), (ErrKind::Exists, 409));
    assert_eq!(repo.get::<link::Entity>("dust").await.unwrap().title, "Dust");
}

#[tokio::test]
async fn update_with_an_old_revision_conflicts() {
    let repo = repo(u64::MAX);
    repo.insert(draft("dust", "Dust")).await.unwrap();
    let seen = repo.get_versioned::<link::Entity>("dust").await.unwrap();
    let renamed = |title: &str| {
        let mut link = seen.model.clone().into_active_model();
        link.title = Set(title.to_owned());
        link
    };
    repo.update(renamed("First")).if_match(&seen.revision).await.unwrap();
    let error = repo.update(renamed("Second")).if_match(&seen.revision).await.unwrap_err();
    let DustErr::Conflict { path, .. } = &error else { panic!("{error:?}") };
    assert_eq!((path.as_str(), error.http_status()), ("links/dust/title", 412));
    assert_eq!(repo.get::<link::Entity>("dust").await.unwrap().title, "First");
}

#[tokio::test]
async fn operation_that_the_capabilities_lack_is_not_supported() {
    let repo = repo(u64::MAX);
    let error = repo.subscribe::<link::Entity>().await.unwrap_err();
    let DustErr::NotSupported { operation, transport, .. } = &error else { panic!("{error:?}") };
    assert_eq!((operation.as_str(), *transport), ("subscribe", "quota"));
    let error = repo.lease("locks/a", Duration::from_secs(1)).await.unwrap_err();
    assert_eq!(error.kind(), ErrKind::NotSupported);
    let increment = Op::new(Path::parse("hits").unwrap(), Mutation::Increment(RawJson::parse("1").unwrap()));
    let transport = QuotaTransport::new(Store::in_memory().unwrap(), 1);
    assert_eq!(transport.write(vec![increment], None).await.unwrap_err().kind(), ErrKind::NotSupported);
}

#[tokio::test]
async fn error_of_the_transport_reaches_the_caller_with_its_cause() {
    let repo = repo(1);
    repo.insert(draft("dust", "Dust")).await.unwrap();
    let error = repo.insert(draft("rust", "Rust")).await.unwrap_err();
    assert_eq!(error.to_string(), "the quota of 1 writes is used up");
    assert_eq!(repo.find_by_id::<link::Entity>("rust").await.unwrap(), None);

    let transport = QuotaTransport::new(Store::in_memory().unwrap(), 1);
    let paths = vec![Path::parse("a").unwrap(); 2000];
    let error = transport.get_many(&paths).await.unwrap_err();
    assert_eq!(error.kind(), ErrKind::InvalidParams);
    assert!(error.source().unwrap().is::<dust_orm::store::StoreError>(), "{error:?}");
}

#[test]
fn page_of_the_guide_shows_this_crate() {
    let page = include_str!("../../../docs/guide/src/own-transport.md");
    let source = include_str!("../src/lib.rs");
    let (_, code) = source.split_once("\n\n").unwrap();
    assert!(page.contains(code), "docs/guide/src/own-transport.md differs from tests/own-transport/src/lib.rs");
}
