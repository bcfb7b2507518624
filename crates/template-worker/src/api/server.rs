//! Connections: taking them in, bounding how many there are and how long they may dawdle, and ending them.
//!
//! Owns what is done before a request is whole. What is done with a request is the router's business; when everyone has
//! been answered, that of `admission`.

use std::io;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::impatient::Impatient;
use crate::shutdown::Stopping;

/// How long the system is given to free something after it had no connection to give.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// What a server allows its clients.
#[derive(Debug, Clone, Copy)]
pub(super) struct Server {
    /// Connections at the same time. Those beyond wait in the listener's own queue until one ends.
    pub(super) most_connections: usize,
    /// How long a client may take to send the head of a request. It counts from when the connection is free for it, so
    /// it is also how long a connection may be idle.
    pub(super) head_time: Duration,
    /// How long a client may take nothing of an answer that is being sent.
    pub(super) take_time: Duration,
}

/// The connections of a server that takes no more of them. Dropping it cuts off those that are left.
pub(super) struct Open(JoinSet<()>);

impl Server {
    /// Serves `routes` to whoever connects to `listener`, until `stopping`: then it lets go of the listener, ends idle
    /// connections, and gives back the others, each of which ends with the request that it has.
    pub(super) async fn run(self, listener: TcpListener, routes: Router, stopping: Stopping) -> Open {
        let mut open = JoinSet::new();
        loop {
            tokio::select! {
                () = stopping.wait() => return Open(open),
                // One that ends makes room, for the next connection and in the set.
                Some(_) = open.join_next() => {}
                (stream, _) = next(|| listener.accept()), if open.len() < self.most_connections => {
                    open.spawn(self.converse(stream, routes.clone(), stopping.clone()));
                }
            }
        }
    }

    /// One connection from its first request to its last.
    async fn converse(self, stream: TcpStream, routes: Router, stopping: Stopping) {
        // An answer is one small write: it shouldn't wait for more to come.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "failed to switch off delays of a connection");
        }
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(self.head_time);
        let connection = http.serve_connection(
            TokioIo::new(Impatient::new(stream, self.take_time)),
            TowerToHyperService::new(routes),
        );
        let mut connection = std::pin::pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = stopping.wait() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "a connection ended before its time");
        }
    }
}

impl Open {
    /// Returns when the last one has ended.
    pub(super) async fn all_ended(&mut self) {
        while self.0.join_next().await.is_some() {}
    }
}

