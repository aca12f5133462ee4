//! `cargo run -p axum-live`, and `cargo run -p axum-live -- 0.0.0.0:8080` to listen elsewhere. Ctrl-C ends it.

use axum_live::{Dust, Site, listen_address};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = listen_address(std::env::args().nth(1).as_deref())?;
    let dust = Dust::from_env_or_emulator().await?;
    let site = Site::new(&dust).await?;
    let listener = TcpListener::bind(address).await.map_err(|error| {
        format!("cannot listen on {address}: {error}; name another, as in `cargo run -p axum-live -- 3001`")
    })?;
    println!("The links of the {}", dust.describe());
    println!("are on http://{}: open it in two windows. Ctrl-C ends it.", listener.local_addr()?);

    let on_interrupt = site.clone();
    tokio::spawn(async move {
        // Without a signal handler there is no signal to wait for; the process can be killed.
        if tokio::signal::ctrl_c().await.is_ok() {
            on_interrupt.close();
        }
    });
    let closed = site.clone();
    axum::serve(listener, site.router()).with_graceful_shutdown(async move { closed.closed().await }).await?;
    dust.stop().await;
    Ok(())
}
