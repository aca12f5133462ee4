use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::task::{Poll, Waker};

use proptest::prelude::*;

use super::gated::Gated;
use super::*;

#[tokio::test]
async fn what_is_there_comes_first_in_order() {
    let (repo, store) = memory();
    for slug in ["b", "a-1", "a", "b10", "é"] {
        put(&store, slug, "one");
    }
    set(&store, "links/half/title", json!("x"));
    let mut links = repo.subscribe::<link::Entity>().queue(1).with_current().await.unwrap();
    put(&store, "a", "two");
    let slugs = ["a-1", "a", "b", "b10", "é"].map(|slug| upserted(slug, "one"));
    assert_eq!(waiting(&mut links), [&slugs[..], &[upserted("a", "two")]].concat());
}

/// A step of a test on a store of three records.
#[derive(Clone, Copy, Debug)]
enum Step {
    Put(&'static str),
    Delete(&'static str),
    DeleteAll,
    /// Ends a batch of two puts of the same record.
    Batch(&'static str),
    /// Polls the subscription that is beginning.
    Poll,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let slug = || prop::sample::select(vec!["a", "b", "c"]);
    let step = prop_oneof![
        4 => slug().prop_map(Step::Put),
        2 => slug().prop_map(Step::Delete),
        1 => Just(Step::DeleteAll),
        1 => slug().prop_map(Step::Batch),
        6 => Just(Step::Poll),
    ];
    prop::collection::vec(step, 0..40)
}

type State = BTreeMap<String, String>;

/// The states of the store after each commit, and the events of each commit.
struct History {
    states: Vec<State>,
    events: Vec<Vec<Event<link::Model>>>,
}

impl History {
    fn commit(&mut self, change: impl FnOnce(&mut State)) {
        let before = self.states.last().unwrap().clone();
        let mut after = before.clone();
        change(&mut after);
        let gone = before.keys().filter(|slug| !after.contains_key(*slug)).map(|slug| deleted(slug));
        let written = after.iter().filter(|(slug, title)| before.get(*slug) != Some(title));
        let events = gone.chain(written.map(|(slug, title)| upserted(slug, title))).collect();
        self.states.push(after);
        self.events.push(events);
    }

    fn run(&mut self, store: &Store, number: usize, step: Step) {
        let title = number.to_string();
        match step {
            Step::Put(slug) => {
                put(store, slug, &title);
                self.commit(|state| drop(state.insert(slug.into(), title)));
            }
            Step::Delete(slug) => {
                emit(store, &format!("links/{slug}"), Mutation::Delete);
                self.commit(|state| drop(state.remove(slug)));
            }
            Step::DeleteAll => {
                emit(store, "links", Mutation::Delete);
                self.commit(State::clear);
            }
            Step::Batch(slug) => {
                let op = |name: &str, value: &str| {
                    let path = Path::parse(&format!("links/{slug}/{name}")).unwrap();
                    dust_protocol::Op::set(path, RawJson::from(json!(value)))
                };
                store.batch_write(vec![op("title", &title), op("url", "u")], None, &Origin::new("d", "b")).unwrap();
                self.commit(|state| drop(state.insert(slug.into(), title)));
            }
            Step::Poll => {}
        }
    }

    /// True if the events are those of a subscription that began after one of the commits.
    fn explains(&self, events: &[Event<link::Model>]) -> bool {
        (0..self.states.len()).any(|at| {
            let current = self.states[at].iter().map(|(slug, title)| upserted(slug, title));
            current.chain(self.events[at..].iter().flatten().cloned()).eq(events.iter().cloned())
        })
    }
}

proptest! {
    /// For any order of commits and page reads: the stream is the state at one moment, and every event after it.
    #[test]
    fn there_is_no_gap_and_no_repeat(before in steps(), during in steps()) {
        let store = Store::in_memory().unwrap();
        let repo = DustRepo::with_transport(Gated::new(&store));
        let mut history = History { states: vec![State::new()], events: Vec::new() };
        let all = before.len();
        for (number, step) in before.into_iter().enumerate() {
            history.run(&store, number, step);
        }
        let began = history.states.len() - 1;

        let mut first = repo.subscribe::<link::Entity>().with_current().into_future();
        let mut plain = repo.subscribe::<link::Entity>().into_future();
        let (mut current, mut changes) = (None, None);
        let context = &mut Context::from_waker(Waker::noop());
        // The last polls suffice for every page.
        let steps = during.into_iter().chain(std::iter::repeat_n(Step::Poll, 200));
        for (number, step) in steps.enumerate() {
            history.run(&store, all + number, step);
            if let Step::Poll = step {
                if current.is_none() && let Poll::Ready(links) = first.poll_unpin(context) {
                    current = Some(links.unwrap());
                }
                if changes.is_none() && let Poll::Ready(links) = plain.poll_unpin(context) {
                    changes = Some((links.unwrap(), history.events.len()));
                }
            }
        }
        let events = waiting(&mut current.unwrap());
        prop_assert!(history.explains(&events), "{:?}\n{:?}", history.events, events);

        // Without the current records: no event of a commit before the call, every event after its return.
        let (mut changes, joined) = changes.unwrap();
        let events = waiting(&mut changes);
        let is_suffix = (began..=joined).any(|at| history.events[at..].iter().flatten().eq(events.iter()));
        prop_assert!(is_suffix, "{:?}\n{:?}", history.events, events);
    }

    /// For any Resyncs: a subscriber that reads everything again at Resync, and applies the following events, has the
    /// state of the store.
    #[test]
    fn after_resync_nothing_is_missing(during in steps(), resyncs in prop::collection::vec(any::<bool>(), 40)) {
        let store = Store::in_memory().unwrap();
        let transport = Gated::new(&store);
        let repo = DustRepo::with_transport(Arc::clone(&transport) as Arc<dyn Transport>);
        let mut history = History { states: vec![State::new()], events: Vec::new() };
        let hub = transport.op_hub().now_or_never().unwrap().unwrap();
        let mut beginning = repo.subscribe::<link::Entity>().into_future();
        let mut links = loop {
            if let Poll::Ready(links) = beginning.poll_unpin(&mut Context::from_waker(Waker::noop())) {
                break links.unwrap();
            }
        };
        let mut known = State::new();
        let read = |links: &mut Links, known: &mut State| {
            while let Some(Some(event)) = links.next().now_or_never() {
                match event {
                    Event::Upserted(link) => drop(known.insert(link.slug, link.title)),
                    Event::Deleted(slug) => drop(known.remove(&slug)),
                    Event::Resync => {
                        let all = DustRepo::with_store(store.clone()).all::<link::Entity>().now_or_never().unwrap();
                        *known = all.unwrap().into_iter().map(|link| (link.slug, link.title)).collect();
                    }
                }
            }
        };
        let asked = transport.lists.load(Ordering::SeqCst);
        for (number, (step, resync)) in during.into_iter().zip(&resyncs).enumerate() {
            history.run(&store, number, step);
            if *resync {
                hub.resync(hub.seq());
            }
            if let Step::Poll = step {
                // At most one page at a time.
                if let Some(Some(event)) = links.next().now_or_never() {
                    if event == Event::Resync {
                        known = history.states.last().unwrap().clone();
                    } else if let Event::Upserted(link) = event {
                        known.insert(link.slug, link.title);
                    } else if let Event::Deleted(slug) = event {
                        known.remove(&slug);
                    }
                }
            }
        }
        for _ in 0..200 {
            read(&mut links, &mut known);
        }
        prop_assert_eq!(&known, history.states.last().unwrap());
        if resyncs.iter().take(history.events.len()).any(|resync| *resync) {
            prop_assert!(transport.lists.load(Ordering::SeqCst) > asked);
        }
    }
}

#[tokio::test]
async fn records_that_cannot_be_read_are_read_at_the_next_op() {
    let store = Store::in_memory().unwrap();
    let transport = Gated::new(&store);
    let repo = DustRepo::with_transport(Arc::clone(&transport) as Arc<dyn Transport>);
    let task = |repo: &DustRepo| {
        let repo = repo.clone();
        async move {
            let mut beginning = repo.subscribe::<link::Entity>().into_future();
            loop {
                if let Some(answer) = (&mut beginning).now_or_never() {
                    return answer;
                }
            }
        }
    };
    transport.fails.store(true, Ordering::SeqCst);
    assert_eq!(task(&repo).await.unwrap_err().kind(), crate::ErrKind::Network);
    assert_eq!(listeners(&repo).await, 0);
    transport.fails.store(false, Ordering::SeqCst);
    let mut links = task(&repo).await.unwrap();

    transport.fails.store(true, Ordering::SeqCst);
    let hub = transport.op_hub().await.unwrap();
    hub.resync(hub.seq());
    for _ in 0..5 {
        assert_eq!(waiting(&mut links), []);
    }
    transport.fails.store(false, Ordering::SeqCst);
    put(&store, "a", "one");
    let heard: Vec<_> = (0..5).flat_map(|_| waiting(&mut links)).collect();
    assert_eq!(heard, [Event::Resync]);
    put(&store, "a", "two");
    assert_eq!(waiting(&mut links), [upserted("a", "two")]);
}
