//! Changesets of an entity that SeaORM stores in SQL.

use serde_json::json;

use super::*;

fn registration(params: Value) -> Changeset<account::ActiveModel> {
    use account::Column;
    Changeset::cast(account::ActiveModel::default(), params, [Column::Email, Column::Password])
        .validate_required([Column::Email])
        .validate_email(Column::Email)
        .validate_length(Column::Password, 8..)
        .validate_confirmation(Column::Password)
        .validate_acceptance("terms")
}

#[test]
fn invalid_registration_has_errors_by_field() {
    let changeset =
        registration(json!({"id": 7, "email": "nobody", "password": "short", "password_confirmation": "shirt"}));
    assert_eq!(
        errors(&changeset),
        json!({
            "email": ["has invalid format"],
            "password": ["should be at least 8 character(s)"],
            "password_confirmation": ["does not match confirmation"],
            "terms": ["must be accepted"],
        })
    );
    assert!(!changeset.changed(account::Column::Id), "not permitted");
}

#[tokio::test]
async fn applied_model_is_inserted_by_sea_orm() {
    use sea_orm::{ActiveModelTrait, DatabaseBackend, MockDatabase};

    let stored = account::Model { id: 1, email: "a@example.com".into(), password: None };
    let db = MockDatabase::new(DatabaseBackend::Postgres).append_query_results([[stored.clone()]]).into_connection();
    let changeset = registration(json!({"email": "a@example.com", "password": "", "terms": "true"}));
    assert_eq!(changeset.prepare().apply().unwrap().insert(&db).await.unwrap(), stored);
    let log = format!("{:?}", db.into_transaction_log());
    assert!(log.contains(r#"INSERT INTO \"accounts\" (\"email\", \"password\") VALUES ($1, $2)"#), "{log}");
}
