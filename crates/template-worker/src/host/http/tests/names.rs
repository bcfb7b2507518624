//! Tests of names: what is looked up and asked, and what becomes of requests whose names are looked up, against a name
//! server on this machine.

use std::net::{Ipv6Addr, SocketAddr};
use std::str::FromStr as _;
use std::sync::atomic::{AtomicUsize, Ordering};

use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::RecordType::{self, A, AAAA};
use tokio::task::JoinSet;

use super::name_server::{NameServer, Reply, Zone, addresses};
use super::*;
use crate::host::http::names::{CheckedNames, MOST_ADDRESSES};
use crate::host::http::resolver::Files;

/// What `server` was asked, whichever family came first.
fn asked(server: &NameServer) -> Vec<(String, RecordType)> {
    let mut questions = server.asked();
    questions.sort();
    questions
}

/// A question for each family.
fn both(name: &str) -> Vec<(String, RecordType)> {
    [A, AAAA].map(|family| (name.to_owned(), family)).into()
}

/// A request of `guild` to `host`, where `server` listens.
async fn get(
    client: &HttpClient,
    server: &Server,
    guild: u64,
    host: &str,
    time: Duration,
) -> Result<u16, HttpError> {
    let request = HttpRequest {
        method: "GET".to_owned(),
        url: format!("http://{host}:{}/", server.address.port()),
        headers: Vec::new(),
        body: Vec::new(),
        timeout: Some(time),
    };
    let guild = GuildId::new(guild).unwrap();
    client.send(guild, LIMITS, &|_| Permit::Named, request).await.map(|response| response.status)
}

#[tokio::test]
async fn a_name_has_the_addresses_of_both_families_and_is_asked_for_as_a_whole() {
    let told = addresses(&["1.1.1.1", "2606:4700:4700::1111", "1.0.0.1"]);
    let server = NameServer::start(move |_, _| Reply::Addresses(told.clone())).await;
    let names = server.names("");
    let expected = addresses(&["1.1.1.1", "1.0.0.1", "2606:4700:4700::1111"]);
    assert_eq!(names.addresses(HOST).await, Ok(expected.clone()));
    assert_eq!(asked(&server), both("api.example.com."));
    assert_eq!(names.addresses(HOST).await, Ok(expected));
    assert_eq!(server.asked().len(), 4, "nothing is kept of an answer");
}

#[tokio::test]
async fn a_name_that_does_not_exist_is_asked_for_once_and_has_no_public_address() {
    for code in [ResponseCode::NXDomain, ResponseCode::NoError] {
        let server = NameServer::start(move |_, _| Reply::Code(code)).await;
        let web = Server::start(plain("")).await;
        let client = client(&web, Arc::new(server.names("")));
        let answer = get(&client, &web, 1, HOST, LIMITS.time).await;
        assert_eq!(answer, Err(HttpError::NoPublicAddress { host: HOST.to_owned() }), "{code}");
        assert_eq!(asked(&server), both("api.example.com."), "{code}");
    }
}

#[tokio::test]
async fn a_family_without_an_address_does_not_hide_the_other() {
    for (has, found) in [(A, "1.1.1.1"), (AAAA, "2606:4700:4700::1111")] {
        for code in [ResponseCode::NoError, ResponseCode::NXDomain, ResponseCode::ServFail] {
            let server = NameServer::start(move |_, family| match family == has {
                true => Reply::Addresses(addresses(&[found])),
                false => Reply::Code(code),
            })
            .await;
            assert_eq!(server.names("").addresses(HOST).await, Ok(addresses(&[found])), "{code}");
        }
    }
    // Where one has none, and nobody knows the other, nobody knows.
    let server = NameServer::start(|_, family| match family {
        A => Reply::Code(ResponseCode::NoError),
        _ => Reply::Code(ResponseCode::ServFail),
    })
    .await;
    assert_eq!(server.names("").addresses(HOST).await, Err(Unanswered));
}

#[tokio::test]
async fn an_alias_is_followed_and_its_addresses_are_checked_like_all() {
    // Said in one answer, or in two.
    for in_one in [true, false] {
        for (address, is_public) in [("127.0.0.1", true), ("10.0.0.1", false), ("::ffff:127.0.0.1", false)] {
            let server = NameServer::start(move |name, _| match name {
                "api.example.com." if in_one => Reply::Alias("other.example.com.", addresses(&[address])),
                "api.example.com." => Reply::Alias("other.example.com.", Vec::new()),
                _ => Reply::Addresses(addresses(&[address])),
            })
            .await;
            let web = Server::start(plain("")).await;
            let client = client(&web, Arc::new(server.names("")));
            let answer = get(&client, &web, 1, HOST, LIMITS.time).await;
            let refused = Err(HttpError::NoPublicAddress { host: HOST.to_owned() });
            assert_eq!(answer, if is_public { Ok(200) } else { refused }, "{address}");
            assert_eq!(web.requests(), usize::from(is_public), "{address}");
        }
    }
}

