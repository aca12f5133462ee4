//! Composite keys: every verb, with a key of several path segments.

use dust_orm::{BatchEntry, Changeset, DustErr, ErrKind, Event};
use serde_json::json;

use crate::context::Context;
use crate::entities::composite::entry::entry;
use crate::entities::composite::vote::vote;
use crate::entities::composite::{KEPT, entry as entries, owner, vote as votes};
use crate::entities::*;
use crate::probe::Call;

super::tests![
    key_has_one_segment_per_part,
    verbs_take_the_key_flat,
    verbs_take_the_key_map,
    insert_if_absent_compares_whole_key,
    merge_writes_the_record_of_the_key,
    batch_writes_records_of_keys,
    bulk_insert_and_find_many_keep_the_order,
    find_many_of_many_owners_shares_requests,
    odd_parts_come_back,
    parts_are_not_confused,
    leaves_of_other_depths_are_no_records,
    invalid_part_is_refused_with_its_field,
    invalid_part_is_not_found,
    unreadable_part_is_a_misfit,
    part_not_set_is_refused_with_its_field,
    fields_are_changed_by_key,
    files_are_put_by_key,
    changed_part_is_refused,
    hooks_have_the_whole_key,
    delete_all_within_removes_one_owner_in_one_op,
    delete_all_within_refuses_invalid_part,
    subscribers_receive_the_key,
    live_finds_by_key,
    pages_do_not_cut_records,
];

type Entry = entries::Entity;
type Vote = votes::Entity;

fn new_entry(owner: &str, name: &str) -> entries::ActiveModel {
    entry(owner, name).into_active_model().reset_all()
}

fn names(entries: &[entries::Model]) -> Vec<(&str, &str)> {
    entries.iter().map(|entry| (&*entry.owner, &*entry.name)).collect()
}

async fn key_has_one_segment_per_part(cx: &Context) {
    let model = votes::Model { voter: "a/b".to_owned(), ..vote(7, -3, "") };
    cx.repo.insert(model.into_active_model().reset_all()).await.unwrap();
    let record = format!("app/votes/{}/-3/a~1b", Uuid::from_u128(7));
    assert_eq!(
        cx.leaves("app/votes").await,
        [(format!("{record}/choice"), json!("yes")), (format!("{record}/weight"), json!(1))]
    );
}

async fn verbs_take_the_key_flat(cx: &Context) {
    let repo = &cx.repo;
    for name in ["dust", "rust"] {
        assert_eq!(repo.insert(new_entry("ada", name)).await.unwrap(), entry("ada", name));
    }
    repo.insert(new_entry("bob", "dust")).await.unwrap();
    let key = ("ada", "dust");
    assert_eq!(repo.get::<Entry>(key).await.unwrap(), entry("ada", "dust"));
    assert_eq!(repo.find_by_id::<Entry>(("bob", "rust")).await.unwrap(), None);
    assert!(repo.exists::<Entry>(key).await.unwrap() && !repo.exists::<Entry>(("ada", "dus")).await.unwrap());
    assert!(!repo.exists::<Entry>(("dust", "ada")).await.unwrap());

    let seen = repo.find_versioned::<Entry>(key).await.unwrap().unwrap();
    let mut edit = seen.model.into_active_model();
    edit.title = Set("edited".to_owned());
    let edited = repo.update(edit.clone()).if_match(&seen.revision).await.unwrap();
    assert_eq!(edited, entries::Model { title: "edited".to_owned(), ..entry("ada", "dust") });
    let error = repo.update(edit).if_match(&seen.revision).await.unwrap_err();
    assert!(matches!(&error, DustErr::Conflict { path, .. } if path.starts_with("entries/ada/dust")), "{error:?}");
    assert_eq!(repo.get_versioned::<Entry>(key).await.unwrap().model, edited);

    let put = entries::Model { note: None, ..edited };
    assert_eq!(repo.put(put.clone()).await.unwrap(), put);
    assert_eq!(repo.all::<Entry>().await.unwrap(), [put, entry("ada", "rust"), entry("bob", "dust")]);

    let error = repo.get::<Entry>(("ada", "a/b")).await.unwrap_err();
    assert!(matches!(&error, DustErr::NotFound { what, .. } if what.contains("`entries/ada/a~1b`")), "{error:?}");
    let missing = new_entry("ada", "none");
    assert_eq!(repo.update(missing).await.unwrap_err().kind(), ErrKind::NotFound);

    repo.delete_by_id::<Entry>(key).await.unwrap();
    repo.delete(new_entry("bob", "dust")).await.unwrap();
    assert_eq!(repo.all::<Entry>().await.unwrap(), [entry("ada", "rust")]);
}

