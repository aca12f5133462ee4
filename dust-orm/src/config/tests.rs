use std::ffi::OsString;
use std::time::Duration;

use super::*;
use crate::error::ErrKind;

const SECRET: &str = "dust_tok_secret123";

fn env(pairs: &[(&str, &str)]) -> impl Fn(&str) -> Option<OsString> {
    let pairs: Vec<(String, String)> =
        pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
    move |name| pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.into())
}

fn from_env(pairs: &[(&str, &str)]) -> Result<DustConfig, DustErr> {
    DustConfig::builder().env().build_with(env(pairs))
}

fn refusal(result: Result<DustConfig, DustErr>) -> String {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), ErrKind::InvalidParams);
    error.to_string()
}

#[test]
fn the_environment_is_enough() {
    let config = from_env(&[("DUST_STORE", "acme/reading"), ("DUST_TOKEN", SECRET)]).unwrap();
    assert_eq!(config.store(), "acme/reading");
    assert_eq!(config.base_url(), "https://dustlayer.io");
    assert_eq!(config.token().reveal(), SECRET);
    assert_eq!(config.connect_timeout(), Duration::from_secs(30));
    assert_eq!(config.request_timeout(), Duration::from_secs(15));
    assert_eq!(config.deadline(), Duration::from_secs(45));
    let local = [("DUST_STORE", "a/b"), ("DUST_TOKEN", "t"), ("DUST_BASE_URL", "http://127.0.0.1:7755/")];
    assert_eq!(from_env(&local).unwrap().base_url(), "http://127.0.0.1:7755");
}

#[test]
fn what_is_set_by_hand_wins_over_the_environment() {
    let config = DustConfig::builder()
        .store("mine/here")
        .env()
        .build_with(env(&[("DUST_STORE", "theirs/there"), ("DUST_TOKEN", "t")]))
        .unwrap();
    assert_eq!(config.store(), "mine/here");
}

#[test]
fn the_environment_is_read_only_when_asked_for() {
    let message = refusal(DustConfig::builder().build_with(env(&[("DUST_STORE", "a/b"), ("DUST_TOKEN", "t")])));
    assert_eq!(
        message,
        "the configuration lacks `store`; for example .store(\"acme/reading\"), or .env() to read DUST_STORE"
    );
}

#[test]
fn a_missing_variable_is_named_with_an_example() {
    assert_eq!(refusal(from_env(&[("DUST_TOKEN", "t")])), "DUST_STORE is not set; for example DUST_STORE=acme/reading");
    assert_eq!(refusal(from_env(&[("DUST_STORE", "a/b")])), "DUST_TOKEN is not set; for example DUST_TOKEN=dust_tok_…");
}

#[test]
fn a_malformed_variable_is_named_with_an_example() {
    for store in ["acme", "acme/", "/reading", "acme/a/b", "Acme/reading", "acme/re ading", "acme/..", "acme/é"] {
        let message = refusal(from_env(&[("DUST_STORE", store), ("DUST_TOKEN", "t")]));
        assert!(message.starts_with("DUST_STORE must be `org/name`"), "{message}");
        assert!(message.ends_with("; for example DUST_STORE=acme/reading"), "{message}");
    }
    for (store, why) in [
        ("", "is empty, but must be `org/name`"),
        (" ", "begins or ends with white space, or a line end: remove it"),
        ("acme/reading\n", "begins or ends with white space, or a line end: remove it"),
        (
            "\"acme/reading\"",
            "is in quotes, which a shell removes but other readers of variables keep: write it without",
        ),
    ] {
        let message = refusal(from_env(&[("DUST_STORE", store), ("DUST_TOKEN", "t")]));
        assert_eq!(message, format!("DUST_STORE {why}; for example DUST_STORE=acme/reading"));
    }
    for token in ["", "'t'", "two words", "line\nend", "é"] {
        let message = refusal(from_env(&[("DUST_STORE", "a/b"), ("DUST_TOKEN", token)]));
        assert!(message.starts_with("DUST_TOKEN "), "{message}");
        assert!(message.ends_with("; for example DUST_TOKEN=dust_tok_…"), "{message}");
    }
    for url in ["", "dustlayer.io", "ftp://x", "http://", "http://user:pw@x", "http://x/?a", "http://x#y", "unix:/x"] {
        let message = refusal(from_env(&[("DUST_STORE", "a/b"), ("DUST_TOKEN", "t"), ("DUST_BASE_URL", url)]));
        assert!(message.starts_with("DUST_BASE_URL "), "{url}: {message}");
        assert!(message.ends_with("; for example DUST_BASE_URL=https://dustlayer.io"), "{message}");
    }
}

