//! Connecting to a host that has several addresses (RFC 8305, "Happy Eyeballs").
//!
//! The addresses are tried in turn, alternating between IPv6 and IPv4. Each has 250 ms, or until it fails, before the
//! next is tried beside it; the first that connects is used.
//!
//! ```text
//! 2001:db8::1  |──────────────────────────────▶ (nothing answers)
//! 192.0.2.1    250 ms |───▶ refused
//! 2001:db8::2              |───▶ connected: the others are dropped
//! ```

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::sleep;

/// The time that an address has before the next one is tried beside it.
const DELAY: Duration = Duration::from_millis(250);

/// Connects to the first of these addresses that answers. If all fail, the error is that of the last failure.
pub(super) async fn race<T, F>(addresses: Vec<SocketAddr>, connect: impl Fn(SocketAddr) -> F) -> io::Result<T>
where
    F: Future<Output = io::Result<T>>,
{
    let mut waiting = alternating(addresses).into_iter();
    let mut attempts = FuturesUnordered::new();
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    loop {
        match waiting.next() {
            Some(address) => attempts.push(connect(address)),
            None if attempts.is_empty() => return Err(failure),
            None => {}
        }
        tokio::select! {
            biased;
            Some(attempt) = attempts.next() => match attempt {
                Ok(stream) => return Ok(stream),
                Err(error) => failure = error,
            },
            () = sleep(DELAY), if waiting.len() > 0 => {}
        }
    }
}

/// The addresses in the order of the resolver, alternating between the families, that of the first one first.
fn alternating(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let is_first_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<_>, Vec<_>) = addresses.into_iter().partition(|address| address.is_ipv6() == is_first_v6);
    let mut second = second.into_iter();
    let mut order: Vec<SocketAddr> =
        first.into_iter().flat_map(|address| [Some(address), second.next()]).flatten().collect();
    order.extend(second);
    order
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tokio::time::Instant;

    use super::*;

    fn v4(last: u8) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, last], 443))
    }

    fn v6(last: u16) -> SocketAddr {
        SocketAddr::from(([0x2001, 0xdb8, 0, 0, 0, 0, 0, last], 443))
    }

    /// The result, the time until it in milliseconds, and the time of each attempt.
    async fn run(
        addresses: &[SocketAddr],
        answers: &[(SocketAddr, u64, bool)],
    ) -> (io::Result<SocketAddr>, u128, Vec<(SocketAddr, u128)>) {
        let began = Instant::now();
        let tried = Mutex::new(vec![]);
        let connect = |address: SocketAddr| {
            tried.lock().unwrap().push((address, began.elapsed().as_millis()));
            let answer = answers.iter().find(|(of, ..)| *of == address).copied();
            async move {
                let Some((_, after, is_open)) = answer else { return std::future::pending().await };
                sleep(Duration::from_millis(after)).await;
                if is_open { Ok(address) } else { Err(io::ErrorKind::ConnectionRefused.into()) }
            }
        };
        let won = race(addresses.to_vec(), connect).await;
        (won, began.elapsed().as_millis(), tried.into_inner().unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn dead_address_costs_a_quarter_of_a_second() {
        let (won, took, tried) = run(&[v6(1), v6(2), v4(1)], &[(v4(1), 10, true), (v6(2), 10, true)]).await;
        assert_eq!((won.unwrap(), took), (v4(1), 260));
        assert_eq!(tried, [(v6(1), 0), (v4(1), 250)]);
    }

    #[tokio::test(start_paused = true)]
    async fn address_that_refuses_costs_the_time_of_its_answer() {
        let answers = [(v4(1), 5, false), (v6(1), 7, false), (v4(2), 3, true)];
        let (won, took, tried) = run(&[v4(1), v4(2), v6(1)], &answers).await;
        assert_eq!((won.unwrap(), took), (v4(2), 15));
        assert_eq!(tried, [(v4(1), 0), (v6(1), 5), (v4(2), 12)]);
    }

    #[tokio::test(start_paused = true)]
    async fn slow_address_wins_while_later_ones_are_tried() {
        let (won, took, tried) = run(&[v4(1), v4(2), v4(3)], &[(v4(1), 400, true), (v4(3), 100, true)]).await;
        assert_eq!((won.unwrap(), took, tried.len()), (v4(1), 400, 2));
    }

    #[tokio::test(start_paused = true)]
    async fn addresses_that_all_fail_are_the_last_error() {
        let (won, took, tried) = run(&[v4(1), v4(2)], &[(v4(1), 300, false), (v4(2), 100, false)]).await;
        assert_eq!((won.unwrap_err().kind(), took, tried.len()), (io::ErrorKind::ConnectionRefused, 350, 2));
        let (none, ..) = run(&[], &[]).await;
        assert_eq!(none.unwrap_err().to_string(), "the host has no address");
    }
}
