//! For any commits: the events of a part are those of the whole that concern it.

use dust_protocol::OpKind;
use proptest::prelude::*;

use super::gated::Gated;
use super::*;
use crate::tests_cfg::bookmark;

#[derive(Clone, Debug)]
enum Step {
    Op(String, Mutation),
    /// Ops of one commit.
    Batch(Vec<(String, Mutation)>),
    /// Takes a number of events of each subscription to a part.
    Take(usize),
}

fn op(records: &'static [&'static str], fields: &'static [&'static str]) -> impl Strategy<Value = (String, Mutation)> {
    let record = || prop::sample::select(records);
    let field = prop::sample::select(fields);
    let whole = |number: u8, extra: bool| {
        let title = number.to_string();
        let value =
            if extra { json!({"title": title, "url": "u", "note": "n"}) } else { json!({"title": title, "url": "u"}) };
        RawJson::from(value)
    };
    let value = prop_oneof![
        6 => any::<u8>().prop_map(|number| json!(number.to_string())),
        1 => Just(json!(7)),
        1 => Just(json!(["$claim"])),
    ];
    prop_oneof![
        6 => (record(), any::<u8>(), any::<bool>()).prop_map(move |(record, number, extra)| {
            (record.to_owned(), Mutation::Set(whole(number, extra)))
        }),
        6 => (record(), field.clone(), value).prop_map(|(record, field, value)| {
            (format!("{record}/{field}"), Mutation::Set(value.into()))
        }),
        2 => (record(), any::<u8>()).prop_map(|(record, number)| {
            (record.to_owned(), Mutation::Merge(json!({"title": number.to_string(), "url": null}).into()))
        }),
        2 => (record(), field).prop_map(|(record, field)| (format!("{record}/{field}"), Mutation::Delete)),
        2 => record().prop_map(|record| (record.to_owned(), Mutation::Delete)),
        1 => record().prop_map(|record| (record.to_ascii_uppercase(), Mutation::Delete)),
        1 => record().prop_map(|record| {
            (record.rsplit_once('/').map_or(record, |(above, _)| above).to_owned(), Mutation::Delete)
        }),
    ]
}

fn steps(records: &'static [&'static str], fields: &'static [&'static str]) -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => op(records, fields).prop_map(|(path, op)| Step::Op(path, op)),
        2 => prop::collection::vec(op(records, fields), 1..5).prop_map(Step::Batch),
        3 => (0..4_usize).prop_map(Step::Take),
    ];
    prop::collection::vec(step, 0..40)
}

/// Commits a step; a store refuses some ops, which then have no effect.
fn commit(store: &Store, step: Step) {
    let ops = match step {
        Step::Op(path, op) => vec![(path, op)],
        Step::Batch(ops) => ops,
        Step::Take(_) => return,
    };
    let ops = ops.into_iter().map(|(path, op)| Op::new(Path::parse(&path).unwrap(), op)).collect::<Vec<_>>();
    if let [only] = ops.as_slice() {
        drop(store.write(only.clone(), None, &Origin::new("phone", "1")));
    } else {
        drop(store.batch_write(ops, None, &Origin::new("phone", "1")));
    }
}

fn key<E: DustEntity>(
    event: &Event<E::Model>,
    of: impl Fn(&E::Model) -> crate::entity::KeyOf<E>,
) -> crate::entity::KeyOf<E>
where
    crate::entity::KeyOf<E>: Clone,
{
    match event {
        Event::Upserted(model) => of(model),
        Event::Deleted(key) => key.clone(),
        Event::Resync => panic!("nothing is lost"),
    }
}

type Events<E> = Vec<Event<<E as EntityTrait>::Model>>;

/// Runs the steps, and returns the events of a subscription to the whole, and those of subscriptions to parts.
fn run<E: DustEntity>(
    store: &Store,
    steps: Vec<Step>,
    whole: &mut Subscription<E>,
    parts: &mut [Subscription<E>],
) -> (Events<E>, Vec<Events<E>>) {
    let mut events: Vec<Events<E>> = parts.iter().map(|_| Vec::new()).collect();
    let mut take = |count: usize| {
        for (part, events) in parts.iter_mut().zip(&mut events) {
            events.extend(std::iter::from_fn(|| part.next().now_or_never().flatten()).take(count));
        }
    };
    for step in steps {
        if let Step::Take(count) = step {
            take(count);
        }
        commit(store, step);
    }
    take(usize::MAX);
    (std::iter::from_fn(|| whole.next().now_or_never().flatten()).collect(), events)
}

const LINKS: &[&str] = &["links/a", "links/a-1", "links/a~1b", "links/ab", "links/b", "links/A"];
const BOOKMARKS: &[&str] =
    &["bookmarks/ada/1", "bookmarks/ada/12", "bookmarks/ada/2", "bookmarks/adam/1", "bookmarks/bob/1"];

