//! Fields: every type, serde's attributes, the dense format.

use dust_orm::ErrKind;
use serde_json::{Value, json};

use crate::context::Context;
use crate::entities::library::{author, book};
use crate::entities::renamed::renamed;
use crate::entities::*;

super::tests![
    every_type_comes_back_in_flat_mode,
    every_type_comes_back_in_map_mode,
    options_that_are_none_come_back,
    every_type_can_be_updated,
    fields_are_written_as_serde_writes_them,
    decimals_and_times_are_read_in_several_forms,
    leaves_have_the_names_of_serde,
    absent_fields_have_the_values_of_serde,
    skipped_fields_are_never_written,
    functions_of_serde_write_and_read,
    the_dense_format_is_stored_without_relations,
    builders_are_written,
    names_that_a_server_takes_for_its_own,
];

async fn every_type_comes_back_in_flat_mode(cx: &Context) {
    let model = sample::flat::full("s");
    assert_eq!(cx.repo.insert(model.clone().into_active_model()).await.unwrap(), model);
    assert_eq!(cx.repo.get::<sample::flat::Entity>("s").await.unwrap(), model);
    assert_eq!(cx.repo.all::<sample::flat::Entity>().await.unwrap(), [model]);
}

async fn every_type_comes_back_in_map_mode(cx: &Context) {
    let model = sample::map::full("s");
    assert_eq!(cx.repo.insert(model.clone().into_active_model()).await.unwrap(), model);
    assert_eq!(cx.repo.get::<sample::map::Entity>("s").await.unwrap(), model);
    assert_eq!(cx.repo.all::<sample::map::Entity>().await.unwrap(), [model]);
}

async fn options_that_are_none_come_back(cx: &Context) {
    let (flat, map) = (sample::flat::bare("s"), sample::map::bare("s"));
    // Over existing values, so that leaves are removed.
    cx.repo.put(sample::flat::full("s")).await.unwrap();
    cx.repo.put(sample::map::full("s")).await.unwrap();
    cx.repo.insert(flat.clone().into_active_model()).await.unwrap();
    cx.repo.insert(map.clone().into_active_model()).await.unwrap();
    assert_eq!(cx.repo.get::<sample::flat::Entity>("s").await.unwrap(), flat);
    assert_eq!(cx.repo.get::<sample::map::Entity>("s").await.unwrap(), map);
}

async fn every_type_can_be_updated(cx: &Context) {
    cx.repo.put(sample::flat::bare("s")).await.unwrap();
    let full = sample::flat::full("s");
    let updated = cx.repo.update(full.clone().into_active_model().reset_all()).await.unwrap();
    assert_eq!(updated, full);
    assert_eq!(cx.repo.get::<sample::flat::Entity>("s").await.unwrap(), full);
}

async fn fields_are_written_as_serde_writes_them(cx: &Context) {
    let model = sample::flat::full("s");
    cx.repo.insert(model.clone().into_active_model()).await.unwrap();
    let stored = cx.value("flat-samples/s").await.unwrap();
    for (field, value) in [
        ("level", json!("low!")),
        ("maybe_colour", json!("dark_red")),
        ("score", json!(7)),
        ("price", json!("1.20")),
        ("at", json!("2026-01-02T03:04:05.678Z")),
        ("day", json!("2026-01-02")),
        ("tags", json!(["a", ""])),
        ("parent", json!("00000000-0000-0000-0000-000000000007")),
        ("unsigned", json!(u64::MAX)),
    ] {
        assert_eq!(stored[field], value, "{field}");
    }
}

async fn decimals_and_times_are_read_in_several_forms(cx: &Context) {
    let model = sample::flat::bare("s");
    cx.repo.insert(model.clone().into_active_model()).await.unwrap();
    for price in [json!("1.20"), json!(1.2), json!({"_type": "decimal", "_typed": "1.20"})] {
        cx.set("flat-samples/s/price", price.clone()).await;
        let read = cx.repo.get::<sample::flat::Entity>("s").await.unwrap();
        assert_eq!(read.price, model.price, "{price}");
    }
    for at in [
        json!("2026-01-02T05:04:05.678+02:00"),
        json!({"_type": "datetime", "_typed": "2026-01-02T05:04:05.678+02:00"}),
    ] {
        cx.set("flat-samples/s/at", at.clone()).await;
        let read = cx.repo.get::<sample::flat::Entity>("s").await.unwrap();
        assert_eq!(read.at, model.at, "{at}");
    }
}