#[tokio::test]
async fn a_chain_of_aliases_without_end_is_left() {
    let number = |name: &str| name.split('.').next().unwrap().parse().unwrap_or(0);
    let server = NameServer::start(move |name, _| Reply::Chain(number(name))).await;
    assert_eq!(server.names("").addresses(HOST).await, Ok(Vec::new()));
    assert_eq!(server.asked().len(), 2 * 8, "{:?}", server.asked());
}

#[tokio::test]
async fn a_name_with_more_addresses_than_any_is_refused_however_large_its_answer_is() {
    // From the second on they do not fit into a datagram.
    for count in [1, MOST_ADDRESSES, MOST_ADDRESSES + 1, 300, 1000] {
        let public = Ipv6Addr::from_str("2606:4700::").unwrap().to_bits();
        let all: Vec<IpAddr> =
            (0..count).map(|number| Ipv6Addr::from_bits(public + number as u128).into()).collect();
        let told = all.clone();
        let server = NameServer::start(move |_, _| Reply::Addresses(told.clone())).await;
        let names = Arc::new(server.names(""));
        let found = names.addresses(HOST).await;
        assert_eq!(found, Ok(all[..count.min(MOST_ADDRESSES + 1)].to_vec()), "{count}");
        let checked = Arc::new(CheckedNames::new(names, AddressRule::default())).look_up(HOST).await;
        let refused = HttpError::NoPublicAddress { host: HOST.to_owned() };
        assert_eq!(checked.err(), (count > MOST_ADDRESSES).then_some(refused), "{count}");
    }
}

#[tokio::test]
async fn names_that_are_never_answered_keep_no_other_waiting_and_hold_nothing_when_their_requests_end() {
    let server = NameServer::start(|name, _| match name {
        "api.example.com." => Reply::Addresses(addresses(&["127.0.0.1"])),
        _ => Reply::Silence,
    })
    .await;
    let web = Arc::new(Server::start(plain("")).await);
    let client = Arc::new(client(&web, Arc::new(server.names(""))));
    assert_eq!(get(&client, &web, 1, HOST, LIMITS.time).await, Ok(200));
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let before = tasks();
    let mut asked = server.asked().len();

    // The second time they find their places free again.
    for round in ["a", "b"] {
        let mut waiting = JoinSet::new();
        for number in 0..300 {
            let (client, web) = (Arc::clone(&client), Arc::clone(&web));
            let host = format!("{round}{number}.example.org");
            waiting.spawn(async move { get(&client, &web, 1 + number / 2, &host, LIMITS.time).await });
            // One after the other: the server's socket has no room for all questions at once.
            asked += 2;
            server.was_asked(asked).await;
        }
        let full = get(&client, &web, 150, HOST, LIMITS.time).await;
        assert_eq!(full, Err(HttpError::TooManyInFlight { limit: LIMITS.in_flight }));
        assert_eq!(get(&client, &web, 301, HOST, LIMITS.time).await, Ok(200));
        asked = server.asked().len();
        waiting.shutdown().await;
    }
    // What the server does with each question is a task as well, and over.
    assert!(tasks() <= before + 2, "{} tasks, and {before} before", tasks());
    assert_eq!(get(&client, &web, 1, HOST, LIMITS.time).await, Ok(200));
}

#[tokio::test]
async fn long_answers_that_never_come_keep_no_other_long_answer_waiting() {
    let many: Vec<IpAddr> = (1..=MOST_ADDRESSES as u16)
        .map(|last| Ipv6Addr::new(0x2606, 0x4700, 0, 0, 0, 0, 0, last).into())
        .collect();
    let told = many.clone();
    let server = NameServer::start(move |name, _| match name {
        "api.example.com." => Reply::Addresses(told.clone()),
        _ => Reply::TooLong,
    })
    .await;
    let names = Arc::new(server.names(""));
    let mut waiting = JoinSet::new();
    for number in 1..=100 {
        let names = Arc::clone(&names);
        waiting.spawn(async move { names.addresses(&format!("{number}.example.org")).await });
        // Each family by a datagram, and over a connection.
        server.was_asked(4 * number).await;
    }
    assert_eq!(names.addresses(HOST).await, Ok(many));
}

