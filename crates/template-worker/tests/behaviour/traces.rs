//! Traces leave the program for a collector, and a collector that is of no use harms nobody.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Attribute;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use serde_json::{Value, json};
use testkit::GUILD;

use super::process::Service;

/// What a collector that answers was sent: the path, and the request.
type Sent = (String, ExportTraceServiceRequest);

/// A collector on a free port.
fn collector() -> (SocketAddr, Receiver<Sent>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (found, sent) = sync_channel(100);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let found = found.clone();
            std::thread::spawn(move || serve(stream.unwrap(), &found));
        }
    });
    (address, sent)
}

/// Takes requests off a connection until it is closed.
fn serve(stream: TcpStream, found: &SyncSender<Sent>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    loop {
        let (mut request, mut length) = (String::new(), 0);
        reader.read_line(&mut request).unwrap();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap() == 0 {
                return;
            }
            let line = line.trim().to_lowercase();
            if line.is_empty() {
                break;
            }
            line.strip_prefix("content-length:").inspect(|text| length = text.trim().parse().unwrap());
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        let path = request.split(' ').nth(1).unwrap().to_owned();
        found.send((path, ExportTraceServiceRequest::decode(&*body).unwrap())).unwrap();
        (&stream).write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
    }
}

fn service(data: &tempfile::TempDir, collector: SocketAddr) -> Service {
    Service::start(data.path(), |command| {
        command.env("TEMPLATE_WORKER_TELEMETRY__OTLP_ENDPOINT", format!("http://{collector}"));
        command.env("TEMPLATE_WORKER_TELEMETRY__SERVICE_NAME", "the service under test");
        command.env("TEMPLATE_WORKER_TELEMETRY__SAMPLING", "1.0");
    })
}

/// Stores a template, sends it an event, and returns the answer.
fn one_event(service: &Service) -> Value {
    let (token, client) = (service.token(), testkit::client());
    let guild = format!("{}/api/v1/guilds/{GUILD}", service.url);
    let body = json!({"files": {"init.luau": "return 1"}, "events": ["Discord"], "capabilities": []});
    let put = client.put(format!("{guild}/templates/greet")).bearer_auth(&token).json(&body);
    let event = json!({"name": "MESSAGE_CREATE", "data": {}});
    let post = client.post(format!("{guild}/events?wait=true")).bearer_auth(&token).json(&event);
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        assert_eq!(put.send().await.unwrap().status(), 201);
        post.send().await.unwrap().json().await.unwrap()
    })
}

fn attributes(span: &Span) -> BTreeMap<&str, String> {
    let text = |value: &Attribute| match value {
        Attribute::StringValue(text) => text.clone(),
        Attribute::IntValue(number) => number.to_string(),
        other => panic!("{other:?}"),
    };
    let of = |value: &Option<opentelemetry_proto::tonic::common::v1::AnyValue>| {
        value.as_ref().and_then(|value| value.value.as_ref()).map(text).unwrap_or_default()
    };
    span.attributes.iter().map(|pair| (pair.key.as_str(), of(&pair.value))).collect()
}

#[test]
fn an_event_is_a_trace_with_guild_template_event_and_execution() {
    let ((address, sent), data) = (collector(), tempfile::tempdir().unwrap());
    let mut service = service(&data, address);
    let answer = one_event(&service);
    assert_eq!(answer["results"]["greet"]["value"], 1.0, "{answer:#}");
    service.terminate();
    assert_eq!(service.wait(Duration::from_secs(30)), Some(0));
    let mut spans = Vec::new();
    while let Ok((path, request)) = sent.try_recv() {
        assert_eq!(path, "/v1/traces");
        for resource in request.resource_spans {
            let text = format!("{:?}", resource.resource);
            assert!(text.contains("the service under test"), "{text}");
            spans.extend(resource.scope_spans.into_iter().flat_map(|scope| scope.spans));
        }
    }
    let named = |name: &str| {
        let mut found = spans.iter().filter(|span| span.name == name);
        let only = found.next().filter(|_| found.next().is_none());
        only.unwrap_or_else(|| panic!("not one {name:?} in {spans:#?}"))
    };
    let (dispatch, execution) = (named("dispatch"), named("execution"));
    assert_eq!(execution.trace_id, dispatch.trace_id);
    assert_eq!(execution.parent_span_id, dispatch.span_id);
    let (of_dispatch, of_execution) = (attributes(dispatch), attributes(execution));
    assert_eq!(of_dispatch["guild"], GUILD);
    assert_eq!((&*of_dispatch["event"], &*of_dispatch["templates"]), ("MESSAGE_CREATE", "1"));
    assert_eq!(answer["event_id"], *of_dispatch["event_id"], "{answer:#}");
    assert_eq!((&*of_execution["guild"], &*of_execution["template"]), (GUILD, "greet"));
    assert_eq!(of_execution["event_id"], of_dispatch["event_id"]);
    assert!(of_execution["execution"].parse::<u64>().is_ok(), "{of_execution:?}");
}

#[test]
fn a_collector_that_never_answers_or_is_not_there_delays_neither_events_nor_the_end() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for address in [silent.local_addr().unwrap(), gone] {
        let data = tempfile::tempdir().unwrap();
        let mut service = service(&data, address);
        let answer = one_event(&service);
        assert_eq!(answer["results"]["greet"]["value"], 1.0, "{answer:#}");
        service.terminate();
        assert_eq!(service.wait(Duration::from_secs(30)), Some(0), "{address}");
    }
}
