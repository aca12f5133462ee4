//! Counters, sets and files on transports with typed ops; other transports send nothing.

use dust_orm::{Changeset, DustErr, ErrKind};
use dust_protocol::{Fence, LeafKind, Mutation, Op, RawJson};
use futures_util::future::join3;
use serde_json::json;

use crate::context::{Context, path};
use crate::entities::page::{flat, map};
use crate::entities::*;

super::tests![
    without_typed_ops_nothing_is_sent,
    increments_add_up,
    an_update_leaves_a_counter_alone,
    a_counter_of_another_kind_of_number,
    a_count_that_its_type_cannot_hold_is_not_written,
    a_count_that_its_answer_cannot_hold_is_not_written,
    a_count_that_others_carry_out_of_its_type_is_taken_back,
    a_number_that_its_type_cannot_hold_is_named,
    a_fraction_cannot_get_into_a_whole_number,
    a_set_holds_each_member_once_and_the_newest_first,
    a_member_of_another_type_is_refused,
    a_member_that_is_read_as_another_is_refused,
    fields_that_are_not_stored_are_refused,
    a_key_is_checked_as_everywhere,
    merge_writes_one_op_and_leaves_the_rest_alone,
    merge_creates_what_is_not_there,
    merge_needs_no_whole_record_in_map_mode,
    an_invalid_changeset_is_not_merged,
    a_file_comes_back,
    a_file_that_nothing_refers_to_is_gone,
    a_file_is_kept_while_one_leaf_refers_to_it,
    fenced_writes_need_the_lease,
    every_field_type_comes_back,
    changesets_take_every_field_type,
];

fn lacks_typed_ops(cx: &Context) -> bool {
    !cx.transport.capabilities().typed_ops
}

async fn without_typed_ops_nothing_is_sent(cx: &Context) {
    let (repo, probe) = cx.limited(|capabilities| capabilities.typed_ops = false);
    let part = flat::ActiveModel { slug: Set("home".into()), title: Set("Home".into()), ..Default::default() };
    let refused: [DustErr; 5] = [
        repo.increment("home", flat::Column::Hits, 1).await.unwrap_err(),
        repo.add_to_set("home", flat::Column::Tags, "rust").await.unwrap_err(),
        repo.remove_from_set("home", flat::Column::Tags, "rust").await.unwrap_err(),
        repo.put_file("home", flat::Column::Cover, "bytes").await.unwrap_err(),
        repo.merge(part).await.unwrap_err(),
    ];
    for error in refused {
        assert_eq!(error.kind(), ErrKind::NotSupported, "{error}");
    }
    assert_eq!(probe.take_calls(), []);
}

async fn increments_add_up(cx: &Context) {
    if lacks_typed_ops(cx) {
        return;
    }
    let count = |by| cx.repo.increment("home", flat::Column::Hits, by);
    let (one, two, three) = join3(count(1).into_future(), count(10).into_future(), count(100).into_future()).await;
    let largest = [one, two, three].map(Result::unwrap).into_iter().max();
    assert_eq!(largest, Some(111), "the last of them sees all");
    assert_eq!(count(-200).await.unwrap(), -89);
    let leaf = &cx.entries("flat-pages").await[0];
    assert_eq!(
        (leaf.path.as_str(), leaf.kind, leaf.value.as_str()),
        ("flat-pages/home/hits", LeafKind::Counter, "-89")
    );
    // A record that is inserted later keeps the count.
    let draft = flat::ActiveModel { slug: Set("home".into()), title: Set("Home".into()), ..Default::default() };
    assert_eq!(cx.repo.insert(draft).await.unwrap().hits, -89);
}

async fn an_update_leaves_a_counter_alone(cx: &Context) {
    if lacks_typed_ops(cx) {
        return;
    }
    let mut edit = cx.repo.put(flat::page("home")).await.unwrap().into_active_model();
    cx.repo.increment("home", flat::Column::Hits, 7).await.unwrap();
    edit.title = Set("Other".into());
    let updated = cx.repo.update(edit).await.unwrap();
    assert_eq!((updated.title.as_str(), updated.hits), ("Other", Counter::new(7)));
    assert_eq!(cx.repo.get::<flat::Entity>("home").await.unwrap(), updated);
}