#[tokio::test]
async fn a_request_whose_time_is_up_in_its_look_up_has_left_its_place() {
    let server = NameServer::start(|_, _| Reply::Silence).await;
    let web = Server::start(plain("")).await;
    let client = client(&web, Arc::new(server.names("")));
    for number in 0..3 * LIMITS.in_flight {
        let time = Duration::from_millis(10);
        let answer = get(&client, &web, 1, &format!("{number}.example.com"), time).await;
        assert!(matches!(answer, Err(HttpError::TimedOut { .. })), "{number}: {answer:?}");
    }
}

#[tokio::test]
async fn what_failed_is_asked_again() {
    let count = AtomicUsize::new(0);
    let server = NameServer::start(move |_, _| match count.fetch_add(1, Ordering::Relaxed) {
        0 | 1 => Reply::Code(ResponseCode::ServFail),
        _ => Reply::Addresses(addresses(&["1.1.1.1"])),
    })
    .await;
    assert_eq!(server.names("").addresses(HOST).await, Ok(addresses(&["1.1.1.1"])));
    assert_eq!(server.asked().len(), 4);
}

#[tokio::test]
async fn a_name_that_nobody_answers_for_is_an_error_that_says_whom_to_ask() {
    for code in [ResponseCode::ServFail, ResponseCode::Refused, ResponseCode::FormErr] {
        let server = NameServer::start(move |_, _| Reply::Code(code)).await;
        let web = Server::start(plain("")).await;
        let client = client(&web, Arc::new(server.names("")));
        let error = get(&client, &web, 1, HOST, LIMITS.time).await.unwrap_err();
        assert!(matches!(error, HttpError::Failed { .. }), "{code}: {error:?}");
        for part in [
            "`api.example.com`",
            "no name server",
            "try again",
            "the operator of the service",
            "/etc/resolv.conf",
        ] {
            assert!(error.to_string().contains(part), "{part} is missing in {error}");
        }
        assert_eq!(server.asked().len(), 4, "each family twice");
    }
}

#[tokio::test(start_paused = true)]
async fn a_name_server_that_says_nothing_is_left_before_a_request_is() {
    let server = NameServer::start(|_, _| Reply::Silence).await;
    let began = tokio::time::Instant::now();
    assert_eq!(server.names("").addresses(HOST).await, Err(Unanswered));
    let took = began.elapsed().as_secs();
    assert_eq!(took, 4, "the time of a request is 5 s by default");
    server.was_asked(4).await;
    assert_eq!(server.asked().len(), 4, "each family twice, and each time from one socket");
}

#[tokio::test]
async fn name_servers_are_asked_in_their_order_until_one_answers() {
    let failing: Arc<Zone> = Arc::new(|_: &str, _| Reply::Code(ResponseCode::ServFail));
    let (good, bad) = loop {
        let good = NameServer::start(|_, _| Reply::Addresses(addresses(&["1.1.1.1"]))).await;
        let other = SocketAddr::from(([127, 0, 0, 2], good.address.port()));
        if let Some(bad) = NameServer::start_at(other, Arc::clone(&failing)).await {
            break (good, bad);
        }
    };
    let folder = tempfile::tempdir().unwrap();
    let files = good.files(&folder, "");
    std::fs::write(&files.resolv_conf, "nameserver 127.0.0.2\nnameserver 127.0.0.1\n").unwrap();
    let names = SystemNames::of(Vec::new(), files.clone());
    assert_eq!(names.addresses(HOST).await, Ok(addresses(&["1.1.1.1"])));
    assert_eq!((bad.asked().len(), good.asked().len()), (2, 2));
    std::fs::write(&files.resolv_conf, "nameserver 127.0.0.1\nnameserver 127.0.0.2\n").unwrap();
    let names = SystemNames::of(Vec::new(), files);
    assert_eq!(names.addresses(HOST).await, Ok(addresses(&["1.1.1.1"])));
    assert_eq!((bad.asked().len(), good.asked().len()), (2, 4));
}

#[tokio::test]
async fn where_no_name_server_is_named_the_one_on_this_machine_is_asked() {
    let server = NameServer::start(|_, _| Reply::Addresses(addresses(&["1.1.1.1"]))).await;
    let nowhere = Files {
        hosts: "/nonexistent/hosts".into(),
        resolv_conf: "/nonexistent/resolv.conf".into(),
        port: server.address.port(),
    };
    let names = SystemNames::of(Vec::new(), nowhere);
    assert_eq!(names.addresses(HOST).await, Ok(addresses(&["1.1.1.1"])));
}

