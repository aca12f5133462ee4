//! Reads of records from malformed pages, through the repo's grouping and decoding, without a network.

use std::sync::Arc;
use std::sync::Mutex;

use async_trait::async_trait;
use chaos::dice::Dice;
use dust_orm::tests_cfg::{link, page, setting};
use dust_orm::transport::Receipt;
use dust_orm::{Capabilities, DustErr, DustRepo, Transport};
use dust_protocol::{Entry, Fence, LeafKind, ListItem, ListRequest, Op, Page, Path, RawJson, Select};
use futures_util::TryStreamExt;

use crate::mutate::mutate_text;
use crate::recordings::Recordings;

/// A store that returns arbitrary entries.
#[derive(Debug)]
struct Pages {
    dice: Mutex<Dice>,
    values: Vec<RawJson>,
    capabilities: Capabilities,
    /// Number of remaining pages.
    left: Mutex<u64>,
}

impl Pages {
    fn entry(&self, dice: &mut Dice) -> Option<Entry> {
        let keys = ["a", "A", "dust", "b~1c", "~0", "é", "\\*", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"];
        let prefix = ["links", "pages", "settings", "linksx", "links/sub", "LINKS", "other"][dice.index(7)];
        let fields =
            ["title", "url", "note", "slug", "hits", "tags", "tags/0", "cover", "cover/hash", "title/x", "value", "~1"];
        let key = keys[dice.index(keys.len())];
        let text = match dice.below(8) {
            0 => prefix.to_owned(),
            1 => format!("{prefix}/{key}"),
            _ => format!("{prefix}/{key}/{}", fields[dice.index(fields.len())]),
        };
        let kinds = ["string", "integer", "map", "counter", "set", "file", "lease", "null", "nonsense"];
        Some(Entry::new(
            Path::parse(&text).ok()?,
            self.values[dice.index(self.values.len())].clone(),
            LeafKind::from_name(kinds[dice.index(kinds.len())]),
            [0, 1, dice.below(100), u64::MAX][dice.index(4)],
        ))
    }
}

#[async_trait]
impl Transport for Pages {
    fn name(&self) -> &'static str {
        "pages"
    }

    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    async fn list(&self, request: &ListRequest) -> Result<Page, DustErr> {
        let lock = || DustErr::network("a lock");
        let mut dice = self.dice.lock().map_err(|_| lock())?;
        let mut left = self.left.lock().map_err(|_| lock())?;
        *left = left.saturating_sub(1);
        let mut page = Page::default();
        for _ in 0..dice.below(30) {
            let Some(entry) = self.entry(&mut dice) else { continue };
            let is_path = request.select != Select::Entries || dice.percent(3);
            page.items.push(if is_path { ListItem::Path(entry.path) } else { ListItem::Entry(entry) });
        }
        if *left > 0 && dice.percent(70) {
            page.next_cursor = Some(["", "links/dust/title", "\u{0}", "//"][dice.index(4)].to_owned());
        }
        Ok(page)
    }

    async fn get(&self, _: &Path) -> Result<Option<Entry>, DustErr> {
        Ok(None)
    }

    async fn get_many(&self, paths: &[Path]) -> Result<Vec<Option<Entry>>, DustErr> {
        Ok(vec![None; paths.len() / 2])
    }

    async fn exists(&self, _: &Path) -> Result<bool, DustErr> {
        Ok(true)
    }

    async fn write(&self, ops: Vec<Op>, _: Option<Fence>) -> Result<Receipt, DustErr> {
        let receipt = Receipt::new((ops.len() > 1).then_some(u64::MAX));
        Ok(self.values.first().cloned().map_or(receipt.clone(), |value| receipt.with_value(value)))
    }

    async fn fetch_file(&self, _: &str) -> Result<Vec<u8>, DustErr> {
        Ok(vec![0; 10])
    }
}

pub(super) fn run(recordings: &Recordings, seed: u64) -> Result<(), String> {
    let mut dice = Dice::new(seed);
    let mut values = Vec::new();
    while values.len() < 20 {
        let (one, other) = (dice.index(recordings.answers.len()), dice.index(recordings.answers.len()));
        let text = mutate_text(&mut dice, &recordings.answers[one].body, &recordings.answers[other].body);
        values.extend(RawJson::parse(&text).ok());
        values.extend(
            RawJson::parse(["1", "\"x\"", "null", "[\"$json\",{}]", "{\"_type\":\"file\"}"][dice.index(5)]).ok(),
        );
    }
    // The capabilities of an embedded store, with `remote`, so that pages are fetched ahead.
    let mut capabilities = DustRepo::embedded().transport().capabilities();
    capabilities.remote = true;
    let transport = Pages { capabilities, left: Mutex::new(dice.within(1, 40)), dice: Mutex::new(dice), values };
    let repo = DustRepo::with_transport(Arc::new(transport));
    super::block_on(async {
        let links = repo.all::<link::Entity>().await;
        if let Some(stray) = links.iter().flatten().find(|link| link.slug.contains("/x")) {
            return Err(format!("a record of another prefix: {stray:?}"));
        }
        let _ = repo.all::<page::Entity>().await;
        let _ = repo.stream::<setting::Entity>().try_collect::<Vec<_>>().await;
        for key in ["dust", "a", "A", "b/c", "..", ""] {
            let _ = repo.find_by_id::<link::Entity>(key).await;
            let _ = repo.get_versioned::<page::Entity>(key).await;
            let _ = repo.exists::<page::Entity>(key).await;
        }
        let _ = repo.delete_by_id::<link::Entity>("dust").await;
        let _ = repo.increment("home", page::Column::Hits, 1).await;
        let _ = repo
            .insert(link::ActiveModel {
                slug: dust_orm::entity::prelude::Set("dust".to_owned()),
                title: dust_orm::entity::prelude::Set("Dust".to_owned()),
                url: dust_orm::entity::prelude::Set("https://dustlayer.io".to_owned()),
                note: dust_orm::entity::prelude::NotSet,
            })
            .await;
        Ok(())
    })
}
