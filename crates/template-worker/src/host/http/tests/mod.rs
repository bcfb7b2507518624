//! Tests of whole requests: real sockets on this machine, with names and the address rule as each test wants them.

mod name_server;
mod names;
mod server;

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Mutex;

use async_trait::async_trait;

use self::server::{Answer, Server};
use super::*;

/// Says what it was told to say, look-up by look-up; the last answer stays.
struct Told {
    answers: Mutex<VecDeque<Vec<IpAddr>>>,
    asked: Mutex<Vec<String>>,
}

#[async_trait]
impl Names for Told {
    async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, Unanswered> {
        self.asked.lock().unwrap().push(host.to_owned());
        let mut answers = self.answers.lock().unwrap();
        let next = if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() };
        next.ok_or(Unanswered)
    }

    fn is_fixed(&self, host: &str) -> bool {
        host == "fixed.example.com"
    }
}

const HOST: &str = "api.example.com";

const LIMITS: HttpLimits = HttpLimits {
    time: Duration::from_secs(20),
    in_flight: 2,
    request_bytes: 1 << 20,
    response_bytes: 1 << 20,
};

/// A client for which `api.example.com` has the addresses of its answers, and the URL of the server there.
struct Setup {
    client: HttpClient,
    names: Arc<Told>,
    url: String,
}

/// A client in front of `server`, for which 127.0.0.1 is public.
fn client(server: &Server, names: Arc<dyn Names>) -> HttpClient {
    let options = HttpOptions {
        ports: vec![80, 443, server.address.port()],
        denied_hosts: vec!["reddit.com".to_owned()],
        max_in_flight: 400,
        addresses: AddressRule { opened: vec!["127.0.0.1/32".parse().unwrap()], closed: Vec::new() },
    };
    crate::tls::choose();
    HttpClient::new(options, names)
}

fn setup(server: &Server, answers: &[&[&str]]) -> Setup {
    let parsed = |texts: &&[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
    let answers = answers.iter().map(parsed).collect();
    let names = Arc::new(Told { answers: Mutex::new(answers), asked: Mutex::default() });
    let client = client(server, Arc::clone(&names) as _);
    Setup { client, names, url: format!("http://{HOST}:{}/v1?q=1", server.address.port()) }
}

impl Setup {
    fn get(&self) -> HttpRequest {
        HttpRequest {
            method: "GET".to_owned(),
            url: self.url.clone(),
            headers: Vec::new(),
            body: Vec::new(),
            timeout: None,
        }
    }

    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        self.send_with(LIMITS, Permit::Named, request).await
    }

    async fn send_with(
        &self,
        limits: HttpLimits,
        permit: Permit,
        request: HttpRequest,
    ) -> Result<HttpResponse, HttpError> {
        self.client.send(GuildId::new(1).unwrap(), limits, &|_| permit, request).await
    }

    fn asked(&self) -> usize {
        self.names.asked.lock().unwrap().len()
    }
}

const LOCAL: &[&str] = &["127.0.0.1"];

