//! A server for the tests: it writes what it is told, byte by byte, so that it can be as hostile as a test wants, and
//! remembers what it was sent.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What the server does with each connection.
#[derive(Clone)]
pub(super) enum Answer {
    /// Writes these bytes and closes.
    Bytes(Vec<u8>),
    /// Writes these bytes, and then the others again and again.
    Endless(Vec<u8>, Vec<u8>),
    /// Writes these bytes and holds the connection.
    Then(Vec<u8>),
}

pub(super) struct Server {
    pub(super) address: SocketAddr,
    /// Each request as it came, head and body.
    pub(super) seen: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Server {
    pub(super) async fn start(answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, answer.clone(), Arc::clone(&kept)));
            }
        });
        Self { address, seen, task }
    }

    /// How many requests came.
    pub(super) fn requests(&self) -> usize {
        self.seen.lock().unwrap().len()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut stream: TcpStream, answer: Answer, seen: Arc<Mutex<Vec<String>>>) {
    let Some(request) = read(&mut stream).await else { return };
    seen.lock().unwrap().push(request);
    // Whoever hangs up early is what some of the tests are about.
    let _ = match answer {
        Answer::Bytes(bytes) => stream.write_all(&bytes).await,
        Answer::Endless(head, piece) => {
            let mut written = stream.write_all(&head).await;
            while written.is_ok() {
                written = stream.write_all(&piece).await;
                tokio::task::yield_now().await;
            }
            written
        }
        Answer::Then(bytes) => {
            let written = stream.write_all(&bytes).await;
            tokio::time::sleep(Duration::from_secs(3600)).await;
            written
        }
    };
}

async fn read(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                return Some(text);
            }
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}