async fn a_counter_of_another_kind_of_number(cx: &Context) {
    if lacks_typed_ops(cx) {
        return;
    }
    cx.repo.put(map::Model { stock: Some(5), ..map::page("home") }).await.unwrap();
    assert_eq!(cx.repo.increment("home", map::Column::Stock, -2).await.unwrap(), 3);
    assert_eq!(cx.repo.increment("home", map::Column::Score, 0.5).await.unwrap(), 0.5);
    assert_eq!(cx.repo.increment("home", map::Column::Score, 2).await.unwrap_err().kind(), ErrKind::Decode);
    let page = cx.repo.get::<map::Entity>("home").await.unwrap();
    assert_eq!((page.stock, page.score), (Some(3), Some(2.5)));
}

async fn a_count_that_its_type_cannot_hold_is_not_written(cx: &Context) {
    if lacks_typed_ops(cx) {
        return;
    }
    cx.repo.put(flat::page("home")).await.unwrap();
    let refused = async |column: flat::Column, by: i64, sum: &str| {
        let error = cx.repo.increment("home", column, by).await.unwrap_err();
        assert_eq!(error.kind(), ErrKind::InvalidParams, "{error}");
        assert!(error.to_string().contains(&format!("would become {sum}")), "{error}");
    };
    refused(flat::Column::Stock, -1, "-1").await;
    refused(flat::Column::Stock, 4_294_967_296, "4294967296").await;
    assert_eq!(cx.repo.increment("home", flat::Column::Stock, 4_294_967_295).await.unwrap(), 4_294_967_295);
    refused(flat::Column::Stock, 1, "4294967296").await;
    assert_eq!(cx.repo.increment("home", flat::Column::Stock, -4_294_967_295).await.unwrap(), 0);

    assert_eq!(cx.repo.increment("home", flat::Column::Hits, i64::MAX).await.unwrap(), i64::MAX);
    refused(flat::Column::Hits, 1, "9223372036854775808").await;
    assert_eq!(cx.repo.increment("home", flat::Column::Hits, -i64::MAX).await.unwrap(), 0);
    refused(flat::Column::Stock, i64::MIN, "-9223372036854775808").await;
    assert_eq!(cx.repo.increment("home", flat::Column::Hits, i64::MIN).await.unwrap(), i64::MIN);
    refused(flat::Column::Hits, -1, "-9223372036854775809").await;
    let page = cx.repo.get::<flat::Entity>("home").await.unwrap();
    assert_eq!((page.hits.get(), page.stock), (i64::MIN, Some(0)));

    cx.repo.put(sample::flat::bare("s")).await.unwrap();
    let error = cx.repo.increment("s", sample::flat::Column::Small, -1).await.unwrap_err();
    assert_eq!(error.kind(), ErrKind::InvalidParams, "{error}");
    assert!(error.to_string().contains("`small`") && error.to_string().contains("-129"), "{error}");
    assert_eq!(cx.repo.increment("s", sample::flat::Column::Small, 1).await.unwrap(), -127);
    let error = cx.repo.increment("s", sample::flat::Column::Single, f64::MAX).await.unwrap_err();
    assert_eq!(error.kind(), ErrKind::InvalidParams, "{error}");
}

/// The result of an increment is an `i64`, whatever the type of the field.
async fn a_count_that_its_answer_cannot_hold_is_not_written(cx: &Context) {
    if lacks_typed_ops(cx) {
        return;
    }
    let last = sample::flat::Model { unsigned: i64::MAX as u64, json: json!(i64::MAX), ..sample::flat::full("s") };
    cx.repo.put(last.clone()).await.unwrap();
    for column in [sample::flat::Column::Unsigned, sample::flat::Column::Json] {
        let error = cx.repo.increment("s", column, 1).await.unwrap_err();
        assert_eq!(error.kind(), ErrKind::InvalidParams, "{error}");
        let text = error.to_string();
        assert!(text.contains("9223372036854775808") && text.contains("the returned number"), "{text}");
    }
    assert_eq!(cx.repo.get::<sample::flat::Entity>("s").await.unwrap(), last);
    assert_eq!(cx.repo.increment("s", sample::flat::Column::Unsigned, -1).await.unwrap(), i64::MAX - 1);
}