fn plain(body: &str) -> Answer {
    Answer::Bytes(
        format!("HTTP/1.1 200 OK\r\nx-a: 1\r\nx-a: 2\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into(),
    )
}

#[tokio::test]
async fn a_request_is_sent_as_it_was_made_and_answered_as_it_came() {
    let server = Server::start(plain("hello")).await;
    let setup = setup(&server, &[LOCAL]);
    let request = HttpRequest {
        method: "POST".to_owned(),
        headers: vec![("X-Key".to_owned(), b"one".to_vec()), ("x-key".to_owned(), b"two".to_vec())],
        body: b"{\"a\":1}".to_vec(),
        ..setup.get()
    };
    let response = setup.send(request).await.unwrap();
    assert_eq!((response.status, response.body.as_slice()), (200, b"hello".as_slice()));
    assert_eq!(response.url, setup.url);
    let twice: Vec<_> =
        response.headers.iter().filter(|(name, _)| name == "x-a").map(|(_, value)| value).collect();
    assert_eq!(twice, [b"1", b"2"]);
    let seen = server.seen.lock().unwrap()[0].clone();
    assert!(seen.starts_with("POST /v1?q=1 HTTP/1.1\r\n") && seen.ends_with("{\"a\":1}"), "{seen}");
    for line in [
        &format!("host: {HOST}:{}", server.address.port()),
        "x-key: one",
        "x-key: two",
        "user-agent: template-worker/",
    ] {
        assert!(seen.contains(line), "{line} is missing in {seen}");
    }
    assert_eq!(*setup.names.asked.lock().unwrap(), [HOST]);
}

#[tokio::test]
async fn who_gets_a_request_is_private_over_tls_and_where_the_operator_has_fixed_the_name() {
    let server = Server::start(plain("")).await;
    let setup = setup(&server, &[LOCAL]);
    for (url, host, is_private) in [
        ("https://api.example.com/", "api.example.com", true),
        ("HTTPS://API.example.com/", "api.example.com", true),
        ("http://api.example.com/", "api.example.com", false),
        ("http://api.example.com:443/", "api.example.com", false),
        ("http://fixed.example.com/", "fixed.example.com", true),
        ("http://x.fixed.example.com/", "x.fixed.example.com", false),
    ] {
        let request = HttpRequest { url: url.to_owned(), ..setup.get() };
        let expected = Recipient { host: host.to_owned(), is_private };
        assert_eq!(setup.client.destination(&request, LIMITS), Ok(expected), "{url}");
    }
}

#[tokio::test]
async fn nothing_is_sent_without_a_capability() {
    let server = Server::start(plain("")).await;
    let setup = setup(&server, &[LOCAL]);
    let error = setup.send_with(LIMITS, Permit::None, setup.get()).await.unwrap_err();
    assert!(error.to_string().contains("needs the capability `http:api.example.com`"), "{error}");
    assert_eq!((server.requests(), setup.asked()), (0, 0));
    assert!(setup.send_with(LIMITS, Permit::Any, setup.get()).await.is_ok());
}

#[tokio::test]
async fn a_name_that_leads_inside_is_not_dialled_and_looks_like_one_that_does_not_exist() {
    let server = Server::start(plain("")).await;
    let mut errors = Vec::new();
    let answers: [&[&str]; 7] = [
        &[],
        &["10.0.0.1"],
        &["169.254.169.254"],
        &["::1"],
        &["::ffff:127.0.0.1"],
        &["127.0.0.1", "10.0.0.1"],
        &["fd00:ec2::254", "127.0.0.1"],
    ];
    for answer in answers {
        let setup = setup(&server, &[answer]);
        errors.push(setup.send(setup.get()).await.unwrap_err());
    }
    assert_eq!(errors, vec![HttpError::NoPublicAddress { host: HOST.to_owned() }; 7]);
    assert_eq!(server.requests(), 0);
}

#[tokio::test]
async fn a_name_is_looked_up_once_and_what_was_checked_is_dialled() {
    let server = Server::start(plain("")).await;
    // Whoever looked up again between check and call would dial the second.
    let rebinding = setup(&server, &[LOCAL, &["10.0.0.1"], LOCAL]);
    assert!(rebinding.send(rebinding.get()).await.is_ok());
    assert_eq!((rebinding.asked(), server.requests()), (1, 1));
    // Nothing is kept from the first request: the second is looked up and checked by itself.
    assert!(matches!(rebinding.send(rebinding.get()).await, Err(HttpError::NoPublicAddress { .. })));
    assert!(rebinding.send(rebinding.get()).await.is_ok());
    assert_eq!((rebinding.asked(), server.requests()), (3, 2));
}

#[tokio::test]
async fn a_redirect_is_an_answer() {
    let location = "http://169.254.169.254/latest/meta-data/";
    let head = format!("HTTP/1.1 302 Found\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n");
    let server = Server::start(Answer::Bytes(head.into())).await;
    let setup = setup(&server, &[LOCAL]);
    let response = setup.send(setup.get()).await.unwrap();
    assert_eq!(response.status, 302);
    assert!(response.headers.contains(&("location".to_owned(), location.into())), "{response:?}");
    assert_eq!((setup.asked(), server.requests()), (1, 1));
}

/// 8 MiB of the letter `a`.
const BROTLI_BOMB: &[u8] = &[203, 255, 255, 63, 248, 37, 194, 226, 177, 64, 32, 247, 254, 111];

fn compressed(how: &str) -> Vec<u8> {
    use std::io::Write as _;

    let (text, level) = (vec![b'a'; 8 << 20], flate2::Compression::best());
    match how {
        "gzip" => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
            encoder.write_all(&text).unwrap();
            encoder.finish().unwrap()
        }
        "deflate" => {
            let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), level);
            encoder.write_all(&text).unwrap();
            encoder.finish().unwrap()
        }
        _ => BROTLI_BOMB.to_vec(),
    }
}