/// The next connection. No failure is for good: the service would be gone with its listener.
async fn next<T, F: Future<Output = io::Result<T>>>(accept: impl Fn() -> F) -> T {
    loop {
        match accept().await {
            Ok(connection) => return connection,
            // The client has gone again while it waited for its turn.
            Err(error) if of_the_client(error.kind()) => {}
            // Such as too many open files.
            Err(error) => {
                tracing::error!(%error, "failed to accept a connection; trying again in {ACCEPT_PAUSE:?}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn of_the_client(kind: io::ErrorKind) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(kind, ConnectionAborted | ConnectionRefused | ConnectionReset)
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::time::Instant;

    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::task::JoinHandle;
    use tokio::time::timeout;

    use super::*;

    const REQUEST: &[u8] = b"GET /ok HTTP/1.1\r\nhost: x\r\n\r\n";
    /// Longer than anything here takes, so that a test fails rather than hangs.
    const PATIENCE: Duration = Duration::from_secs(20);
    const PATIENT: Server = Server {
        most_connections: 10,
        head_time: Duration::from_secs(60),
        take_time: Duration::from_secs(60),
    };

    async fn start(server: Server) -> (SocketAddr, Stopping, JoinHandle<Open>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let routes = Router::new().route("/ok", get(|| async { "ok" }));
        let stopping = Stopping::default();
        let running = tokio::spawn(server.run(listener, routes, stopping.clone()));
        (address, stopping, running)
    }

    async fn connect(address: SocketAddr) -> TcpStream {
        TcpStream::connect(address).await.unwrap()
    }

    /// Sends a request and reads the first bytes of the answer.
    async fn ask(stream: &mut TcpStream) -> String {
        stream.write_all(REQUEST).await.unwrap();
        let mut answer = [0; 1024];
        let length = timeout(PATIENCE, stream.read(&mut answer)).await.unwrap().unwrap();
        String::from_utf8_lossy(&answer[..length]).into_owned()
    }

    /// Reads until the other side closes the connection, and says how long that took.
    async fn closed_after(stream: &mut TcpStream) -> Duration {
        let begun = Instant::now();
        let mut rest = Vec::new();
        // Whether it is closed or reset makes no difference.
        let _ = timeout(PATIENCE, stream.read_to_end(&mut rest)).await.expect("it was not closed");
        begun.elapsed()
    }

    #[tokio::test]
    async fn a_client_that_does_not_complete_its_head_in_time_is_cut_off() {
        let server = Server { head_time: Duration::from_millis(100), ..PATIENT };
        let (address, ..) = start(server).await;
        let mut silent = connect(address).await;
        let mut half = connect(address).await;
        half.write_all(b"GET /ok HTTP/1.1\r\nho").await.unwrap();
        let mut idle = connect(address).await;
        assert!(ask(&mut idle).await.starts_with("HTTP/1.1 200"));
        for stream in [&mut silent, &mut half, &mut idle] {
            assert!(closed_after(stream).await < PATIENCE);
        }
    }

    #[tokio::test]
    async fn a_connection_too_many_waits_for_its_turn_and_hurts_nobody_inside() {
        let (address, ..) = start(Server { most_connections: 2, ..PATIENT }).await;
        let (mut first, mut second) = (connect(address).await, connect(address).await);
        assert!(ask(&mut first).await.ends_with("ok"));
        assert!(ask(&mut second).await.ends_with("ok"));
        let mut third = connect(address).await;
        third.write_all(REQUEST).await.unwrap();
        let mut byte = [0];
        let early = timeout(Duration::from_millis(100), third.read(&mut byte)).await;
        assert!(early.is_err(), "it was served beside two others: {early:?}");
        for _ in 0..3 {
            assert!(ask(&mut first).await.ends_with("ok"));
        }
        drop(second);
        let served = timeout(PATIENCE, third.read(&mut byte)).await.unwrap();
        assert_eq!((served.unwrap(), byte), (1, *b"H"));
    }

    #[tokio::test]
    async fn a_shutdown_closes_idle_connections_and_the_listener_at_once() {
        let (address, stopping, running) = start(PATIENT).await;
        let mut idle = connect(address).await;
        assert!(ask(&mut idle).await.ends_with("ok"));
        stopping.begin();
        let mut open = timeout(PATIENCE, running).await.unwrap().unwrap();
        timeout(PATIENCE, open.all_ended()).await.unwrap();
        assert!(closed_after(&mut idle).await < PATIENCE);
        assert!(TcpStream::connect(address).await.is_err(), "it still listens");
    }

    #[tokio::test]
    async fn a_client_that_does_not_take_its_answer_is_cut_off() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        // More than the buffers of a connection hold.
        let routes = Router::new().route("/ok", get(|| async { vec![0; 64 << 20] }));
        let stopping = Stopping::default();
        let server = Server { take_time: Duration::from_millis(100), ..PATIENT };
        let running = tokio::spawn(server.run(listener, routes, stopping.clone()));
        let mut deaf = connect(address).await;
        assert!(ask(&mut deaf).await.starts_with("HTTP/1.1 200"));
        stopping.begin();
        let mut open = timeout(PATIENCE, running).await.unwrap().unwrap();
        timeout(PATIENCE, open.all_ended()).await.expect("it waits for ever");
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_to_accept_is_never_the_last_word() {
        let tries = std::cell::Cell::new(0);
        let too_many_files = 24;
        let accepted = next(|| {
            tries.set(tries.get() + 1);
            let result = match tries.get() {
                1 => Err(io::ErrorKind::ConnectionAborted.into()),
                2 | 3 => Err(io::Error::from_raw_os_error(too_many_files)),
                tries => Ok(tries),
            };
            std::future::ready(result)
        });
        let begun = tokio::time::Instant::now();
        assert_eq!(accepted.await, 4);
        assert_eq!(begun.elapsed(), 2 * ACCEPT_PAUSE, "it pauses where it is not the client's doing");
    }
}