async fn a_count_that_others_carry_out_of_its_type_is_taken_back(cx: &Context) {
    if lacks_typed_ops(cx) {
        return;
    }
    cx.repo.put(flat::Model { stock: Some(5), ..flat::page("home") }).await.unwrap();
    let (repo, probe) = cx.probe();
    let by = |by: i64| Mutation::Increment(RawJson::from(json!(by)));
    probe.intrude(Op::new(path("flat-pages/home/stock"), by(-3)));
    let error = repo.increment("home", flat::Column::Stock, -4).await.unwrap_err();
    assert_eq!(error.kind(), ErrKind::InvalidParams, "{error}");
    assert!(error.to_string().contains("-2") && error.to_string().contains("undone"), "{error}");
    assert_eq!(cx.repo.get::<flat::Entity>("home").await.unwrap().stock, Some(2));
    // If the revert fails, the error has the stored number.
    probe.intrude(Op::new(path("flat-pages/home/stock"), by(-1)));
    probe.fail_write(1, DustErr::network("gone"));
    let error = repo.increment("home", flat::Column::Stock, -2).await.unwrap_err();
    assert_eq!(error.kind(), ErrKind::Decode, "{error}");
    assert!(error.to_string().contains("the leaf holds -1"), "{error}");
    // Another increment brings it into its range again.
    assert_eq!(cx.repo.increment("home", flat::Column::Stock, 1).await.unwrap(), 0);
}

async fn a_number_that_its_type_cannot_hold_is_named(cx: &Context) {
    cx.repo.put(flat::page("home")).await.unwrap();
    cx.set("flat-pages/home/stock", json!(-1)).await;
    cx.set("flat-pages/home/hits", json!(9_223_372_036_854_775_808_u64)).await;
    let error = cx.repo.get::<flat::Entity>("home").await.unwrap_err();
    assert_eq!(error.kind(), ErrKind::Decode);
    let text = error.to_string();
    assert!(text.contains("`stock`") && text.contains("the number -1"), "{text}");
    assert!(text.contains("`hits`") && text.contains("the number 9223372036854775808"), "{text}");
    // An update that sets them makes the record valid again.
    let edit =
        flat::ActiveModel { hits: Set(Counter::new(1)), stock: Set(Some(1)), ..flat::page("home").into_active_model() };
    cx.repo.update(edit).await.unwrap();
    assert_eq!(cx.repo.get::<flat::Entity>("home").await.unwrap().stock, Some(1));
}

async fn a_fraction_cannot_get_into_a_whole_number(cx: &Context) {
    let (repo, probe) = cx.probe();
    for (column, by) in [
        (flat::Column::Hits, 0.5),
        (flat::Column::Stock, -0.5),
        (flat::Column::Score, f64::NAN),
        (flat::Column::Title, 1.0),
    ] {
        let error = repo.increment("home", column, by).await.unwrap_err();
        assert_eq!(error.kind(), ErrKind::InvalidParams, "{error}");
    }
    let error = repo.increment("home", flat::Column::Title, 1).await.unwrap_err();
    assert!(error.to_string().contains("`title`"), "{error}");
    assert_eq!(probe.take_calls(), []);
}

async fn a_set_holds_each_member_once_and_the_newest_first(cx: &Context) {
    if lacks_typed_ops(cx) {
        return;
    }
    cx.repo.put(flat::page("home")).await.unwrap();
    for tag in ["a", "b", "a"] {
        cx.repo.add_to_set("home", flat::Column::Tags, tag).await.unwrap();
    }
    cx.repo.add_to_set("home", flat::Column::Editors, &7).await.unwrap();
    let page = cx.repo.get::<flat::Entity>("home").await.unwrap();
    assert_eq!(*page.tags, ["a", "b"]);
    assert_eq!(page.editors, Some(DustSet::from([7])));
    assert_eq!(*cx.repo.remove_from_set("home", flat::Column::Tags, "a").await.unwrap(), ["b"]);
    assert_eq!(*cx.repo.remove_from_set("home", flat::Column::Tags, "nobody").await.unwrap(), ["b"]);
    assert!(cx.repo.remove_from_set("home", flat::Column::Editors, &7).await.unwrap().is_empty());
    assert_eq!(cx.repo.get::<flat::Entity>("home").await.unwrap().editors, Some(DustSet::new()));
}