#[test]
fn the_builder_is_named_where_the_value_came_from_it() {
    let builder = || DustConfig::builder().store("a/b").token("t");
    assert_eq!(
        refusal(builder().store("nope").build()),
        "`store` must be `org/name`; for example .store(\"acme/reading\")"
    );
    assert!(refusal(builder().base_url("nope").build()).starts_with("`base_url` is not an address"));
    assert!(refusal(builder().deadline(Duration::ZERO).build()).starts_with("`deadline` must be more than zero"));
    let never = RetryPolicy { max_tries: 0, ..RetryPolicy::none() };
    assert!(refusal(builder().retry(never).build()).starts_with("`retry.max_tries` must be more than zero"));
}

#[test]
fn base_url_of_a_part_of_the_server_names_the_setting_and_the_right_one() {
    let from_env = |url| from_env(&[("DUST_STORE", "a/b"), ("DUST_TOKEN", "t"), ("DUST_BASE_URL", url)]);
    assert_eq!(
        refusal(from_env("wss://dust.test:81/ws/sync/websocket")),
        "DUST_BASE_URL is the address of a WebSocket, but must be the one for HTTP: write \
         DUST_BASE_URL=https://dust.test:81"
    );
    assert_eq!(
        refusal(from_env("https://dustlayer.io/acme")),
        "DUST_BASE_URL must not have a path on this server: write DUST_BASE_URL=https://dustlayer.io"
    );
    assert_eq!(from_env("https://proxy.test/dust/").unwrap().base_url(), "https://proxy.test/dust");
    let builder = DustConfig::builder().store("a/b").token("t").base_url("http://127.0.0.1:7755/ws/sync/websocket");
    assert_eq!(
        refusal(builder.build()),
        "`base_url` must not contain the path of the WebSocket or of the API, which is appended to it: write \
         .base_url(\"http://127.0.0.1:7755\")"
    );
}

#[test]
fn the_token_is_shown_nowhere() {
    let builder = DustConfig::builder().store("a/b").token(SECRET);
    assert!(!format!("{builder:?}").contains(SECRET));
    assert!(!format!("{:?}", builder.build().unwrap()).contains(SECRET));
    assert!(!refusal(DustConfig::builder().store(SECRET).token("t").build()).contains(SECRET));
    let malformed = format!("{SECRET} {SECRET}");
    assert!(!refusal(DustConfig::builder().store("a/b").token(malformed).build()).contains(SECRET));
    let in_address = format!("http://user:{SECRET}@host");
    let in_query = format!("wss://user:{SECRET}@host/ws/sync/websocket?token={SECRET}#{SECRET}");
    for address in [in_address, in_query] {
        assert!(!refusal(DustConfig::builder().store("a/b").token("t").base_url(address).build()).contains(SECRET));
    }
}

#[test]
fn a_token_that_a_server_repeats_is_redacted() {
    let token = Token::new(SECRET);
    assert_eq!(token.redact(format!("Bearer {SECRET}!")), "Bearer [token]!");
    assert_eq!(token.redact("nothing to hide".to_owned()), "nothing to hide");
}
