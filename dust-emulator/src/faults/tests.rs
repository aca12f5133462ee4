use super::*;

fn met(method: &'static str, route: Route) -> Met<'static> {
    Met { method, route, target: "/api/stores/acme/main/entries/links/dust" }
}

#[test]
fn fault_happens_as_often_as_set() {
    let faults = Faults::default();
    faults.add(Fault::status(503).writes().skip(1).times(2));
    let write = || faults.meet(&met("PUT", Route::Put)).is_some();
    assert!(faults.meet(&met("GET", Route::Get)).is_none());
    assert_eq!([write(), write(), write(), write()], [false, true, true, false]);
    assert_eq!(faults.pending(), []);
}

#[test]
fn fault_matches_its_conditions() {
    let matches = |fault: Fault, method, route| {
        let faults = Faults::default();
        faults.add(fault);
        faults.meet(&met(method, route)).is_some()
    };
    assert!(matches(Fault::close(), "GET", Route::List));
    assert!(matches(Fault::close().method("put"), "PUT", Route::Put));
    assert!(!matches(Fault::close().method("HEAD"), "GET", Route::Get));
    assert!(matches(Fault::close().route(Route::Batch).reads(), "POST", Route::Batch));
    assert!(!matches(Fault::close().route(Route::Batch).writes(), "POST", Route::Batch));
    assert!(matches(Fault::close().path_contains("links/"), "GET", Route::Get));
    assert!(!matches(Fault::close().path_contains("links2"), "GET", Route::Get));
    assert!(!matches(Fault::close().times(0), "GET", Route::Get));
}

#[test]
fn first_matching_fault_happens() {
    let faults = Faults::default();
    faults.add(Fault::status(500).writes());
    faults.add(Fault::status(503).forever());
    let status = |method, route| match faults.meet(&met(method, route)).unwrap().effect {
        Effect::Status(Other { status, .. }) => status,
        _ => 0,
    };
    assert_eq!(status("GET", Route::Get), 503);
    assert_eq!(status("PUT", Route::Put), 500);
    assert_eq!(status("PUT", Route::Put), 503);
    assert_eq!(faults.pending().len(), 1);
    faults.clear();
    assert!(faults.meet(&met("GET", Route::Get)).is_none());
}

#[test]
fn array_as_fault_is_refused() {
    for text in [
        r#"{"effect":{"status":[503]}}"#,
        r#"{"effect":{"status":[503,null,null,1]}}"#,
        r#"{"effect":{"truncate":[3]}}"#,
        r#"{"effect":{"refuse":["conflict"]}}"#,
    ] {
        assert!(serde_json::from_str::<Fault>(text).is_err(), "{text}");
    }
}

#[test]
fn fault_is_parsed_from_json() {
    let fault: Fault = serde_json::from_str(r#"{"effect":{"status":{"status":503}},"only":"writes"}"#).unwrap();
    assert_eq!(fault, Fault::status(503).writes());
    let fault: Fault = serde_json::from_str(r#"{"effect":"close","route":"batch_write","times":null}"#).unwrap();
    assert_eq!(fault, Fault::close().route(Route::BatchWrite).forever());
    assert!(serde_json::from_str::<Fault>(r#"{"effect":"close","tims":1}"#).is_err());
    let text = serde_json::to_string(&Fault::truncate(3)).unwrap();
    assert_eq!(serde_json::from_str::<Fault>(&text).unwrap(), Fault::truncate(3));
}

#[test]
fn fault_replaces_the_answer() {
    let answer = |fault: Fault| fault.effect().answer().unwrap();
    assert_eq!(answer(Fault::status(502)).body, r#"{"errors":{"detail":"Bad Gateway"}}"#);
    assert_eq!(answer(Fault::rate_limited(7)).header("retry-after"), Some("7"));
    assert_eq!(answer(Fault::rate_limited(7)).body, r#"{"error":"rate_limited"}"#);
    assert_eq!(answer(Fault::status(404).body("<p>")).header("content-type"), Some("text/html; charset=utf-8"));
    assert_eq!(Fault::close().effect().answer(), None);
    assert!(Fault::truncate(1).lets_through() && !Fault::close().lets_through());
}

#[test]
fn message_is_matched_by_faults_for_messages() {
    let meets = |fault: Fault, route| {
        let faults = Faults::default();
        faults.add(fault);
        faults.meet(&Met { method: "WS", route, target: "store:acme/main/links/dust" }).is_some()
    };
    for fault in [Fault::crash(), Fault::refuse("no"), Fault::swallow_reply()] {
        assert!(meets(fault.clone(), Route::SocketStatus) && !meets(fault, Route::Socket));
    }
    assert!(meets(Fault::swallow_event(), Route::SocketWrite) && !meets(Fault::swallow_event(), Route::SocketJoin));
    assert!(meets(Fault::close().route(Route::SocketJoin), Route::SocketJoin));
    assert!(!meets(Fault::close(), Route::SocketJoin) && meets(Fault::close(), Route::Socket));
    assert!(!meets(Fault::status(500).route(Route::SocketJoin), Route::SocketJoin));
    assert!(meets(Fault::crash().path_contains("links/"), Route::SocketWrite));
    assert!(!Fault::refuse("no").applied().lets_through() && Fault::crash().applied().lets_through());
    let fault: Fault = serde_json::from_str(r#"{"effect":"swallow_reply","route":"socket_write"}"#).unwrap();
    assert_eq!(fault, Fault::swallow_reply().route(Route::SocketWrite));
}