#[tokio::test]
async fn an_answer_is_counted_as_it_unfolds() {
    for how in ["gzip", "deflate", "br"] {
        let body = compressed(how);
        assert!(body.len() < 16 << 10, "{how} has {} bytes", body.len());
        let mut bytes =
            format!("HTTP/1.1 200 OK\r\ncontent-encoding: {how}\r\ncontent-length: {}\r\n\r\n", body.len())
                .into_bytes();
        bytes.extend(body);
        let server = Server::start(Answer::Bytes(bytes)).await;
        let setup = setup(&server, &[LOCAL]);
        let error = setup.send(setup.get()).await.unwrap_err();
        let limit = LIMITS.response_bytes;
        assert_eq!(error, HttpError::ResponseTooLarge { host: HOST.to_owned(), limit }, "{how}");
        let roomy = HttpLimits { response_bytes: 8 << 20, ..LIMITS };
        let response = setup.send_with(roomy, Permit::Named, setup.get()).await.unwrap();
        assert_eq!(response.body.len(), 8 << 20, "{how}");
        assert!(response.headers.iter().all(|(name, _)| name != "content-encoding"), "{how}");
    }
}

#[tokio::test]
async fn a_body_without_end_is_left_at_the_limit() {
    let head = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
    let server = Server::start(Answer::Endless(head, vec![b'a'; 16 << 10])).await;
    let setup = setup(&server, &[LOCAL]);
    assert!(matches!(setup.send(setup.get()).await, Err(HttpError::ResponseTooLarge { .. })));
    let announced = b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n".to_vec();
    let server = Server::start(Answer::Then(announced)).await;
    let setup = self::setup(&server, &[LOCAL]);
    assert!(matches!(setup.send(setup.get()).await, Err(HttpError::ResponseTooLarge { .. })));
}

#[tokio::test]
async fn the_limit_itself_fits() {
    for (length, fits) in [(1000, true), (1001, false)] {
        let server = Server::start(plain(&"a".repeat(length))).await;
        let setup = setup(&server, &[LOCAL]);
        let limits = HttpLimits { response_bytes: 1000, ..LIMITS };
        let answer = setup.send_with(limits, Permit::Named, setup.get()).await;
        assert_eq!(answer.is_ok(), fits, "{length}: {answer:?}");
    }
}

#[tokio::test]
async fn a_slow_answer_is_cut_off_wherever_it_stands() {
    let hang = [
        "",
        "HTTP/1.1 200",
        "HTTP/1.1 100 Continue\r\n\r\n",
        "HTTP/1.1 200 OK\r\nx-a: ",
        "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n",
    ];
    for written in hang {
        let server = Server::start(Answer::Then(written.into())).await;
        let setup = setup(&server, &[LOCAL]);
        // Shorter than the guild's time counts, longer does not.
        let own = HttpRequest { timeout: Some(Duration::from_millis(50)), ..setup.get() };
        let error = setup.send(own).await.unwrap_err();
        assert_eq!(
            error,
            HttpError::TimedOut { host: HOST.to_owned(), time: Duration::from_millis(50) },
            "{written:?}"
        );
        let limits = HttpLimits { time: Duration::from_millis(60), ..LIMITS };
        let patient = HttpRequest { timeout: Some(Duration::MAX), ..setup.get() };
        let error = setup.send_with(limits, Permit::Named, patient).await.unwrap_err();
        assert_eq!(error, HttpError::TimedOut { host: HOST.to_owned(), time: limits.time }, "{written:?}");
    }
}