async fn leaves_have_the_names_of_serde(cx: &Context) {
    let model = renamed("r");
    assert_eq!(cx.repo.insert(model.clone().into_active_model()).await.unwrap(), model);
    let leaves = cx.leaves("renamed/r").await;
    let names: Vec<&str> = leaves.iter().map(|(path, _)| path.strip_prefix("renamed/r/").unwrap()).collect();
    assert_eq!(names, ["by~1whom ~0", "copies", "cover", "pages", "shortTitle"]);
    assert_eq!(cx.repo.get::<renamed::Entity>("r").await.unwrap(), model);
    let mut edit = model.into_active_model();
    edit.author = Set("Bea".to_owned());
    cx.repo.update(edit).await.unwrap();
    assert_eq!(cx.value("renamed/r/by~1whom ~0").await, Some(json!("Bea")));
}

async fn absent_fields_have_the_values_of_serde(cx: &Context) {
    cx.set("renamed/r", json!({"shortTitle": "S", "by/whom ~": "A", "cover": ""})).await;
    let read = cx.repo.get::<renamed::Entity>("r").await.unwrap();
    assert_eq!((read.pages, read.copies), (0, Some(5)));
    cx.set("renamed/r/copies", Value::Null).await;
    assert_eq!(cx.repo.get::<renamed::Entity>("r").await.unwrap().copies, None);
}

async fn skipped_fields_are_never_written(cx: &Context) {
    let model = renamed::Model { cache: "not for the store".to_owned(), ..renamed("r") };
    cx.repo.put(model.clone()).await.unwrap();
    assert!(cx.leaves("renamed/r").await.iter().all(|(path, _)| !path.ends_with("cache")));
    let mut edit = cx.repo.get::<renamed::Entity>("r").await.unwrap().into_active_model();
    assert_eq!(edit.cache, Unchanged(String::new()));
    edit.cache = Set("again".to_owned());
    let before = cx.entries("renamed/r").await;
    cx.repo.update(edit).await.unwrap();
    assert_eq!(cx.entries("renamed/r").await, before);
}

async fn functions_of_serde_write_and_read(cx: &Context) {
    cx.repo.put(renamed("r")).await.unwrap();
    assert_eq!(cx.value("renamed/r/cover").await, Some(json!("00abff")));
    cx.set("renamed/r/cover", json!("0102")).await;
    assert_eq!(cx.repo.get::<renamed::Entity>("r").await.unwrap().cover, [1, 2]);
}

async fn the_dense_format_is_stored_without_relations(cx: &Context) {
    let author = author::Model { slug: "herbert".into(), full_name: "Frank Herbert".into() };
    let book = book::Model { isbn: "1".into(), title: "Dune".into(), note: None, author_slug: "herbert".into() };
    cx.repo.put(author.clone()).await.unwrap();
    cx.repo.insert(book.clone().into_active_model()).await.unwrap();
    assert_eq!(cx.repo.all::<author::Entity>().await.unwrap(), [author]);
    assert_eq!(cx.repo.all::<book::Entity>().await.unwrap(), [book]);
    assert_eq!(cx.leaves_of_all().await.len(), 1 + 3);
}

async fn builders_are_written(cx: &Context) {
    let builder = book::ActiveModel::builder().set_isbn("1").set_title("Dune").set_author_slug("herbert");
    let inserted = cx.repo.insert(builder).await.unwrap();
    assert_eq!((inserted.title.as_str(), inserted.note), ("Dune", None));
    let builder = book::ActiveModel::builder().set_isbn("1").set_title("Dune Messiah");
    assert_eq!(cx.repo.update(builder).await.unwrap().title, "Dune Messiah");
    cx.repo.delete(book::ActiveModel::builder().set_isbn("1")).await.unwrap();
    assert!(cx.repo.all::<book::Entity>().await.unwrap().is_empty());
}

/// In flat mode each is an ordinary leaf; as one object the record would read back as another value.
async fn names_that_a_server_takes_for_its_own(cx: &Context) {
    use reserved::{json_map, typed_flat, typed_map};
    let flat = typed_flat::reserved("file");
    cx.repo.insert(flat.clone().into_active_model()).await.unwrap();
    assert_eq!(cx.repo.get::<typed_flat::Entity>("a").await.unwrap(), flat);
    let map = typed_map::reserved("page");
    cx.repo.insert(map.clone().into_active_model()).await.unwrap();
    assert_eq!(cx.repo.get::<typed_map::Entity>("a").await.unwrap(), map);
    let before = cx.leaves_of_all().await;
    for error in [
        cx.repo.put(typed_flat::reserved("lease")).await.unwrap_err(),
        cx.repo.put(typed_map::reserved("file")).await.unwrap_err(),
        cx.repo.update(typed_map::reserved("lease").into_active_model().reset_all()).await.unwrap_err(),
        cx.repo.put(json_map::reserved("any")).await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrKind::InvalidParams);
        assert!(error.to_string().contains("#[serde(rename)]"), "{error}");
    }
    assert_eq!(cx.leaves_of_all().await, before);
}
