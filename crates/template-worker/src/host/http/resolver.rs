//! The names that this machine knows: those that its operator has fixed, its file of hosts, and its name servers.
//!
//! Owns who is asked, how often, and what a look-up costs. It is a future and ends with its request: no thread waits for
//! it, and it has at most two sockets for datagrams, one for each family of addresses. So the requests in flight bound
//! the look-ups, and whoever owns names whose name servers never answer keeps nobody else's waiting. What may be dialled
//! of an answer is for `names`.
//!
//! Nothing is kept of an answer: a cache would tell a guild what others ask for, and an answer that its owner made large
//! would lie in it. The machine's name servers have caches. Only those who ask the same at the same time share the
//! question, which goes on as long as one of them is there.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use std::{fs, iter};

use async_trait::async_trait;
use hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ProtocolConfig, ResolveHosts, ResolverConfig,
};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::udp::UdpClientStream;
use hickory_resolver::net::xfer::DnsExchange;
use hickory_resolver::proto::rr::{Name, RecordType};
use hickory_resolver::{ConnectionProvider, PoolContext, Resolver};
use tokio::time::{Instant, timeout};

use super::names::{MOST_ADDRESSES, Names, Unanswered};
use crate::config::FixedName;

/// Name servers that are asked, as many as the C library asks.
const MOST_SERVERS: usize = 3;
/// How often each of them is asked, one after the other in the order of the file.
const ROUNDS: usize = 2;
/// How long one has to answer. With one name server, all rounds fit into the time that a request has by default.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long what was read of the machine's files is good for.
const FILES_KEPT: Duration = Duration::from_secs(60);

/// The names that this machine knows.
pub struct SystemNames {
    fixed: Vec<FixedName>,
    machine: Arc<Machine>,
}

impl SystemNames {
    /// Looks up whatever is not `fixed`: in `/etc/hosts`, and else at the name servers of `/etc/resolv.conf`.
    pub fn new(fixed: Vec<FixedName>) -> Self {
        Self::of(fixed, Files::default())
    }

    /// The same for a machine with other files.
    pub(super) fn of(fixed: Vec<FixedName>, files: Files) -> Self {
        Self { fixed, machine: Arc::new(Machine::new(files)) }
    }
}

#[async_trait]
impl Names for SystemNames {
    async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, Unanswered> {
        let fixed: Vec<IpAddr> =
            self.fixed.iter().filter(|known| known.name == host).map(|known| known.address).collect();
        if !fixed.is_empty() {
            return Ok(fixed);
        }
        let directory = self.machine.directory().await;
        match directory.hosts.get(host) {
            Some(addresses) => Ok(addresses.clone()),
            None => directory.ask(host).await,
        }
    }

    fn is_fixed(&self, host: &str) -> bool {
        self.fixed.iter().any(|known| known.name == host)
    }
}

/// Where a machine says what names it knows, and who knows more.
#[derive(Debug, Clone)]
pub(super) struct Files {
    pub(super) hosts: PathBuf,
    pub(super) resolv_conf: PathBuf,
    /// Of the name servers. The file cannot say it.
    pub(super) port: u16,
}

impl Default for Files {
    fn default() -> Self {
        Self { hosts: "/etc/hosts".into(), resolv_conf: "/etc/resolv.conf".into(), port: 53 }
    }
}

/// A machine's files, and what they said when they were read last.
struct Machine {
    files: Files,
    last: Mutex<Last>,
}

struct Last {
    read: Instant,
    directory: Arc<Directory>,
}

impl Machine {
    fn new(files: Files) -> Self {
        if name_servers(&text(&files.resolv_conf)).is_empty() {
            let file = files.resolv_conf.display();
            tracing::warn!(%file, "no name server is in the file, or it cannot be read: 127.0.0.1 is asked for names");
        }
        let last = Last { read: Instant::now(), directory: Arc::new(Directory::read(&files)) };
        Self { files, last: Mutex::new(last) }
    }

    /// What the files say. When they were read a while ago, one look-up reads them again, and the others go on with what
    /// there is.
    async fn directory(self: &Arc<Self>) -> Arc<Directory> {
        let is_due = {
            let mut last = self.last();
            let is_due = last.read.elapsed() >= FILES_KEPT;
            if is_due {
                last.read = Instant::now();
            }
            is_due
        };
        if is_due {
            let machine = Arc::clone(self);
            let read = move || {
                let directory = Arc::new(Directory::read(&machine.files));
                machine.last().directory = directory;
            };
            // It goes on when this look-up ends. Where it fails, what there was is good for a while longer.
            let _ = tokio::task::spawn_blocking(read).await;
        }
        Arc::clone(&self.last().directory)
    }

    fn last(&self) -> MutexGuard<'_, Last> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Who knows names, as a machine's files say.
struct Directory {
    hosts: HashMap<String, Vec<IpAddr>>,
    servers: Vec<Resolver<OneSocket>>,
}

impl Directory {
    fn read(files: &Files) -> Self {
        let mut servers = name_servers(&text(&files.resolv_conf));
        if servers.is_empty() {
            // As the C library does.
            servers.push(Ipv4Addr::LOCALHOST.into());
        }
        // Only with TLS can one fail to be made.
        let servers = servers.into_iter().filter_map(|server| resolver(server, files.port).ok()).collect();
        Self { hosts: hosts(&text(&files.hosts)), servers }
    }

