//! The key of the data that a changeset changes.

use sea_orm::{IntoActiveModel, Set, Unchanged};
use serde_json::json;

use super::*;
use crate::changeset::Action;

mod member {
    use crate::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, DeriveChangeset)]
    #[sea_orm(table_name = "members")]
    #[dust(crate = "crate")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub team: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub number: i32,
        pub name: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

fn refused<A: Fields>(changeset: Changeset<A>, action: Action) -> Value {
    json!(changeset.apply_action(action).err())
}

#[test]
fn update_and_delete_to_another_key_are_refused() {
    let expected = json!({"slug": ["cannot be changed"]});
    let by_hand = post::ActiveModel { slug: Set("dust".into()), ..stored() };
    for action in [Action::Update, Action::Delete] {
        for data in [stored(), by_hand.clone()] {
            let base = || Changeset::change(data.clone());
            assert_eq!(
                refused(Changeset::cast(data.clone(), json!({"slug": "b", "title": "x"}), all()), action),
                expected
            );
            assert_eq!(refused(base().put_change(Post::Slug, "b"), action), expected);
            assert_eq!(refused(base().force_change(Post::Slug, "Dust"), action), expected, "case counts");
            assert_eq!(refused(base().merge(base().put_change(Post::Slug, "b")), action), expected);
            let late = base().prepare_changes(|changeset| changeset.put_change(Post::Slug, "b")).prepare();
            assert_eq!(refused(late, action), expected);
        }
    }
    let error = edited(json!({"slug": "b"})).apply_action(Action::Update).unwrap_err();
    assert_eq!(error.get("slug")[0].code(), "key");
}

#[test]
fn update_with_the_same_key_keeps_it_unchanged() {
    for changeset in [
        edited(json!({"slug": "dust", "title": "x"})),
        edited(json!({"title": "x"})).force_change(Post::Slug, "dust"),
        edited(json!({"title": "x", "slug": "b"})).delete_change(Post::Slug),
    ] {
        let model = changeset.apply_action(Action::Update).unwrap();
        assert_eq!((model.slug, model.title), (Unchanged("dust".into()), Set("x".into())));
    }
}

#[test]
fn emptied_key_is_refused_once() {
    let errors = edited(json!({"slug": ""})).apply_action(Action::Update).unwrap_err();
    assert_eq!(json!(errors), json!({"slug": ["can't be blank"]}));
}

#[test]
fn insert_uses_key_of_changes() {
    let new = posted(json!({"slug": "b"})).apply_action(Action::Insert).unwrap();
    assert_eq!(new.slug, Set("b".into()));
    let copy = edited(json!({"slug": "b"})).apply_action(Action::Insert).unwrap();
    assert_eq!((copy.slug, copy.title), (Set("b".into()), Unchanged("Dust".into())));
}

#[test]
fn data_without_key_gets_key_of_changes() {
    let model = posted(json!({"slug": "b"})).apply_action(Action::Update).unwrap();
    assert_eq!(model.slug, Set("b".into()));
}

#[test]
fn apply_for_sql_refuses_changed_key() {
    let stored = account::Model { id: 7, email: "a@example.com".into(), password: None };
    let edit = |params: Value| {
        Changeset::cast(stored.clone().into_active_model(), params, [account::Column::Id, account::Column::Email])
    };
    let errors = edit(json!({"id": "8", "email": "b@example.com"})).apply().unwrap_err();
    assert_eq!(json!(errors), json!({"id": ["cannot be changed"]}));
    let same = edit(json!({"id": "7", "email": "b@example.com"})).apply().unwrap();
    assert_eq!((same.id, same.email), (Unchanged(7), Set("b@example.com".into())));
    let new = Changeset::cast(account::ActiveModel::default(), json!({"id": 8}), [account::Column::Id]);
    assert_eq!(new.apply().unwrap().id, Set(8));
}

#[test]
fn composite_key_keeps_each_part() {
    use member::Column::{Name, Number, Team};

    let stored = member::Model { team: "red".into(), number: 7, name: "Ada".into() };
    let edit = |params: Value| Changeset::cast(stored.clone().into_active_model(), params, [Team, Number, Name]);
    let errors = edit(json!({"team": "blue", "number": 7, "name": "Eve"})).apply().unwrap_err();
    assert_eq!(json!(errors), json!({"team": ["cannot be changed"]}));
    let errors = edit(json!({"team": "blue", "number": "8"})).apply_action(Action::Delete).unwrap_err();
    assert_eq!(json!(errors), json!({"team": ["cannot be changed"], "number": ["cannot be changed"]}));
    assert!(edit(json!({"team": "red", "number": "7", "name": "Eve"})).apply().is_ok());
}
