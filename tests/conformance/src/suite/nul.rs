//! NUL characters in paths: a server loses leaves with them, so no transport sends one.

use dust_orm::{DustErr, ErrKind};
use dust_protocol::{Fence, FileUpload, ListRequest, Mutation, Op, Pattern, RawJson, Selector};
use serde_json::{Value, json};

use crate::context::{Context, path};
use crate::entities::*;

super::tests![
    a_key_with_a_nul_is_refused_by_every_verb,
    a_key_with_a_nul_inside_a_field_is_refused_by_every_verb,
    a_path_with_a_nul_is_refused_by_every_call,
    a_nul_that_becomes_no_part_of_a_path_comes_back,
];

fn assert_names<T>(answer: Result<T, DustErr>, name: &str) {
    let error = answer.err().unwrap();
    assert_eq!(error.kind(), ErrKind::InvalidParams, "{error}");
    let text = error.to_string();
    assert!(text.contains("NUL") && text.contains(name), "{text}");
}

async fn a_key_with_a_nul_is_refused_by_every_verb(cx: &Context) {
    let (repo, probe) = cx.probe();
    for key in ["\0", "a\0b"] {
        let name = &format!("{key:?} cannot be a key under `links`");
        assert_names(repo.insert(new_link(key)).await, name);
        assert_names(repo.insert(new_link(key)).if_absent().await, name);
        assert_names(repo.insert_many([new_link("a"), new_link(key)]).await, name);
        assert_names(repo.update(retitled(key, "x")).await, name);
        assert_names(repo.put(link(key)).await, name);
        assert_names(repo.delete_by_id::<link::Entity>(key).await, name);
        assert_names(repo.find_by_id::<link::Entity>(key).await, name);
        assert_names(repo.get::<link::Entity>(key).await, name);
        assert_names(repo.find_versioned::<link::Entity>(key).await, name);
        assert_names(repo.find_many::<link::Entity>(["a", key]).await, name);
        assert_names(repo.exists::<link::Entity>(key).await, name);
        assert_names(repo.increment(key, page::flat::Column::Hits, 1).await, "cannot be a key");
        if cx.transport.capabilities().typed_ops {
            assert_names(repo.merge(retitled(key, "x")).await, name);
            assert_names(repo.lease(format!("locks/{key}"), std::time::Duration::from_secs(5)).await, "NUL");
        }
    }
    assert!(!probe.take_calls().iter().any(|call| format!("{call:?}") != "Write"), "only a lease is requested");
    assert_eq!(cx.leaves_of_all().await, []);
}

async fn a_key_with_a_nul_inside_a_field_is_refused_by_every_verb(cx: &Context) {
    let (repo, probe) = cx.probe();
    for value in [json!({"a\0": 1}), json!({"x": {"y": {"\0": null}}})] {
        let flat = docs::flat::doc("a", &value);
        let map = docs::map::doc("a", &value);
        assert_names(repo.put(flat.clone()).await, "`value`");
        assert_names(repo.put(map.clone()).await, "`value`");
        assert_names(repo.insert(flat.clone().into_active_model().reset_all()).await, "`value`");
        assert_names(repo.insert_many([map.into_active_model().reset_all()]).await, "`value`");
        if cx.transport.capabilities().typed_ops {
            assert_names(repo.merge(flat.into_active_model().reset_all()).await, "`value`");
        }
    }
    assert_eq!(probe.take_calls(), []);
}

async fn a_path_with_a_nul_is_refused_by_every_call(cx: &Context) {
    let (odd, fine) = (path("a/x\0y"), path("a/b"));
    let (transport, one) = (&cx.transport, RawJson::from(json!(1)));
    assert_names(transport.get(&odd).await, "x\\0y");
    assert_names(transport.get_many(&[fine.clone(), odd.clone()]).await, "x\\0y");
    assert_names(transport.exists(&odd).await, "x\\0y");
    assert_names(transport.list_subtree(&odd, None).await, "x\\0y");
    let pattern = ListRequest::pattern(Pattern::parse("a/x\0y/*").unwrap());
    assert_names(transport.list(&pattern).await, "x\\0y");
    let selector = Selector::Range { from: fine.clone(), to: odd.clone() };
    assert_names(transport.list(&ListRequest::new(selector)).await, "x\\0y");
    let write = |at: &dust_protocol::Path, op: Mutation| Op::new(at.clone(), op);
    assert_names(transport.write(vec![write(&odd, Mutation::Set(one.clone()))], None).await, "x\\0y");
    assert_names(transport.write(vec![write(&odd, Mutation::Delete)], None).await, "x\\0y");
    assert_names(transport.write(vec![Op::set(odd.clone(), one.clone())], None).await, "x\\0y");
    assert_names(transport.write(vec![Op::delete(odd.clone())], None).await, "x\\0y");
    let object = RawJson::parse(r#"{"k":{"n\u0000":1}}"#).unwrap();
    assert_names(transport.write(vec![write(&fine, Mutation::Set(object.clone()))], None).await, "`a/b`");
    assert_names(transport.write(vec![Op::set(fine.clone(), object.clone())], None).await, "`a/b`");
    if cx.transport.capabilities().typed_ops {
        assert_names(transport.write(vec![write(&fine, Mutation::Merge(object))], None).await, "`a/b`");
        let looks_whole = RawJson::parse(r#"{"_type":"file","n\u0000":1}"#).unwrap();
        assert_names(transport.write(vec![write(&fine, Mutation::Merge(looks_whole))], None).await, "`a/b`");
        assert_names(transport.write(vec![write(&odd, Mutation::Increment(one.clone()))], None).await, "x\\0y");
        let file = FileUpload::new(odd.clone(), b"x".to_vec());
        assert_names(transport.put_file(file, None).await, "x\\0y");
    }
    if cx.transport.capabilities().fences {
        let fence = Some(Fence { key: odd, token: 1 });
        assert_names(transport.write(vec![Op::set(fine, one)], fence).await, "x\\0y");
    }
    assert_eq!(cx.leaves_of_all().await, []);
}

async fn a_nul_that_becomes_no_part_of_a_path_comes_back(cx: &Context) {
    let values: [Value; 4] =
        [json!("a\0"), json!(["\0", {"\0": 1}]), json!({"a": "\0", "\\u0000": 1}), json!([{"x\0": {}}])];
    for (n, value) in values.iter().enumerate() {
        let doc = docs::flat::doc(&format!("d{n}"), value);
        cx.repo.put(doc.clone()).await.unwrap();
        assert_eq!(cx.repo.get::<docs::flat::Entity>(doc.slug.clone()).await.unwrap(), doc);
    }
}
