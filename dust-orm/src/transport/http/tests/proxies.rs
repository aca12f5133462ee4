//! A transport whose requests go through a proxy.

use url::Url;

use super::peer::json;
use super::*;
use crate::config::proxy::proxy_for;
use crate::error::{DustErr, ErrKind};
use crate::transport::Transport;
use crate::transport::http::Clients;

#[tokio::test]
async fn request_goes_to_the_proxy_with_its_password() {
    let world = TestWorld::new();
    let peer = Peer::start(&world, [json(200, r#"{"path":"a","value":1,"type":"integer","revision":1}"#)]).await;
    let config = config("http://dust.test:81").build().unwrap();
    let named = peer.url().replace("http://", "http://user:pass@");
    let proxy =
        proxy_for(&Url::parse("http://dust.test:81").unwrap(), |name| (name == "ALL_PROXY").then(|| named.clone()));
    let mut transport = HttpTransport::in_world(config.clone(), world).unwrap();
    transport.clients = Arc::new(Clients::through(&config, proxy.unwrap()).unwrap());
    assert!(transport.get(&path("a")).await.unwrap().is_some());
    let received = peer.received();
    assert!(received[0].line.starts_with("GET http://dust.test:81/api/stores/acme/reading/entries"), "{received:?}");
    assert_eq!(received[0].header("proxy-authorization"), Some("Basic dXNlcjpwYXNz"));
}

/// The variable that is set only in the process that has a proxy in its environment.
const CHILD: &str = "DUST_PROXY_CHILD";

#[test]
fn unsupported_proxy_of_the_environment_is_a_configuration_error() {
    if std::env::var_os(CHILD).is_none() {
        let name = "transport::http::tests::proxies::unsupported_proxy_of_the_environment_is_a_configuration_error";
        let mut child = std::process::Command::new(std::env::current_exe().unwrap());
        let output =
            child.args(["--exact", name, "--nocapture"]).env(CHILD, "1").env("HTTPS_PROXY", "socks5h://p:1").output();
        let output = output.unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains("1 passed"), "{output:?}");
        return;
    }
    let refused = |error: DustErr| {
        assert_eq!((error.kind(), error.is_retryable()), (ErrKind::InvalidParams, false));
        assert!(error.to_string().contains("HTTPS_PROXY") && error.to_string().contains("socks5h"), "{error}");
    };
    refused(HttpTransport::new(config("https://dust.test").build().unwrap()).unwrap_err());
    #[cfg(feature = "realtime")]
    {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let builder = crate::realtime::SyncClient::builder().store("a/b").token("t").base_url("https://dust.test");
        refused(runtime.block_on(builder.start()).unwrap_err());
    }
}
