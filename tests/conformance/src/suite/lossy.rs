//! A write returns the same model as a later read, or is refused with the name of the field.

use chrono::{FixedOffset, NaiveDate, NaiveTime, TimeDelta};
use dust_orm::sea_orm::prelude::{DateTimeUtc, DateTimeWithTimeZone, Decimal};
use dust_orm::{DustErr, ErrKind};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};
use serde_json::{Value, json};

use crate::context::Context;
use crate::entities::lossy::{Place, flat, map};
use crate::entities::*;

super::tests![
    write_answers_what_a_read_answers_or_names_the_field,
    offset_with_seconds_is_refused,
    some_null_is_answered_as_none,
];

/// Number of records.
const RECORDS: usize = 150;

fn plain(slug: &str) -> flat::Model {
    let at = DateTimeUtc::UNIX_EPOCH;
    flat::Model {
        slug: slug.into(),
        at: at.fixed_offset(),
        local: at.naive_utc(),
        day: at.date_naive(),
        clock: at.time(),
        stamp: at,
        timed: time::OffsetDateTime::UNIX_EPOCH,
        timed_day: time::OffsetDateTime::UNIX_EPOCH.date(),
        price: Decimal::ONE,
        single: 0.1,
        double: 0.1,
        place: None,
        json: Value::Null,
        maybe_json: None,
    }
}

fn twin(visit: &flat::Model) -> map::Model {
    let flat::Model {
        slug,
        at,
        local,
        day,
        clock,
        stamp,
        timed,
        timed_day,
        price,
        single,
        double,
        place,
        json,
        maybe_json,
    } = visit.clone();
    map::Model { slug, at, local, day, clock, stamp, timed, timed_day, price, single, double, place, json, maybe_json }
}

/// Most are ordinary; the rest have a leap second, a far year, an offset with seconds or the like.
fn visit(index: usize) -> impl Strategy<Value = flat::Model> {
    let seconds = prop_oneof![2 => 0..2_000_000_000_i64, 1 => -8_000_000_000_000..8_000_000_000_000_i64];
    let nanos = prop_oneof![Just(0), Just(1_000_000), 0..1_000_000_000_u32, Just(999_999_999)];
    let offset = prop_oneof![2 => (-14..=14_i32).prop_map(|hours| hours * 3600), 1 => -86_399..86_400_i32];
    let leap = prop_oneof![3 => Just(false), 1 => Just(true)];
    let json = prop_oneof![
        Just(Value::Null),
        any::<f64>().prop_map(|number| json!([number, {"a": number}])),
        any::<i64>().prop_map(|number| json!({"a": {"b": number}, "c": null})),
        Just(json!({})),
    ];
    let floats = (any::<f32>(), any::<f64>(), proptest::num::f32::ANY, proptest::num::f64::ANY);
    let price = (any::<i64>(), 0..=28_u32).prop_map(|(digits, scale)| Decimal::new(digits, scale));
    (seconds, nanos, offset, leap, floats, price, json.clone(), proptest::option::of(json)).prop_map(
        move |(seconds, nanos, offset, leap, (single, double, north, east), price, json, maybe_json)| {
            let utc = DateTimeUtc::from_timestamp(seconds, nanos).unwrap();
            let clock =
                NaiveTime::from_num_seconds_from_midnight_opt(seconds.rem_euclid(86_400) as u32, nanos).unwrap();
            let leap_second = NaiveTime::from_hms_nano_opt(clock_hour(clock), 59, 59, 1_000_000_000 + nanos).unwrap();
            let zone = FixedOffset::east_opt(offset).unwrap();
            let timed = time::OffsetDateTime::from_unix_timestamp(seconds.rem_euclid(200_000_000_000)).unwrap();
            flat::Model {
                at: utc.with_timezone(&zone),
                local: utc.naive_utc(),
                day: utc.date_naive(),
                clock: if leap { leap_second } else { clock },
                stamp: utc,
                timed: timed.to_offset(time::UtcOffset::from_whole_seconds(offset).unwrap()),
                timed_day: timed.date(),
                price,
                single,
                double,
                place: leap.then_some(Place { north, east }),
                json,
                maybe_json,
                ..plain(&format!("v{index:03}"))
            }
        },
    )
}

