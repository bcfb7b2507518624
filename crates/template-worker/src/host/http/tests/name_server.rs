//! A name server for the tests: it says what a test wants of each name, over datagrams, and over a connection where that
//! is too long for one; and it remembers what it was asked.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex};

use hickory_resolver::proto::op::{Message, OpCode, ResponseCode};
use hickory_resolver::proto::rr::rdata::CNAME;
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::super::resolver::{Files, SystemNames};

/// What is said of a name.
pub(super) enum Reply {
    /// These addresses, as far as they are of the family.
    Addresses(Vec<IpAddr>),
    /// That it is another name, about which more may be said in the same answer.
    Alias(&'static str, Vec<IpAddr>),
    /// That it is another name, which is made of a number that grows.
    Chain(usize),
    /// What is wrong.
    Code(ResponseCode),
    /// Nothing.
    Silence,
    /// That it is too long for a datagram, and then nothing over a connection.
    TooLong,
    /// The addresses, once the test has said so.
    Held(Vec<IpAddr>),
}

/// An answer with the addresses of `texts`.
pub(super) fn addresses(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

/// What is said of each name and family.
pub(super) type Zone = dyn Fn(&str, RecordType) -> Reply + Send + Sync;

/// A server with its zone.
pub(super) struct NameServer {
    pub(super) address: SocketAddr,
    state: Arc<State>,
    /// Ends with the server.
    _tasks: JoinSet<()>,
}

struct State {
    zone: Arc<Zone>,
    asked: Mutex<Vec<(String, RecordType)>>,
    /// How many questions there were.
    count: watch::Sender<usize>,
    released: watch::Sender<bool>,
}

impl NameServer {
    pub(super) async fn start(zone: impl Fn(&str, RecordType) -> Reply + Send + Sync + 'static) -> Self {
        let zone: Arc<Zone> = Arc::new(zone);
        loop {
            if let Some(server) = Self::start_at(([127, 0, 0, 1], 0).into(), Arc::clone(&zone)).await {
                return server;
            }
        }
    }

    /// At an address of this machine, unless somebody else has its port. Of all ports, 0 is any.
    pub(super) async fn start_at(address: SocketAddr, zone: Arc<Zone>) -> Option<Self> {
        let datagrams = UdpSocket::bind(address).await.ok()?;
        let address = datagrams.local_addr().unwrap();
        let connections = TcpListener::bind(address).await.ok()?;
        let state = Arc::new(State {
            zone,
            asked: Mutex::default(),
            count: watch::Sender::new(0),
            released: watch::Sender::new(false),
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(serve_datagrams(Arc::new(datagrams), Arc::clone(&state)));
        tasks.spawn(serve_connections(connections, Arc::clone(&state)));
        Some(Self { address, state, _tasks: tasks })
    }

    /// The names of a machine for which this is the name server, with this file of hosts.
    pub(super) fn names(&self, hosts: &str) -> SystemNames {
        let folder = tempfile::tempdir().unwrap();
        SystemNames::of(Vec::new(), self.files(&folder, hosts))
    }

    /// The files of such a machine.
    pub(super) fn files(&self, folder: &TempDir, hosts: &str) -> Files {
        let write = |name: &str, text: &str| {
            let path = Path::new(folder.path()).join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let resolv_conf = write("resolv.conf", &format!("nameserver {}\n", self.address.ip()));
        Files { hosts: write("hosts", hosts), resolv_conf, port: self.address.port() }
    }

    /// Every question, in the order in which they came.
    pub(super) fn asked(&self) -> Vec<(String, RecordType)> {
        self.state.asked.lock().unwrap().clone()
    }

    /// Waits until there were so many questions.
    pub(super) async fn was_asked(&self, questions: usize) {
        self.state.count.subscribe().wait_for(|count| *count >= questions).await.unwrap();
    }

    /// Answers what was held.
    pub(super) fn release(&self) {
        self.state.released.send_replace(true);
    }
}

async fn serve_datagrams(socket: Arc<UdpSocket>, state: Arc<State>) {
    let mut replies = JoinSet::new();
    let mut buffer = [0; 4096];
    while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
        let (socket, state) = (Arc::clone(&socket), Arc::clone(&state));
        let question = Message::from_vec(&buffer[..length]).unwrap();
        state.enter(&question);
        replies.spawn(async move {
            let Some(reply) = state.reply(&question, true).await else { return };
            let mut bytes = reply.to_vec().unwrap();
            if bytes.len() > usize::from(question.max_payload()) {
                bytes = reply.truncate().to_vec().unwrap();
            }
            // Whoever asked may have gone.
            let _ = socket.send_to(&bytes, from).await;
        });
    }
}

async fn serve_connections(listener: TcpListener, state: Arc<State>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(serve_connection(stream, Arc::clone(&state)));
    }
}

async fn serve_connection(mut stream: TcpStream, state: Arc<State>) {
    while let Ok(length) = stream.read_u16().await {
        let mut bytes = vec![0; usize::from(length)];
        stream.read_exact(&mut bytes).await.unwrap();
        let question = Message::from_vec(&bytes).unwrap();
        state.enter(&question);
        let Some(reply) = state.reply(&question, false).await else { continue };
        let bytes = reply.to_vec().unwrap();
        stream.write_u16(u16::try_from(bytes.len()).unwrap()).await.unwrap();
        stream.write_all(&bytes).await.unwrap();
    }
}

impl State {
    fn enter(&self, question: &Message) {
        let query = &question.queries[0];
        self.asked.lock().unwrap().push((query.name().to_ascii(), query.query_type()));
        self.count.send_modify(|count| *count += 1);
    }

    async fn reply(&self, question: &Message, by_datagram: bool) -> Option<Message> {
        let query = &question.queries[0];
        let mut reply = Message::response(question.id, OpCode::Query);
        reply.add_query(query.clone());
        let mut add = |name: &Name, found: Vec<IpAddr>| {
            let of_family =
                found.into_iter().map(RData::from).filter(|data| data.record_type() == query.query_type());
            reply.add_answers(of_family.map(|data| Record::from_rdata(name.clone(), 60, data)));
        };
        match (self.zone)(&query.name().to_ascii(), query.query_type()) {
            Reply::Addresses(found) => add(query.name(), found),
            Reply::Alias(other, found) => {
                let other = Name::from_ascii(other).unwrap();
                add(&other, found);
                let alias = RData::CNAME(CNAME(other));
                reply.answers.insert(0, Record::from_rdata(query.name().clone(), 60, alias));
            }
            Reply::Chain(number) => {
                let next = Name::from_ascii(format!("{}.example.com.", number + 1)).unwrap();
                reply.add_answer(Record::from_rdata(query.name().clone(), 60, RData::CNAME(CNAME(next))));
            }
            Reply::Code(code) => reply.metadata.response_code = code,
            Reply::TooLong if by_datagram => reply.metadata.truncation = true,
            Reply::TooLong | Reply::Silence => return None,
            Reply::Held(found) => {
                self.released.subscribe().wait_for(|released| *released).await.ok()?;
                add(query.name(), found);
            }
        }
        Some(reply)
    }
}