#[tokio::test]
async fn what_the_operator_fixed_comes_first_then_hosts_and_both_are_checked_like_all() {
    let server = NameServer::start(|_, _| Reply::Addresses(addresses(&["1.1.1.1"]))).await;
    let folder = tempfile::tempdir().unwrap();
    let files = server.files(
        &folder,
        "127.0.0.1 api.example.com\n10.0.0.1 fixed.example.com inside.example.com\n2001:db8::1 six.example.com\n",
    );
    let names = SystemNames::of(vec!["fixed.example.com=127.0.0.1".parse().unwrap()], files);
    // One family is enough: the other one is not looked up elsewhere.
    assert_eq!(names.addresses("six.example.com").await, Ok(addresses(&["2001:db8::1"])));
    let web = Server::start(plain("")).await;
    let client = client(&web, Arc::new(names));
    for (host, is_public) in
        [(HOST, true), ("fixed.example.com", true), ("inside.example.com", false), ("six.example.com", false)]
    {
        let answer = get(&client, &web, 1, host, LIMITS.time).await;
        let refused = Err(HttpError::NoPublicAddress { host: host.to_owned() });
        assert_eq!(answer, if is_public { Ok(200) } else { refused });
    }
    assert_eq!(server.asked(), []);
}

#[tokio::test(start_paused = true)]
async fn the_files_are_read_again_when_a_minute_has_passed() {
    let server = NameServer::start(|_, _| Reply::Silence).await;
    let folder = tempfile::tempdir().unwrap();
    let files = server.files(&folder, "192.0.2.1 api.example.com");
    let names = SystemNames::of(Vec::new(), files.clone());
    std::fs::write(&files.hosts, "192.0.2.2 api.example.com").unwrap();
    tokio::time::advance(Duration::from_secs(59)).await;
    assert_eq!(names.addresses(HOST).await, Ok(addresses(&["192.0.2.1"])));
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(names.addresses(HOST).await, Ok(addresses(&["192.0.2.2"])));
}

#[tokio::test(start_paused = true)]
async fn files_that_are_read_again_and_again_leave_nothing_behind() {
    let server = NameServer::start(|_, _| Reply::Addresses(addresses(&["1.1.1.1"]))).await;
    let folder = tempfile::tempdir().unwrap();
    let names = SystemNames::of(Vec::new(), server.files(&folder, ""));
    let mut tasks = Vec::new();
    for _ in 0..20 {
        assert_eq!(names.addresses(HOST).await, Ok(addresses(&["1.1.1.1"])));
        tasks.push(tokio::runtime::Handle::current().metrics().num_alive_tasks());
        tokio::time::advance(Duration::from_secs(60)).await;
    }
    assert!(tasks[19] <= tasks[0] + 2, "{tasks:?}");
}

/// 50 look-ups of one name, which have all begun, and have no answer.
async fn many_of_one_name(server: &NameServer) -> JoinSet<Result<Vec<IpAddr>, Unanswered>> {
    let names = Arc::new(server.names(""));
    let begun = Arc::new(AtomicUsize::new(0));
    let mut all = JoinSet::new();
    for _ in 0..50 {
        let (names, begun) = (Arc::clone(&names), Arc::clone(&begun));
        all.spawn(async move {
            begun.fetch_add(1, Ordering::Relaxed);
            names.addresses(HOST).await
        });
    }
    while begun.load(Ordering::Relaxed) < 50 {
        tokio::task::yield_now().await;
    }
    server.was_asked(2).await;
    all
}

#[tokio::test]
async fn those_who_look_up_the_same_name_at_the_same_time_ask_once() {
    let server = NameServer::start(|_, _| Reply::Held(addresses(&["1.1.1.1"]))).await;
    let all = many_of_one_name(&server).await;
    server.release();
    let answers = all.join_all().await;
    assert_eq!(answers, vec![Ok(addresses(&["1.1.1.1"])); 50]);
    assert_eq!(asked(&server), both("api.example.com."));
}

#[tokio::test]
async fn a_look_up_that_ends_takes_the_question_of_others_not_along() {
    let server = NameServer::start(|_, _| Reply::Held(addresses(&["1.1.1.1"]))).await;
    let names = server.names("");
    let first = async {
        tokio::select! {
            found = names.addresses(HOST) => panic!("{found:?}"),
            () = server.was_asked(2) => {}
        }
    };
    let second = async {
        // It comes second, and is there when the first has gone.
        tokio::task::yield_now().await;
        names.addresses(HOST).await
    };
    let released = async {
        first.await;
        server.release();
    };
    let (found, ()) = tokio::join!(second, released);
    assert_eq!(found, Ok(addresses(&["1.1.1.1"])));
    assert_eq!(server.asked().len(), 2);
}