async fn a_member_of_another_type_is_refused(cx: &Context) {
    let (repo, probe) = cx.probe();
    let refused = [
        repo.add_to_set("home", flat::Column::Tags, &7).await.map(drop),
        repo.remove_from_set("home", flat::Column::Editors, "seven").await.map(drop),
        repo.add_to_set("home", flat::Column::Title, "text").await.map(drop),
        repo.add_to_set("home", flat::Column::Tags, "$json").await.map(drop),
        repo.add_to_set("home", flat::Column::Tags, &None::<String>).await.map(drop),
        repo.put_file("home", flat::Column::Title, "bytes").await.map(drop),
    ];
    for error in refused {
        let error = error.unwrap_err();
        assert_eq!(error.kind(), ErrKind::InvalidParams, "{error}");
    }
    assert_eq!(probe.take_calls(), []);
}

/// A number that is stored in tens.
#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(from = "i64", into = "i64")]
struct Tens(i64);

impl From<i64> for Tens {
    fn from(number: i64) -> Tens {
        Tens(number)
    }
}

impl From<Tens> for i64 {
    fn from(tens: Tens) -> i64 {
        tens.0 / 10 * 10
    }
}

async fn a_member_that_is_read_as_another_is_refused(cx: &Context) {
    if lacks_typed_ops(cx) {
        return;
    }
    cx.repo.put(flat::page("home")).await.unwrap();
    for error in [
        cx.repo.add_to_set("home", flat::Column::Editors, &Tens(12)).await.unwrap_err(),
        cx.repo.remove_from_set("home", flat::Column::Editors, &Tens(12)).await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrKind::InvalidParams, "{error}");
        assert!(error.to_string().contains("writes it as 10"), "{error}");
    }
    cx.repo.add_to_set("home", flat::Column::Editors, &Tens(20)).await.unwrap();
    let editors = cx.repo.get::<flat::Entity>("home").await.unwrap().editors.unwrap();
    assert!(editors.contains(&20) && !editors.contains(&10), "{editors:?}");
}

async fn fields_that_are_not_stored_are_refused(cx: &Context) {
    let (repo, probe) = cx.probe();
    for column in [flat::Column::Slug, flat::Column::Draft] {
        let refused = [
            repo.increment("home", column, 1).await.map(drop),
            repo.add_to_set("home", column, "x").await.map(drop),
            repo.remove_from_set("home", column, "x").await.map(drop),
            repo.put_file("home", column, "x").await.map(drop),
        ];
        for error in refused {
            let error = error.unwrap_err();
            assert_eq!(error.kind(), ErrKind::InvalidParams);
            assert!(error.to_string().contains(&format!("`{}`", column.as_str())), "{error}");
        }
    }
    assert_eq!(probe.take_calls(), []);
}

async fn a_key_is_checked_as_everywhere(cx: &Context) {
    for key in ["", "Home", "\\*"] {
        let error = cx.repo.increment(key, flat::Column::Hits, 1).await.unwrap_err();
        assert_eq!(error.kind(), ErrKind::InvalidParams, "{error}");
    }
}

async fn merge_writes_one_op_and_leaves_the_rest_alone(cx: &Context) {
    if lacks_typed_ops(cx) {
        return;
    }
    cx.repo.put(flat::Model { stock: Some(3), ..flat::page("home") }).await.unwrap();
    let edit =
        flat::ActiveModel { slug: Set("home".into()), stock: Set(None), score: Set(Some(1.5)), ..Default::default() };
    let merged = cx.repo.merge(edit).await.unwrap().unwrap();
    assert_eq!(merged, flat::Model { stock: None, score: Some(1.5), ..flat::page("home") });
    assert_eq!(cx.repo.get::<flat::Entity>("home").await.unwrap(), merged);
    let leaves = cx.entries("flat-pages/home").await;
    let revision = |name: &str| leaves.iter().find(|leaf| leaf.path.as_str().ends_with(name)).unwrap().revision;
    assert_eq!(revision("/score"), revision("/stock"));
    assert!(revision("/title") < revision("/stock"));
    let before = cx.leaves_of_all().await;
    assert_eq!(cx.repo.merge(merged.clone().into_active_model()).await.unwrap(), Some(merged));
    assert_eq!(cx.leaves_of_all().await, before, "nothing is set, so nothing is written");
}