    /// The addresses of both families. Those of IPv4 come first: they can be dialled from more machines.
    async fn ask(&self, host: &str) -> Result<Vec<IpAddr>, Unanswered> {
        // The dot says that the name is whole: without it, it might be looked up inside of the machine's own domain.
        let Ok(name) = Name::from_ascii(format!("{host}.")) else { return Ok(Vec::new()) };
        let families =
            tokio::join!(self.ask_for(&name, RecordType::A), self.ask_for(&name, RecordType::AAAA));
        match families {
            (Ok(v4), Ok(v6)) => Ok([v4, v6].concat()),
            (Ok(found), Err(_)) | (Err(_), Ok(found)) if !found.is_empty() => Ok(found),
            _ => Err(Unanswered),
        }
    }

    /// The addresses of one family. Of a long answer only as many are kept as show that it is too long.
    async fn ask_for(&self, name: &Name, family: RecordType) -> Result<Vec<IpAddr>, Unanswered> {
        for server in iter::repeat_n(&self.servers, ROUNDS).flatten() {
            match timeout(PATIENCE, server.lookup(name.clone(), family)).await {
                Ok(Ok(found)) => {
                    let addresses = found.answers().iter().filter_map(|record| record.data.ip_addr());
                    return Ok(addresses.take(MOST_ADDRESSES + 1).collect());
                }
                Ok(Err(error)) if error.is_no_records_found() => return Ok(Vec::new()),
                Ok(Err(_)) | Err(_) => {}
            }
        }
        Err(Unanswered)
    }
}

/// Asks one name server, once, and keeps nothing.
fn resolver(server: IpAddr, port: u16) -> Result<Resolver<OneSocket>, NetError> {
    let mut server = NameServerConfig::udp_and_tcp(server);
    for connection in &mut server.connections {
        connection.port = port;
    }
    let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
    let mut builder = Resolver::builder_with_config(config, OneSocket::default());
    let options = builder.options_mut();
    // Whoever asks has given up before. A question that is shared can be carried on once by somebody who came late.
    options.timeout = PATIENCE * 2;
    options.attempts = 0;
    options.cache_size = 0;
    options.use_hosts_file = ResolveHosts::Never;
    // Of a long chain of names only the end is kept while it is followed.
    options.preserve_intermediates = false;
    // Answers too large for a datagram come over a connection. It takes all questions that there are: one that is never
    // answered keeps no place on it, and no more connections have to be opened.
    options.max_active_requests = usize::from(u16::MAX);
    builder.build()
}

/// Asks each question from one socket. A socket for each repetition would make three of it.
#[derive(Clone, Default)]
struct OneSocket(TokioRuntimeProvider);

impl ConnectionProvider for OneSocket {
    type Conn = DnsExchange<TokioRuntimeProvider>;
    type FutureConn = Pin<Box<dyn Future<Output = Result<Self::Conn, NetError>> + Send>>;
    type RuntimeProvider = TokioRuntimeProvider;

    fn new_connection(
        &self,
        server: IpAddr,
        config: &ConnectionConfig,
        context: &PoolContext,
    ) -> Result<Self::FutureConn, NetError> {
        if config.protocol != ProtocolConfig::Udp {
            return self.0.new_connection(server, config, context);
        }
        let datagrams = UdpClientStream::builder(SocketAddr::new(server, config.port), self.0.clone())
            .with_timeout(Some(context.options.timeout))
            .with_max_retries(1);
        Ok(Box::pin(async move { Ok(datagrams.exchange()) }))
    }

    fn runtime_provider(&self) -> &TokioRuntimeProvider {
        &self.0
    }
}

/// What is in a file; nothing, where it cannot be read.
fn text(file: &Path) -> String {
    fs::read(file).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

/// The name servers of a `resolv.conf`. Nothing else of it counts: names are whole, and the times are ours.
fn name_servers(text: &str) -> Vec<IpAddr> {
    let server = |line: &str| {
        let mut words = line.split_whitespace();
        if words.next() == Some("nameserver") { words.next()?.parse().ok() } else { None }
    };
    text.lines().filter_map(server).take(MOST_SERVERS).collect()
}

/// The names of a file of hosts, with their addresses.
fn hosts(text: &str) -> HashMap<String, Vec<IpAddr>> {
    let mut hosts: HashMap<String, Vec<IpAddr>> = HashMap::new();
    for line in text.lines() {
        let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
        let Some(Ok(address)) = words.next().map(str::parse) else { continue };
        for name in words {
            hosts.entry(name.to_ascii_lowercase()).or_default().push(address);
        }
    }
    hosts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_name_servers_are_read_of_a_file_and_nothing_else_counts() {
        let text = "# by hand\n; too\nsearch corp.example.com\noptions ndots:5 timeout:30 use-vc\n\
                    nameserver 192.0.2.1\n  nameserver\t2001:db8::1 # here\nnameserver\nnameserver fe80::1%eth0\n\
                    nameserver here\n#nameserver 192.0.2.9\nnameserver 192.0.2.2\nnameserver 192.0.2.3\n";
        let expected: [IpAddr; 3] =
            ["192.0.2.1", "2001:db8::1", "192.0.2.2"].map(|text| text.parse().unwrap());
        assert_eq!(name_servers(text), expected);
        assert!(name_servers("search corp.example.com").is_empty());
    }

    #[test]
    fn hosts_have_all_their_addresses_whatever_else_is_in_the_file() {
        let found = hosts(
            "# 192.0.2.9 commented\n192.0.2.1 API.example.com\tother.example.com # third\n\n\
             2001:db8::1 api.example.com\nfe80::1%lo0 scoped\nnonsense\n192.0.2.2\n",
        );
        let expected: [IpAddr; 2] = ["192.0.2.1", "2001:db8::1"].map(|text| text.parse().unwrap());
        assert_eq!(found["api.example.com"], expected);
        assert_eq!(found["other.example.com"], expected[..1]);
        assert_eq!(found.len(), 2, "{found:?}");
    }
}