async fn verbs_take_the_key_map(cx: &Context) {
    let repo = &cx.repo;
    for voter in ["ada", "bob"] {
        repo.insert(vote(1, 2, voter).into_active_model().reset_all()).await.unwrap();
    }
    let key = (Uuid::from_u128(1), 2, "ada");
    let seen = repo.find_versioned::<Vote>(key).await.unwrap().unwrap();
    assert_eq!(seen.model, vote(1, 2, "ada"));
    let mut edit = seen.model.into_active_model();
    edit.choice = Set("no".to_owned());
    let edited = repo.update(edit.clone()).if_match(&seen.revision).await.unwrap();
    assert_eq!(repo.get::<Vote>(key).await.unwrap(), edited);
    assert_eq!(repo.update(edit).if_match(&seen.revision).await.unwrap_err().kind(), ErrKind::Conflict);
    let seen = repo.get_versioned::<Vote>(key).await.unwrap();
    repo.delete_by_id::<Vote>(key).if_match(&seen.revision).await.unwrap();
    assert_eq!(repo.all::<Vote>().await.unwrap(), [vote(1, 2, "bob")]);
}

async fn insert_if_absent_compares_whole_key(cx: &Context) {
    cx.repo.insert(new_entry("ada", "dust")).if_absent().await.unwrap();
    cx.repo.insert(new_entry("ada", "rust")).if_absent().await.unwrap();
    let error = cx.repo.insert(new_entry("ada", "dust")).if_absent().await.unwrap_err();
    assert!(matches!(&error, DustErr::Exists { path, .. } if path == "entries/ada/dust"), "{error:?}");
    cx.repo.insert(vote(1, 1, "ada").into_active_model().reset_all()).if_absent().await.unwrap();
    let error = cx.repo.insert(vote(1, 1, "ada").into_active_model().reset_all()).if_absent().await.unwrap_err();
    assert_eq!(error.kind(), ErrKind::Exists);
    assert_eq!(names(&cx.repo.all::<Entry>().await.unwrap()), [("ada", "dust"), ("ada", "rust")]);
}

async fn merge_writes_the_record_of_the_key(cx: &Context) {
    if !cx.transport.capabilities().typed_ops {
        return;
    }
    cx.repo.insert(new_entry("ada", "dust")).await.unwrap();
    let part = entries::ActiveModel {
        owner: Set("ada".to_owned()),
        name: Set("dust".to_owned()),
        note: Set(None),
        ..Default::default()
    };
    let merged = cx.repo.merge(part).await.unwrap().unwrap();
    assert_eq!(merged, entries::Model { note: None, ..entry("ada", "dust") });
}

async fn batch_writes_records_of_keys(cx: &Context) {
    cx.repo.insert_many([new_entry("ada", "old"), new_entry("bob", "old")]).await.unwrap();
    let edit = entries::ActiveModel { title: Set("new".to_owned()), ..entry("bob", "old").into_active_model() };
    cx.repo
        .batch_write([
            BatchEntry::insert(new_entry("cid", "x")),
            BatchEntry::update(edit),
            BatchEntry::delete_by_id::<Entry>(("ada", "old")),
            BatchEntry::insert(vote(1, 1, "v").into_active_model().reset_all()),
        ])
        .await
        .unwrap();
    let edited = entries::Model { title: "new".to_owned(), ..entry("bob", "old") };
    assert_eq!(cx.repo.all::<Entry>().await.unwrap(), [edited, entry("cid", "x")]);
    assert_eq!(cx.repo.all::<Vote>().await.unwrap(), [vote(1, 1, "v")]);
}

async fn bulk_insert_and_find_many_keep_the_order(cx: &Context) {
    let keys = [("b", "2"), ("a", "2"), ("b", "1"), ("a/b", "~"), ("a", "10")];
    let models = cx.repo.insert_many(keys.map(|(owner, name)| new_entry(owner, name))).await.unwrap();
    assert_eq!(names(&models), keys);
    let wanted = [keys[0], ("a", "none"), keys[3], keys[1], ("", "2"), ("none", "2"), keys[0], keys[4], keys[2]];
    let found = cx.repo.find_many::<Entry>(wanted).await.unwrap();
    let expected = wanted.map(|key| keys.contains(&key).then(|| entry(key.0, key.1)));
    assert_eq!(found, expected);
    let votes = [vote(2, 1, "x"), vote(1, 2, "y"), vote(1, 1, "x")];
    cx.repo.insert_many(votes.clone().map(|vote| vote.into_active_model().reset_all())).await.unwrap();
    let found = cx.repo.find_many::<Vote>(votes.iter().map(|vote| (vote.poll, vote.round, &*vote.voter)));
    assert_eq!(found.await.unwrap(), votes.map(Some));
}