async fn merge_creates_what_is_not_there(cx: &Context) {
    if lacks_typed_ops(cx) {
        return;
    }
    let part = flat::ActiveModel { slug: Set("home".into()), score: Set(Some(1.5)), ..Default::default() };
    assert_eq!(cx.repo.merge(part).await.unwrap(), None, "the title is missing");
    let rest = flat::ActiveModel { slug: Set("home".into()), title: Set("Home".into()), ..Default::default() };
    assert_eq!(cx.repo.merge(rest).await.unwrap().unwrap().score, Some(1.5));
    let nothing = cx.repo.merge(flat::ActiveModel { title: Set("x".into()), ..Default::default() }).await.unwrap_err();
    assert_eq!(nothing.kind(), ErrKind::InvalidParams, "no key: {nothing}");
}

async fn merge_needs_no_whole_record_in_map_mode(cx: &Context) {
    if lacks_typed_ops(cx) {
        return;
    }
    cx.repo.put(map::Model { stock: Some(3), ..map::page("home") }).await.unwrap();
    let edit = map::ActiveModel { slug: Set("home".into()), title: Set("Other".into()), ..Default::default() };
    let merged = cx.repo.merge(edit).await.unwrap().unwrap();
    assert_eq!(merged, map::Model { title: "Other".into(), stock: Some(3), ..map::page("home") });
}

async fn an_invalid_changeset_is_not_merged(cx: &Context) {
    if lacks_typed_ops(cx) {
        return;
    }
    let params = json!({"slug": "home", "title": ""});
    let changeset =
        Changeset::cast(flat::ActiveModel { ..Default::default() }, params, [flat::Column::Slug, flat::Column::Title])
            .validate_required([flat::Column::Title]);
    assert_eq!(cx.repo.merge(changeset).await.unwrap_err().kind(), ErrKind::Invalid);
    assert_eq!(cx.leaves("flat-pages").await, []);
}

async fn a_file_comes_back(cx: &Context) {
    if lacks_typed_ops(cx) {
        return;
    }
    cx.repo.put(flat::page("home")).await.unwrap();
    let content: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    let file = cx
        .repo
        .put_file("home", flat::Column::Cover, content.clone())
        .filename("naïve \"name\".png")
        .content_type("image/png")
        .await
        .unwrap();
    assert_eq!((file.size, file.filename.as_deref()), (100_000, Some("naïve \"name\".png")));
    let page = cx.repo.get::<flat::Entity>("home").await.unwrap();
    assert_eq!(page.cover.as_ref(), Some(&file));
    assert_eq!(cx.repo.fetch_file(&file).await.unwrap(), content);

    let directory = tempfile::tempdir().unwrap();
    let place = directory.path().join("cover.png");
    std::fs::write(&place, "old").unwrap();
    cx.repo.download(&file, &place).await.unwrap();
    assert_eq!(std::fs::read(&place).unwrap(), content);
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    let nowhere = cx.repo.download(&file, directory.path().join("no/where")).await.unwrap_err();
    assert_eq!(nowhere.kind(), ErrKind::InvalidParams, "{nowhere}");
    // An edit of another field keeps the reference of `put_file`.
    let edit = flat::ActiveModel { title: Set("Other".into()), ..page.into_active_model() };
    cx.repo.update(edit).await.unwrap();
    assert_eq!(cx.repo.fetch_file(&file).await.unwrap(), content);
}

/// A missing file; a server gives the same answer for one that the token may not read.
async fn assert_gone(cx: &Context, file: &FileRef) {
    let error = cx.repo.fetch_file(file).await.unwrap_err();
    assert!(matches!(error.kind(), ErrKind::NotFound | ErrKind::Unauthorized), "{error}");
}

async fn a_file_that_nothing_refers_to_is_gone(cx: &Context) {
    if lacks_typed_ops(cx) {
        return;
    }
    let nobody = FileRef {
        hash: format!("sha256:{}", "0".repeat(64)),
        size: 1,
        content_type: None,
        filename: None,
        uploaded_at: String::new(),
    };
    assert_gone(cx, &nobody).await;
    let unique = format!("{:?}", cx.write(Op::delete(path("unique"))).await.unwrap());
    let file = cx.repo.put_file("home", flat::Column::Cover, unique).await.unwrap();
    assert_eq!(file.content_type.as_deref(), Some("application/octet-stream"));
    cx.repo.delete_by_id::<flat::Entity>("home").await.unwrap();
    assert_gone(cx, &file).await;
}