fn clock_hour(clock: NaiveTime) -> u32 {
    clock.signed_duration_since(NaiveTime::MIN).num_hours() as u32
}

fn check_refusal(error: &DustErr) {
    assert_eq!(error.kind(), ErrKind::InvalidParams, "{error}");
    let fields = ["at", "local", "day", "clock", "stamp", "timed", "timed_day", "single", "double", "place"];
    assert!(fields.iter().any(|field| error.to_string().contains(&format!("field `{field}`"))), "{error}");
}

async fn write_answers_what_a_read_answers_or_names_the_field(cx: &Context) {
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(ProptestConfig::default(), rng);
    let (mut answered_flat, mut answered_map) = (Vec::new(), Vec::new());
    for index in 0..RECORDS {
        let model = visit(index).new_tree(&mut runner).unwrap().current();
        let answers = (cx.repo.put(model.clone()).await, cx.repo.insert(twin(&model).into_active_model()).await);
        match answers {
            (Ok(flat), Ok(map)) => {
                assert_eq!(twin(&flat), map);
                answered_flat.push(flat);
                answered_map.push(map);
            }
            (Err(one), Err(other)) => [one, other].iter().for_each(check_refusal),
            (one, other) => panic!("one mode refuses {model:?}: {one:?} {other:?}"),
        }
    }
    assert!((RECORDS / 10..RECORDS).contains(&answered_flat.len()), "{} are written", answered_flat.len());
    assert_eq!(cx.repo.all::<flat::Entity>().await.unwrap(), answered_flat);
    assert_eq!(cx.repo.all::<map::Entity>().await.unwrap(), answered_map);
}

async fn offset_with_seconds_is_refused(cx: &Context) {
    let midnight = NaiveDate::from_ymd_opt(2020, 1, 1).unwrap().and_time(NaiveTime::MIN);
    let zone = FixedOffset::east_opt(19 * 60 + 32).unwrap();
    let at = DateTimeWithTimeZone::from_naive_utc_and_offset(midnight, zone);
    let (repo, probe) = cx.probe();
    let error = repo.put(flat::Model { at, ..plain("a") }).await.unwrap_err();
    check_refusal(&error);
    assert!(error.to_string().contains("field `at`"), "{error}");
    let stamp = DateTimeUtc::UNIX_EPOCH + TimeDelta::milliseconds(500);
    let error = repo.insert(map::Model { stamp, ..twin(&plain("a")) }.into_active_model()).await.unwrap_err();
    assert!(error.to_string().contains("field `stamp`"), "{error}");
    assert_eq!(probe.take_calls(), []);
}

async fn some_null_is_answered_as_none(cx: &Context) {
    let visit = |slug: &str| flat::Model { maybe_json: Some(Value::Null), ..plain(slug) };
    let mut answered = vec![
        cx.repo.put(visit("a")).await.unwrap(),
        cx.repo.insert(visit("b").into_active_model()).await.unwrap(),
        cx.repo.insert(visit("c").into_active_model()).if_absent().await.unwrap(),
    ];
    answered.extend(cx.repo.insert_many([visit("d").into_active_model()]).await.unwrap());
    let edit = flat::ActiveModel { maybe_json: Set(Some(Value::Null)), ..plain("a").into_active_model() };
    assert_eq!(cx.repo.update(edit).await.unwrap(), answered[0]);
    assert!(answered.iter().all(|visit| visit.maybe_json.is_none()), "{answered:?}");
    assert_eq!(cx.repo.all::<flat::Entity>().await.unwrap(), answered);
    let answered = cx.repo.put(twin(&visit("a"))).await.unwrap();
    assert_eq!(cx.repo.get::<map::Entity>("a").await.unwrap(), answered);
}