async fn find_many_of_many_owners_shares_requests(cx: &Context) {
    let owners: Vec<String> = (0..50).map(|number| format!("owner-{number:02}")).collect();
    cx.repo.insert_many(owners.iter().map(|owner| new_entry(owner, "dust"))).await.unwrap();
    let (repo, probe) = cx.limited(|capabilities| capabilities.remote = true);
    let found = repo.find_many::<Entry>(owners.iter().map(|owner| (owner, "dust"))).await.unwrap();
    assert!(found.iter().all(Option::is_some));
    // Six leaves each: one page.
    let calls = probe.take_calls();
    assert!(calls.len() <= 2, "{calls:?}");
}

async fn odd_parts_come_back(cx: &Context) {
    let odd = [
        "a/b", "a", "b", "/", "//", "~", "~0", "~1", "a~1b", "*", "**", "a*", ".", "..", "%", "%2f", "_", " ", "\n",
        "\u{1}", "\"", "\\", "é", "e\u{301}", "😀", "title", "note", "null", "0", "-1", "batch",
    ];
    let mut models = Vec::new();
    for (index, part) in odd.iter().enumerate() {
        for other in ["x", odd[(index + 1) % odd.len()], "title"] {
            models.push(entry(part, other));
        }
    }
    models.sort_by(|one, other| (&one.owner, &one.name).cmp(&(&other.owner, &other.name)));
    models.dedup();
    cx.repo.insert_many(models.iter().map(|model| model.clone().into_active_model().reset_all())).await.unwrap();
    let mut all = cx.repo.all::<Entry>().await.unwrap();
    all.sort_by(|one, other| (&one.owner, &one.name).cmp(&(&other.owner, &other.name)));
    assert_eq!(all, models);
    let keys = || models.iter().map(|model| (&*model.owner, &*model.name));
    let found = cx.repo.find_many::<Entry>(keys()).await.unwrap();
    assert!(found.iter().zip(&models).all(|(found, model)| found.as_ref() == Some(model)));
    for key in keys().step_by(7) {
        assert_eq!(cx.repo.get::<Entry>(key).await.unwrap(), entry(key.0, key.1));
        cx.repo.delete_by_id::<Entry>(key).await.unwrap();
    }
    let left = cx.repo.all::<Entry>().await.unwrap();
    let deleted: Vec<_> = keys().step_by(7).collect();
    assert_eq!(left.len(), models.len() - deleted.len());
    assert!(names(&left).iter().all(|key| !deleted.contains(key)));
}

async fn parts_are_not_confused(cx: &Context) {
    let keys = [("a", "b"), ("a/b", "c"), ("a", "b/c"), ("a~1b", "c"), ("b", "a"), ("a", "title"), ("title", "a")];
    cx.repo.insert_many(keys.map(|(owner, name)| new_entry(owner, name))).await.unwrap();
    for key in keys {
        assert_eq!(cx.repo.get::<Entry>(key).await.unwrap(), entry(key.0, key.1));
    }
    cx.repo.delete_by_id::<Entry>(("a", "b")).await.unwrap();
    assert_eq!(cx.repo.all::<Entry>().await.unwrap().len(), keys.len() - 1);
    cx.repo.delete_all::<Entry>().within("a/b").await.unwrap();
    let left = cx.repo.all::<Entry>().await.unwrap();
    assert_eq!(names(&left), [("a", "b/c"), ("a", "title"), ("a~1b", "c"), ("b", "a"), ("title", "a")]);
}