async fn a_file_is_kept_while_one_leaf_refers_to_it(cx: &Context) {
    if lacks_typed_ops(cx) {
        return;
    }
    let content = format!("shared {:?}", cx.write(Op::delete(path("unique"))).await.unwrap());
    let file = cx.repo.put_file("one", flat::Column::Cover, content.clone()).await.unwrap();
    let again = cx.repo.put_file("two", flat::Column::Cover, content.clone()).await.unwrap();
    assert_eq!(file.hash, again.hash);
    cx.repo.delete_by_id::<flat::Entity>("one").await.unwrap();
    assert_eq!(cx.repo.fetch_file(&file).await.unwrap(), content.as_bytes());
    cx.repo.put_file("two", flat::Column::Cover, "other").await.unwrap();
    assert_gone(cx, &file).await;
}

async fn fenced_writes_need_the_lease(cx: &Context) {
    if lacks_typed_ops(cx) {
        return;
    }
    let lost = || Fence { key: path("locks/pages"), token: 1 };
    let part = flat::ActiveModel { slug: Set("home".into()), title: Set("Home".into()), ..Default::default() };
    let mut refused = vec![
        cx.repo.increment("home", flat::Column::Hits, 1).fence(lost()).await.map(drop),
        cx.repo.add_to_set("home", flat::Column::Tags, "x").fence(lost()).await.map(drop),
        cx.repo.remove_from_set("home", flat::Column::Tags, "x").fence(lost()).await.map(drop),
        cx.repo.merge(part).fence(lost()).await.map(drop),
    ];
    let file = cx.repo.put_file("home", flat::Column::Cover, "x").fence(lost()).await.map(drop);
    // The realtime protocol has fences, but not for files.
    if file.as_ref().is_err_and(|error| error.kind() != ErrKind::NotSupported) {
        refused.push(file);
    }
    for error in refused {
        assert_eq!(error.unwrap_err().kind(), ErrKind::Fenced);
    }
    assert_eq!(cx.leaves_of_all().await, []);
    let lease = Mutation::Lease { holder: None, ttl_ms: 600_000 };
    let token = cx.write(Op::new(path("locks/pages"), lease)).await.unwrap();
    let held = Fence { token, ..lost() };
    assert_eq!(cx.repo.increment("home", flat::Column::Hits, 1).fence(held).await.unwrap(), 1);
}

async fn every_field_type_comes_back(cx: &Context) {
    let cover = FileRef {
        hash: "sha256:00".into(),
        size: 3,
        content_type: Some("image/png".into()),
        filename: None,
        uploaded_at: "2026-11-22T07:26:55.777391Z".into(),
    };
    let page = flat::Model {
        hits: Counter::new(i64::MIN),
        tags: DustSet::from(["$json".to_owned(), "x".to_owned(), String::new()]),
        editors: Some(DustSet::new()),
        cover: Some(cover.clone()),
        ..flat::page("home")
    };
    cx.repo.insert(page.clone().into_active_model()).await.unwrap();
    assert_eq!(cx.repo.get::<flat::Entity>("home").await.unwrap(), page);
    let twin = map::Model { cover: Some(cover), editors: Some(DustSet::from([3, 1])), ..map::page("home") };
    cx.repo.put(twin.clone()).await.unwrap();
    assert_eq!(cx.repo.get::<map::Entity>("home").await.unwrap(), twin);
}

async fn changesets_take_every_field_type(cx: &Context) {
    use flat::Column::{Cover, Editors, Hits, Slug, Tags, Title};

    let cast = |params| {
        Changeset::cast(flat::ActiveModel { ..Default::default() }, params, [Slug, Title, Hits, Tags, Editors, Cover])
    };
    let params = json!({
        "slug": "home", "title": "Home", "hits": "12", "tags": ["a", "b", "a"], "editors": ["1", "2"],
        "cover": {"_type": "file", "hash": "sha256:00", "size": 3, "content_type": null,
            "filename": "x", "uploaded_at": ""},
    });
    let inserted = cx.repo.insert(cast(params)).await.unwrap();
    assert_eq!((inserted.hits.get(), &*inserted.tags), (12, &["a".to_owned(), "b".to_owned()][..]));
    assert_eq!(inserted.editors, Some(DustSet::from([1, 2])));
    let errors = cast(json!({"hits": "1.5", "tags": "a", "cover": {"hash": "x"}})).apply().unwrap_err();
    let fields: Vec<&str> = errors.iter().map(|(field, _)| field).collect();
    assert_eq!(fields, ["hits", "tags", "cover"]);
}