proptest! {
    #[test]
    fn events_of_a_part_are_those_of_the_whole_that_concern_it(
        before in steps(LINKS, &["title", "url", "note"]),
        steps in steps(LINKS, &["title", "url", "note"]),
    ) {
        let (repo, store) = memory();
        before.into_iter().for_each(|step| commit(&store, step));
        let begin = |part: Subscribe<'_, link::Entity>| part.into_future().now_or_never().unwrap().unwrap();
        let all = || repo.subscribe::<link::Entity>();
        let mut whole = begin(all());
        let mut parts =
            [all().key("a"), all().key("a/b"), all().starts_with("a"), all().starts_with("a-"), all().starts_with("")]
                .map(begin);
        let (events, of_parts) = run(&store, steps, &mut whole, &mut parts);
        let filters: [fn(&str) -> bool; 5] = [
            |key| key == "a",
            |key| key == "a/b",
            |key| key.starts_with('a'),
            |key| key.starts_with("a-"),
            |_| true,
        ];
        for (of_part, filter) in of_parts.into_iter().zip(filters) {
            let key = |event: &_| key::<link::Entity>(event, |link| link.slug.clone());
            let expected: Vec<_> = events.iter().filter(|event| filter(&key(event))).cloned().collect();
            prop_assert_eq!(of_part, expected);
        }
    }

    #[test]
    fn events_within_parts_of_a_key_are_those_of_the_whole_that_concern_them(
        before in steps(BOOKMARKS, &["url", "other"]),
        steps in steps(BOOKMARKS, &["url", "other"]),
    ) {
        let (repo, store) = memory();
        before.into_iter().for_each(|step| commit(&store, step));
        let begin = |part: Subscribe<'_, bookmark::Entity>| part.into_future().now_or_never().unwrap().unwrap();
        let all = || repo.subscribe::<bookmark::Entity>();
        let mut whole = begin(all());
        let mut parts =
            [all().within("ada"), all().within("ada").starts_with("1"), all().starts_with("ada"), all().key(("ada", 1))]
                .map(begin);
        let (events, of_parts) = run(&store, steps, &mut whole, &mut parts);
        let filters: [fn(&str, i64) -> bool; 4] = [
            |owner, _| owner == "ada",
            |owner, id| owner == "ada" && id.to_string().starts_with('1'),
            |owner, _| owner.starts_with("ada"),
            |owner, id| owner == "ada" && id == 1,
        ];
        for (of_part, filter) in of_parts.into_iter().zip(filters) {
            let concerns = |event: &&Event<bookmark::Model>| {
                let (owner, id) = key::<bookmark::Entity>(event, |bookmark| (bookmark.owner.clone(), bookmark.id));
                filter(&owner, id)
            };
            let expected: Vec<_> = events.iter().filter(concerns).cloned().collect();
            prop_assert_eq!(of_part, expected);
        }
    }

    /// For any order of commits and polls: a subscription to a record begins with one of its states, and has every
    /// event after it.
    #[test]
    fn record_has_no_gap_and_no_repeat_between_current_state_and_changes(
        before in 0..4_u8,
        steps in prop::collection::vec(prop_oneof![1 => Just(Some(OpKind::Set)), 1 => Just(Some(OpKind::Delete)),
            4 => Just(None)], 0..40),
    ) {
        let store = Store::in_memory().unwrap();
        let repo = DustRepo::with_transport(Gated::new(&store));
        let mut states: Vec<Option<String>> = vec![None];
        let write = |number: usize, delete: bool, states: &mut Vec<Option<String>>| {
            let title = number.to_string();
            if delete {
                emit(&store, "links/a", Mutation::Delete);
            } else {
                // More leaves than a page of the transport has.
                let value = json!({"title": title, "url": "u", "v": title, "w": title, "x": {"y": title, "z": title}});
                set(&store, "links/a", value);
            }
            put(&store, "b", &title);
            let state = (!delete).then_some(title);
            if states.last() != Some(&state) {
                states.push(state);
            }
        };
        (0..before).for_each(|number| write(usize::from(number), number == 2, &mut states));
        let mut beginning = repo.subscribe::<link::Entity>().key("a").with_current().into_future();
        let (mut links, mut events) = (None::<Links>, Vec::new());
        let context = &mut Context::from_waker(std::task::Waker::noop());
        let steps = steps.into_iter().chain(std::iter::repeat_n(None, 400));
        for (number, step) in steps.enumerate() {
            match (step, &mut links) {
                (Some(kind), _) => write(100 + number, kind == OpKind::Delete, &mut states),
                (None, None) => {
                    if let Poll::Ready(begun) = beginning.poll_unpin(context) {
                        links = Some(begun.unwrap());
                    }
                }
                (None, Some(links)) => {
                    if let Poll::Ready(event) = Pin::new(links).poll_next(context) {
                        events.extend(event);
                    }
                }
            }
        }
        let event = |state: &Option<String>| state.as_ref().map_or_else(|| deleted("a"), |title| upserted("a", title));
        let is_explained = (0..states.len()).any(|at| {
            let current = states[at].iter().map(|title| upserted("a", title));
            current.chain(states[at + 1..].iter().map(event)).eq(events.iter().cloned())
        });
        prop_assert!(is_explained, "{states:?}\n{events:?}");
    }
}