async fn leaves_of_other_depths_are_no_records(cx: &Context) {
    cx.set_all([("entries/ada/title", json!("Ada")), ("entries/bob", json!(1)), ("entries/ada/dust", json!("x"))])
        .await;
    assert_eq!(cx.repo.all::<Entry>().await.unwrap(), []);
    assert_eq!(cx.repo.find_by_id::<Entry>(("ada", "title")).await.unwrap(), None);
    cx.delete("entries").await;

    cx.set("entries/ada/title", json!("Ada")).await;
    cx.repo.insert(new_entry("ada", "dust")).await.unwrap();
    cx.repo.insert(new_entry("bob", "dust")).await.unwrap();
    assert_eq!(names(&cx.repo.all::<Entry>().await.unwrap()), [("ada", "dust"), ("bob", "dust")]);
    let found = cx.repo.find_many::<Entry>([("ada", "title"), ("ada", "dust")]).await.unwrap();
    assert_eq!(found, [None, Some(entry("ada", "dust"))]);
    // A key of one part below the same prefix: its record has a title, the other one does not fit.
    let ada = owner::Model { owner: "ada".to_owned(), title: "Ada".to_owned() };
    assert_eq!(cx.repo.all::<owner::Entity>().await.unwrap(), [ada]);
    match cx.repo.get::<owner::Entity>("bob").await.unwrap_err() {
        DustErr::Decode { record, .. } => {
            assert_eq!((&*record.path, &*record.missing), ("entries/bob", &["title".into()][..]))
        }
        other => panic!("{other:?}"),
    }
}

async fn invalid_part_is_refused_with_its_field(cx: &Context) {
    let (repo, probe) = cx.probe();
    for (key, field, part, reason) in [
        (("", "x"), "`owner`", "\"\"", "at least one character"),
        (("x", ""), "`name`", "\"\"", "at least one character"),
        (("\\*", "x"), "`owner`", "\\*", "pattern"),
        (("x", "\\**"), "`name`", "\\**", "pattern"),
        (("x", "a\0b"), "`name`", "a\\0b", "NUL"),
        (("Ada", "x"), "`owner`", "Ada", "upper-case"),
        (("ada", "Dust"), "`name`", "Dust", "upper-case"),
    ] {
        for error in [
            repo.insert(new_entry(key.0, key.1)).await.unwrap_err(),
            repo.update(new_entry(key.0, key.1)).await.unwrap_err(),
            repo.put(entry(key.0, key.1)).await.unwrap_err(),
            repo.delete(new_entry(key.0, key.1)).await.unwrap_err(),
            repo.delete_by_id::<Entry>(key).await.unwrap_err(),
            repo.insert_many([new_entry("ok", "ok"), new_entry(key.0, key.1)]).await.unwrap_err(),
            repo.batch_write([BatchEntry::delete_by_id::<Entry>(key)]).await.unwrap_err(),
            repo.increment(key, entries::Column::Hits, 1).await.unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrKind::InvalidParams, "{error}");
            let text = error.to_string();
            assert!(text.contains(field) && text.contains(part) && text.contains(reason), "{key:?}: {text}");
            assert!(text.contains("`entries`"), "{text}");
        }
    }
    assert_eq!(probe.take_calls(), []);
}

async fn invalid_part_is_not_found(cx: &Context) {
    cx.repo.insert(new_entry("ada", "dust")).await.unwrap();
    for key in [("", "dust"), ("ada", ""), ("\\*", "dust"), ("ada", "\\**"), ("Ada", "dust")] {
        assert_eq!(cx.repo.find_by_id::<Entry>(key).await.unwrap(), None);
        assert!(!cx.repo.exists::<Entry>(key).await.unwrap());
        assert_eq!(cx.repo.get::<Entry>(key).await.unwrap_err().kind(), ErrKind::NotFound);
    }
    let error = cx.repo.find_by_id::<Entry>(("ada", "\0")).await.unwrap_err();
    assert!(error.to_string().contains("`name`"), "{error}");
}

/// Another client may have written it.
async fn unreadable_part_is_a_misfit(cx: &Context) {
    let poll = Uuid::from_u128(1);
    cx.set_all(
        ["x/1/ada", &format!("{poll}/01/ada"), &format!("{poll}/1/ada")]
            .map(|key| format!("app/votes/{key}"))
            .iter()
            .map(|record| (record.as_str(), json!({"choice": "yes", "weight": 1}))),
    )
    .await;
    assert_eq!(cx.repo.all::<Vote>().await.unwrap(), [vote(1, 1, "ada")]);
    let error = cx.repo.get::<Vote>((poll, 1, "bob")).await.unwrap_err();
    assert_eq!(error.kind(), ErrKind::NotFound);
}

