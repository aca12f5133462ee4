//! Links in the store: a PUT for every field, and a mark instead of a delete.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value};

use super::client::{Client, Error};
use super::schema::Link;

pub struct Links {
    client: Client,
}

impl Links {
    pub fn new(client: Client) -> Links {
        Links { client }
    }

    pub async fn insert(&self, link: Link) -> Result<(), Error> {
        self.update(&link.slug, &link.leaves()).await
    }

    /// Writes fields one by one: if a request fails, the fields before it stay written.
    pub async fn update(&self, slug: &str, fields: &[(&str, Value)]) -> Result<(), Error> {
        for (field, value) in fields {
            self.client.put(&format!("links/{slug}/{field}"), value, None).await?;
        }
        Ok(())
    }

    pub async fn update_if(&self, slug: &str, field: &str, value: Value, revision: u64) -> Result<(), Error> {
        self.client.put(&format!("links/{slug}/{field}"), &value, Some(revision)).await
    }

    pub async fn revision(&self, slug: &str, field: &str) -> Result<u64, Error> {
        let path = format!("links/{slug}/{field}");
        let entries = self.client.list(&format!("links/{slug}/**")).await?;
        let leaf = entries.into_iter().find(|entry| entry.path == path);
        leaf.map(|leaf| leaf.revision).ok_or(("not_found", path))
    }

    pub async fn get(&self, slug: &str) -> Result<Link, Error> {
        let found = self.read(&format!("links/{slug}/**")).await?.pop();
        found.ok_or_else(|| ("not_found", slug.to_owned()))
    }

    pub async fn all(&self) -> Result<Vec<Link>, Error> {
        self.read("links/**").await
    }

    /// Deletes softly: the record stays, and every reader has to check the mark.
    pub async fn delete(&self, slug: &str) -> Result<(), Error> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
        self.client.put(&format!("links/{slug}/deleted_at"), &now.into(), None).await
    }

    async fn read(&self, pattern: &str) -> Result<Vec<Link>, Error> {
        let mut records: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
        for entry in self.client.list(pattern).await? {
            if let ["links", slug, field] = entry.path.split('/').collect::<Vec<_>>()[..] {
                records.entry(slug.to_owned()).or_default().insert(field.to_owned(), entry.value);
            }
        }
        Ok(records.iter().filter_map(|(slug, leaves)| Link::from_leaves(slug, leaves)).collect())
    }
}