#[tokio::test]
async fn a_head_larger_than_any_is_refused() {
    let many: String = (0..101).map(|number| format!("x-{number}: a\r\n")).collect();
    let long = format!("x-long: {}\r\n", "a".repeat(response::MOST_HEADER_BYTES));
    for lines in [many, long, format!("x: {}\r\n", "a".repeat(4 << 20))] {
        let head = format!("HTTP/1.1 200 OK\r\n{lines}content-length: 0\r\n\r\n");
        let server = Server::start(Answer::Bytes(head.into())).await;
        let setup = setup(&server, &[LOCAL]);
        let error = setup.send(setup.get()).await.unwrap_err();
        assert!(matches!(error, HttpError::ResponseHead { .. }), "{} bytes: {error:?}", lines.len());
    }
    let endless = Answer::Endless(b"HTTP/1.1 200 OK\r\n".to_vec(), b"x-a: b\r\n".to_vec());
    let server = Server::start(endless).await;
    let setup = setup(&server, &[LOCAL]);
    assert!(matches!(setup.send(setup.get()).await, Err(HttpError::ResponseHead { .. })));
}

#[tokio::test]
async fn what_is_no_http_fails_without_saying_more() {
    for answer in [
        "",
        "SSH-2.0-OpenSSH_9.9\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nfour",
        "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 4\r\n\r\nfour",
    ] {
        let server = Server::start(Answer::Bytes(answer.into())).await;
        let setup = setup(&server, &[LOCAL]);
        let error = setup.send(setup.get()).await.unwrap_err();
        assert!(matches!(error, HttpError::Failed { .. }), "{answer:?}: {error:?}");
        assert!(!error.to_string().contains("127.0.0.1"), "{error}");
    }
}

#[tokio::test]
async fn a_guild_has_a_few_requests_in_flight_and_a_place_comes_back_with_each_answer() {
    let server = Server::start(Answer::Then(Vec::new())).await;
    let setup = setup(&server, &[LOCAL]);
    let limits = HttpLimits { time: Duration::from_millis(300), ..LIMITS };
    let send = || setup.send_with(limits, Permit::Named, setup.get());
    let answers: [_; 3] = tokio::join!(send(), send(), send()).into();
    let refused =
        answers.iter().filter(|answer| matches!(answer, Err(HttpError::TooManyInFlight { limit: 2 })));
    assert_eq!(refused.count(), 1, "{answers:?}");
    assert!(matches!(send().await, Err(HttpError::TimedOut { .. })), "a place was not given back");
    drop(tokio::time::timeout(Duration::from_millis(1), send()).await);
    let answers: [_; 2] = tokio::join!(send(), send()).into();
    assert!(answers.iter().all(|answer| matches!(answer, Err(HttpError::TimedOut { .. }))), "{answers:?}");
}

#[tokio::test]
async fn a_body_larger_than_it_may_be_is_not_sent() {
    let server = Server::start(plain("")).await;
    let setup = setup(&server, &[LOCAL]);
    let limits = HttpLimits { request_bytes: 10, ..LIMITS };
    for (length, fits) in [(10, true), (11, false)] {
        let request = HttpRequest { method: "PUT".to_owned(), body: vec![b'a'; length], ..setup.get() };
        let answer = setup.send_with(limits, Permit::Named, request).await;
        assert_eq!(answer.is_ok(), fits, "{length}: {answer:?}");
    }
    assert_eq!(server.requests(), 1);
}
