//! The handshake that turns a request into a socket.

use std::sync::Arc;

use dust_protocol::channel::CAPVER;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::sync::watch;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::connection::{Client, Connection, Stops};
use super::frame::Vsn;
use super::hub::Presence;
use crate::http::{Answer, Request};
use crate::state::State;
use crate::uri;

/// An accepted client. From its answer on the socket counts as open and receives the signal to drop all sockets.
pub(crate) struct Admitted {
    client: Client,
    presence: Presence,
    dropped: watch::Receiver<u64>,
}

/// The client of a request, or the refusal: 403 without a body for any missing or wrong parameter.
pub(crate) fn accept(state: &Arc<State>, request: &Request) -> Result<(Admitted, Answer), Answer> {
    let refused = || Answer::empty(403);
    let query = request.query.as_ref().map_err(|_| refused())?;
    let text = |name: &str| uri::text(query, name).ok_or_else(refused);
    let vsn = Vsn::of(&text("vsn")?).ok_or_else(refused)?;
    let token = state.tokens.by_secret(&text("token")?, state.clock.wall_ms()).ok_or_else(refused)?;
    let device_id = text("device_id")?;
    let capver = uri::positive(&text("capver")?);
    if capver.is_none_or(|capver| capver < u64::from(CAPVER)) {
        return Err(refused());
    }
    let is = |name: &str, wanted: &str| {
        let header = request.header(name).unwrap_or_default();
        header.split(',').any(|part| part.trim().eq_ignore_ascii_case(wanted))
    };
    let key = request.header("sec-websocket-key").filter(|key| !key.is_empty());
    match key.filter(|_| is("upgrade", "websocket") && is("connection", "upgrade") && is("sec-websocket-version", "13"))
    {
        Some(key) => {
            let answer = Answer::empty(101)
                .with("upgrade", "websocket")
                .with("connection", "Upgrade")
                .with("sec-websocket-accept", derive_accept_key(key.as_bytes()));
            let client = Client { vsn, token, device_id: device_id.into() };
            Ok((Admitted { client, presence: Presence::of(state), dropped: state.hub.dropped() }, answer))
        }
        None => Err(Answer::plain(400)),
    }
}

/// Serves a client once its connection is a socket.
pub(crate) async fn serve(state: Arc<State>, admitted: Admitted, upgrade: OnUpgrade, stops: Stops) {
    let Admitted { client, presence: _open, dropped } = admitted;
    // Fails if the client disconnects before the answer.
    let Ok(upgraded) = upgrade.await else { return };
    let socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, None).await;
    Connection::new(state, client, socket, dropped, stops).run().await;
}
