//! The event of a call.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::task::{Context, Waker};

use dust_protocol::Op;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use super::peer::{Step, json};
use super::*;
use crate::transport::Transport;

type Fields = BTreeMap<&'static str, String>;

/// A recorder of the events of target `dust_orm::op`, each with the span it was in.
#[derive(Clone, Debug, Default)]
struct Recorder {
    events: Arc<Mutex<Vec<Fields>>>,
    entered: Arc<Mutex<Vec<u64>>>,
}

struct Keep<'a>(&'a mut Fields);

impl Visit for Keep<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }
}

impl Subscriber for Recorder {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(77)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        if event.metadata().target() == "dust_orm::op" {
            let mut fields = Fields::new();
            event.record(&mut Keep(&mut fields));
            fields.insert("span", format!("{:?}", self.entered.lock().unwrap().last()));
            self.events.lock().unwrap().push(fields);
        }
    }

    fn enter(&self, id: &Id) {
        self.entered.lock().unwrap().push(id.into_u64());
    }

    fn exit(&self, _: &Id) {
        self.entered.lock().unwrap().pop();
    }
}

fn set() -> Op {
    Op::set(path("links/dust/title"), value(r#""secret text""#))
}

#[tokio::test]
async fn a_call_is_one_event_in_the_span_of_the_caller() {
    let recorder = Recorder::default();
    let _guard = tracing::subscriber::set_default(recorder.clone());
    let (peer, transport, _) = scripted([Step::CloseUnanswered, json(200, r#"{"items":[],"next_cursor":null}"#)]).await;
    let call = async { transport.exists(&path("links/dust")).await };
    tracing::Instrument::instrument(call, tracing::info_span!("caller")).await.unwrap();

    let events = recorder.events.lock().unwrap().clone();
    let [event] = &events[..] else { panic!("{events:?}") };
    for (field, expected) in [
        ("db.system", "dust"),
        ("db.operation.name", "exists"),
        ("db.namespace", "acme/reading"),
        ("db.response.status_code", "200"),
        ("dust.transport", "http"),
        ("dust.path", "links/dust"),
        ("retries", "1"),
        ("outcome", "ok"),
        ("span", "Some(77)"),
    ] {
        assert_eq!(event.get(field).map(String::as_str), Some(expected), "{field}");
    }
    assert!(event["duration_ms"].parse::<f64>().unwrap() >= 50.0);
    assert_eq!(event["server.address"], peer.url());
    let requests = peer.received();
    assert!(requests.iter().all(|request| request.header("x-request-id") == Some(&event["dust.request_id"])));
}

#[tokio::test]
async fn values_are_shown_only_when_asked_for_and_the_token_never() {
    let conflict = json(412, r#"{"current_revision":2,"error":"conflict"}"#);
    for (log_values, shown) in [(false, None), (true, Some(r#""secret text""#))] {
        let recorder = Recorder::default();
        let _guard = tracing::subscriber::set_default(recorder.clone());
        let (_, transport, _) = configured([conflict.clone()], |config| config.log_values(log_values)).await;
        transport.write(vec![set()], None).await.unwrap_err();
        let events = recorder.events.lock().unwrap().clone();
        assert_eq!(events.len(), 1);
        assert_eq!(events[0].get("dust.value").map(String::as_str), shown);
        assert_eq!(events[0]["outcome"], "Conflict");
        assert!(events[0]["error"].starts_with("conflict at `links/dust/title`"), "{events:?}");
        assert!(!format!("{events:?}").contains(TOKEN));
    }
}

#[tokio::test]
async fn a_call_that_is_dropped_is_an_event_too() {
    let recorder = Recorder::default();
    let _guard = tracing::subscriber::set_default(recorder.clone());
    let (_, transport, _) = scripted([Step::Stall(Duration::ZERO)]).await;
    let at = path("a");
    let mut call = Box::pin(transport.get(&at));
    let mut context = Context::from_waker(Waker::noop());
    assert!(call.as_mut().poll(&mut context).is_pending());
    drop(call);
    assert_eq!(recorder.events.lock().unwrap()[0]["outcome"], "cancelled");
}