async fn part_not_set_is_refused_with_its_field(cx: &Context) {
    let (repo, probe) = cx.probe();
    let keyless = || entries::ActiveModel { name: NotSet, ..new_entry("ada", "") };
    for error in [repo.update(keyless()).await.unwrap_err(), repo.delete(keyless()).await.unwrap_err()] {
        assert_eq!(error.kind(), ErrKind::InvalidParams);
        assert!(error.to_string().contains("`name` of the primary key is not set"), "{error}");
    }
    let error = repo.insert(keyless()).await.unwrap_err();
    assert!(error.to_string().contains("name"), "{error}");
    assert_eq!(probe.take_calls(), []);
}

async fn fields_are_changed_by_key(cx: &Context) {
    let repo = &cx.repo;
    if !cx.transport.capabilities().typed_ops {
        let error = repo.increment(("ada", "dust"), entries::Column::Hits, 1).await.unwrap_err();
        assert_eq!(error.kind(), ErrKind::NotSupported);
        return;
    }
    repo.insert(new_entry("ada", "dust")).await.unwrap();
    assert_eq!(repo.increment(("ada", "dust"), entries::Column::Hits, 5).await.unwrap(), 5);
    assert_eq!(*repo.add_to_set(("ada", "dust"), entries::Column::Tags, "x").await.unwrap(), ["x"]);
    assert!(repo.remove_from_set(("ada", "dust"), entries::Column::Tags, "x").await.unwrap().is_empty());
    assert_eq!(repo.get::<Entry>(("ada", "dust")).await.unwrap().hits, 5);
    let error = repo.increment(("ada", "dust"), entries::Column::Owner, 1).await.unwrap_err();
    assert!(error.to_string().contains("`owner` of `entries/ada/dust`"), "{error}");
}

async fn files_are_put_by_key(cx: &Context) {
    if !cx.transport.capabilities().typed_ops {
        return;
    }
    cx.repo.insert(new_entry("ada", "dust")).await.unwrap();
    let cover = cx.repo.put_file(("ada", "dust"), entries::Column::Cover, "bytes").await.unwrap();
    let read = cx.repo.get::<Entry>(("ada", "dust")).await.unwrap().cover;
    assert_eq!(read.map(|file| file.hash), Some(cover.hash));
}

async fn changed_part_is_refused(cx: &Context) {
    let stored = cx.repo.insert(new_entry("ada", "dust")).await.unwrap();
    let (repo, probe) = cx.probe();
    for (column, field) in [(entries::Column::Owner, "owner"), (entries::Column::Name, "name")] {
        let edit = || Changeset::change(stored.clone().into_active_model()).put_change(column, "other");
        for error in [repo.update(edit()).await.unwrap_err(), repo.delete(edit()).await.unwrap_err()] {
            assert_eq!(error.kind(), ErrKind::Invalid);
            assert!(error.to_string().contains(&format!("{field} cannot be changed")), "{error}");
        }
    }
    assert_eq!(probe.take_calls(), []);
    let edit = Changeset::change(stored.clone().into_active_model()).put_change(entries::Column::Title, "new");
    assert_eq!(cx.repo.update(edit).await.unwrap().title, "new");
    let copy = Changeset::change(stored.into_active_model()).put_change(entries::Column::Name, "copy");
    cx.repo.insert(copy).await.unwrap();
    assert_eq!(names(&cx.repo.all::<Entry>().await.unwrap()), [("ada", "copy"), ("ada", "dust")]);
}

async fn hooks_have_the_whole_key(cx: &Context) {
    cx.repo.insert(new_entry(KEPT, "dust")).await.unwrap();
    let error = cx.repo.delete_by_id::<Entry>((KEPT, "dust")).await.unwrap_err();
    assert!(error.to_string().contains("dust of kept is kept"), "{error}");
    assert!(cx.repo.exists::<Entry>((KEPT, "dust")).await.unwrap());
}

async fn delete_all_within_removes_one_owner_in_one_op(cx: &Context) {
    let keys = [("ada", "1"), ("ada", "2"), ("ada-1", "1"), ("adam", "1"), ("bob", "1")];
    cx.repo.insert_many(keys.map(|(owner, name)| new_entry(owner, name))).await.unwrap();
    let (repo, probe) = cx.probe();
    let deleted = repo.delete_all::<Entry>().within("ada").await.unwrap();
    assert!(matches!(probe.take_calls()[..], [Call::Write | Call::Batch(1)]));
    assert!(deleted.store_seq > 0);
    assert_eq!(names(&repo.all::<Entry>().await.unwrap()), [("ada-1", "1"), ("adam", "1"), ("bob", "1")]);

    for (poll, round, voter) in [(1, 1, "a"), (1, 1, "b"), (1, 2, "a"), (2, 1, "a")] {
        repo.insert(vote(poll, round, voter).into_active_model().reset_all()).await.unwrap();
    }
    repo.delete_all::<Vote>().within((Uuid::from_u128(1), 1)).await.unwrap();
    assert_eq!(repo.all::<Vote>().await.unwrap(), [vote(1, 2, "a"), vote(2, 1, "a")]);
    repo.delete_all::<Vote>().within(Uuid::from_u128(1)).await.unwrap();
    assert_eq!(repo.all::<Vote>().await.unwrap(), [vote(2, 1, "a")]);
}

async fn delete_all_within_refuses_invalid_part(cx: &Context) {
    let (repo, probe) = cx.probe();
    for part in ["", "\\*", "\\**", "a\0", "Ada"] {
        let error = repo.delete_all::<Entry>().within(part).await.unwrap_err();
        assert_eq!(error.kind(), ErrKind::InvalidParams);
        assert!(error.to_string().contains("`owner`"), "{error}");
    }
    assert_eq!(probe.take_calls(), []);
}

async fn subscribers_receive_the_key(cx: &Context) {
    if !cx.transport.capabilities().subscribe {
        return;
    }
    cx.set("entries/ada/title", json!("no record")).await;
    cx.repo.insert(new_entry("ada", "a/b")).await.unwrap();
    let mut changes = cx.repo.subscribe::<Entry>().with_current().await.unwrap();
    assert_eq!(changes.next().await, Some(Event::Upserted(entry("ada", "a/b"))));
    cx.set("entries/ada/title", json!("still no record")).await;
    cx.repo.insert(new_entry("bob", "x")).await.unwrap();
    cx.repo.delete_by_id::<Entry>(("ada", "a/b")).await.unwrap();
    cx.repo.delete_all::<Entry>().within("bob").await.unwrap();
    let mut heard = Vec::new();
    while heard.last() != Some(&Event::Deleted(("bob".to_owned(), "x".to_owned()))) {
        match changes.next().await.unwrap() {
            // Over a transport that writes each leaf as an op of its own, a record comes more than once.
            event if heard.last() == Some(&event) => {}
            event => heard.push(event),
        }
    }
    assert_eq!(heard[0], Event::Upserted(entry("bob", "x")));
    assert_eq!(heard[1], Event::Deleted(("ada".to_owned(), "a/b".to_owned())));
    assert_eq!(heard.len(), 3, "{heard:?}");

    let mut votes = cx.repo.subscribe::<Vote>().await.unwrap();
    cx.repo.put(vote(1, 2, "ada")).await.unwrap();
    cx.repo.delete_by_id::<Vote>((Uuid::from_u128(1), 2, "ada")).await.unwrap();
    assert_eq!(votes.next().await, Some(Event::Upserted(vote(1, 2, "ada"))));
    assert_eq!(votes.next().await, Some(Event::Deleted((Uuid::from_u128(1), 2, "ada".to_owned()))));
}

async fn live_finds_by_key(cx: &Context) {
    if !cx.transport.capabilities().subscribe {
        return;
    }
    cx.repo.insert(new_entry("ada", "old")).await.unwrap();
    let live = cx.repo.live::<Entry>().await.unwrap();
    cx.repo.insert(new_entry("a/b", "c")).await.unwrap();
    assert_eq!(live.get(("ada", "old")).as_deref(), Some(&entry("ada", "old")));
    assert_eq!(live.get(("a/b", "c")).as_deref(), Some(&entry("a/b", "c")));
    assert!(!live.contains_key(("a", "b/c")) && !live.contains_key(("ada", "")) && !live.contains_key(("", "old")));
    cx.repo.delete_by_id::<Entry>(("ada", "old")).await.unwrap();
    let left: Vec<entries::Model> = live.all().iter().map(|entry| (**entry).clone()).collect();
    assert_eq!(left, [entry("a/b", "c")]);
}

async fn pages_do_not_cut_records(cx: &Context) {
    let models: Vec<entries::Model> =
        (0..300).map(|number| entry(&format!("o{}", number / 100), &format!("n{number:03}"))).collect();
    cx.repo.insert_many(models.iter().map(|model| model.clone().into_active_model().reset_all())).await.unwrap();
    // Between the records, and at the end.
    cx.set_all([("entries/o0/title", json!(1)), ("entries/o1/n1505", json!(1)), ("entries/o2/zzz", json!(1))]).await;
    let all = cx.repo.all::<Entry>().await.unwrap();
    assert_eq!(all.len(), 300);
    assert_eq!(all, models);
}
