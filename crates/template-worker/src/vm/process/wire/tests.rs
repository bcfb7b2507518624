//! Every message there and back, and what a process that was taken over may try.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use khronos::{Bundle, BytecodeCache, Json, KhronosValue, LogLevel};
use time::OffsetDateTime;

use super::super::escape::Escape;
use super::frame::{FrameError, Message};
use super::*;
use crate::execution::{Outcome, OutcomeResult};
use crate::host::calls::{Any, CopyCall};
use crate::host::discord::CurrentUser;
use crate::ids::{EventId, UserId};
use crate::template::{Author, TemplateInfo};
use crate::vm::{VmState, VmStatus};

fn guild(id: u64) -> GuildId {
    GuildId::new(id).unwrap()
}

fn encoded<M: Message>(message: &M) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_into(&mut bytes, message).unwrap();
    bytes
}

fn decoded<M: Message>(bytes: &[u8]) -> Result<Option<M>, FrameError> {
    let mut reader = FrameReader::default();
    reader.feed(bytes);
    reader.next()
}

/// What arrives of `message`.
fn arrived<M: Message>(message: &M) -> Result<M, FrameError> {
    decoded(&encoded(message)).map(|message| message.expect("the frame is whole"))
}

/// A frame as a forger makes it, with `new` wherever `old` was; its length is right.
fn forged<M: Message>(message: &M, old: &str, new: &str) -> Result<Option<M>, FrameError> {
    let mut bytes = encoded(message);
    assert_eq!(old.len(), new.len(), "{new:?}");
    let places: Vec<usize> = bytes
        .windows(old.len())
        .enumerate()
        .filter(|(_, at)| *at == old.as_bytes())
        .map(|(at, _)| at)
        .collect();
    assert!(!places.is_empty(), "`{old}` is not in it");
    for at in places {
        bytes[at..at + new.len()].copy_from_slice(new.as_bytes());
    }
    decoded(&bytes)
}

fn event(data: &str) -> Arc<Event> {
    let scopes = vec!["reminders".to_owned(), "ä".to_owned()];
    let (id, name) = (EventId::fresh(), "MESSAGE_CREATE".parse().unwrap());
    Arc::new(Event::new(id, guild(7), name, UserId::new(9), scopes, data.into()).unwrap())
}

fn template() -> Arc<LoadedTemplate> {
    let files = [("init.luau", "return require('@lib/a')"), ("lib/a.luau", "return 1")];
    let files = files.map(|(path, text)| (path.to_owned(), text.to_owned()));
    let aliases = (".luaurc".to_owned(), r#"{"aliases": {"lib": "./lib"}}"#.to_owned());
    let bundle = Bundle::new(files.into_iter().chain([aliases])).unwrap();
    let info = TemplateInfo {
        guild: guild(i64::MAX.unsigned_abs()),
        name: "greet".parse().unwrap(),
        version: 3,
        events: vec!["Discord".parse().unwrap(), "KeyExpiry[a]".parse().unwrap()],
        capabilities: ["kv:get:*", "discord:create_message"].iter().map(|c| c.parse().unwrap()).collect(),
        description: "says hello".to_owned(),
        error_channel: Some("826535422381391913".to_owned()),
        paused: true,
        created_at: OffsetDateTime::UNIX_EPOCH,
        created_by: Some(Author::token("deploy")),
        updated_at: OffsetDateTime::now_utc(),
        updated_by: Some(Author::template(&"greet".parse().unwrap())),
    };
    let user = CurrentUser {
        id: UserId::new(9).unwrap(),
        username: "antiraid".to_owned(),
        discriminator: Some("0000".to_owned()),
        global_name: None,
        avatar: Some("a_1".to_owned()),
        bot: true,
    };
    Arc::new(LoadedTemplate {
        info: Arc::new(info),
        program: BytecodeCache::default().compile(&bundle).unwrap(),
        current_user: Some(Arc::new(user)),
    })
}

fn start() -> Start {
    let (version, worker, limits) = (VERSION, ThreadId(4), Arc::new(Limits::default()));
    let (idle_ms, max_memory) = (600_000, u64::MAX);
    Start {
        version,
        worker,
        limits,
        capabilities: Arc::new(
            ["kv:*", "discord:get_guild"].map(|one| one.parse().unwrap()).into_iter().collect(),
        ),
        threads: 2,
        queue: 1024,
        warm_vms: 4,
        idle_ms,
        max_memory,
        require_confinement: true,
        drills: true,
    }
}

fn actions() -> Vec<Action> {
    let dispatch =
        Action::DispatchEvent {
            event: event(r#"{"a":[1,"ä"]}"#), templates: vec![1, u64::MAX], limits: 300
        };
    let all = vec![
        dispatch,
        Action::Stop,
        Action::CloseIfIdle,
        Action::GetStatus,
        Action::GetMemoryUsage,
        Action::SetMemoryLimit { limit: 1 << 40 },
        Action::ClearCache { template: None },
        Action::CollectGarbage,
        Action::Panic { place: PanicPlace::HostFunction },
        Action::Escape { attempt: Attempt::Fork },
        Action::ClearCache { template: Some("greet".parse().unwrap()) },
    ];
    let place = |action: &Action| match action {
        Action::DispatchEvent { .. } => 0,
        Action::Stop => 1,
        Action::CloseIfIdle => 2,
        Action::GetStatus => 3,
        Action::GetMemoryUsage => 4,
        Action::SetMemoryLimit { .. } => 5,
        Action::ClearCache { template: None } => 6,
        Action::CollectGarbage => 7,
        Action::Panic { .. } => 8,
        Action::Escape { .. } => 9,
        Action::ClearCache { template: Some(_) } => 10,
    };
    in_order(all, place)
}

fn orders() -> Vec<Order> {
    let all = vec![
        Order::Ping,
        Order::ListVms { after: Some(guild(5)), limit: 100 },
        Order::EvictIdle { idle_ms: 0 },
        Order::ListVms { after: None, limit: 1 },
    ];
    let place = |order: &Order| match order {
        Order::Ping => 0,
        Order::ListVms { after: Some(_), .. } => 1,
        Order::EvictIdle { .. } => 2,
        Order::ListVms { after: None, .. } => 3,
    };
    in_order(all, place)
}

fn to_process() -> Vec<ToProcess> {
    let act = |action| ToProcess::Act { number: 1 << 50, guild: guild(7), action };
    let [action, order] = [0; 2];
    let mut all = vec![
        ToProcess::Start(start()),
        ToProcess::Template { key: 1, template: template() },
        ToProcess::ForgetTemplate { key: 1 },
        ToProcess::Limits { key: 2, limits: Arc::new(Limits { slice_ms: 1, ..Limits::default() }) },
        ToProcess::ForgetLimits { key: 2 },
        act(actions().remove(action)),
        ToProcess::Order { number: 3, order: orders().remove(order) },
        ToProcess::Stop { within_ms: 10_000 },
        ToProcess::Reply { number: 9, reply: HostReply::nothing() },
    ];
    all = in_order(all, |message| match message {
        ToProcess::Start(_) => 0,
        ToProcess::Template { .. } => 1,
        ToProcess::ForgetTemplate { .. } => 2,
        ToProcess::Limits { .. } => 3,
        ToProcess::ForgetLimits { .. } => 4,
        ToProcess::Act { .. } => 5,
        ToProcess::Order { .. } => 6,
        ToProcess::Stop { .. } => 7,
        ToProcess::Reply { .. } => 8,
    });
    let replies = [
        HostReply::two(KhronosValue::List(vec![f64::NAN.into(), KhronosValue::Buffer(vec![0, 255])]), false),
        HostReply::Json(r#"{"a":[1,"ä"]}"#.to_owned()),
        HostReply::Blob(vec![0, 255]),
        HostReply::Failed("ä".to_owned()),
    ];
    all.extend(replies.map(|reply| ToProcess::Reply { number: u64::MAX, reply }));
    all.extend(actions().into_iter().map(act));
    all.extend(orders().into_iter().map(|order| ToProcess::Order { number: 4, order }));
    all
}

fn outcomes() -> Vec<Outcome> {
    let [error, traceback, reason] = ["it broke", "init:1\nlib/a:2", "ä"].map(str::to_owned);
    let all = vec![
        OutcomeResult::Ok { value: Json::from_text(r#"{"a":[1,null,"ä"]}"#.to_owned()).unwrap() },
        OutcomeResult::Error { error: error.clone(), traceback: traceback.clone() },
        OutcomeResult::LimitExceeded {
            limit: "cpu_time".to_owned(),
            value: "10s".to_owned(),
            error,
            traceback,
        },
        OutcomeResult::TimedOut,
        OutcomeResult::Quarantined { reason: "too often".to_owned() },
        OutcomeResult::VmBroken { reason },
    ];
    let all = in_order(all, |result| match result {
        OutcomeResult::Ok { .. } => 0,
        OutcomeResult::Error { .. } => 1,
        OutcomeResult::LimitExceeded { .. } => 2,
        OutcomeResult::TimedOut => 3,
        OutcomeResult::Quarantined { .. } => 4,
        OutcomeResult::VmBroken { .. } => 5,
    });
    all.into_iter().map(|result| Outcome { result, duration_us: u64::MAX, cpu_us: 0 }).collect()
}

fn statuses() -> Vec<VmStatus> {
    let states =
        in_order(
            vec![VmState::Absent, VmState::Ready, VmState::Busy, VmState::Broken],
            |state| match state {
                VmState::Absent => 0,
                VmState::Ready => 1,
                VmState::Busy => 2,
                VmState::Broken => 3,
            },
        );
    let status = |state| VmStatus {
        state,
        reason: (state == VmState::Broken).then(|| "out of memory".to_owned()),
        memory_used: 1 << 20,
        template_memory: [("a".parse().unwrap(), 1), ("b".parse().unwrap(), usize::MAX)].into(),
        thread: (state != VmState::Absent).then_some(ThreadId(3)),
        uptime_ms: 5,
        ..VmStatus::absent()
    };
    states.into_iter().map(status).collect()
}

fn results() -> Vec<LuaVmResult> {
    let reason = "try again".to_owned();
    let mut all = vec![
        LuaVmResult::Done,
        LuaVmResult::Absent,
        LuaVmResult::MemoryUsage { used: 1, limit: 2 },
        LuaVmResult::Status(VmStatus::absent()),
        LuaVmResult::Outcome(outcomes().remove(0)),
        LuaVmResult::Vms(statuses().into_iter().map(|status| (guild(7), status)).collect()),
        LuaVmResult::Evicted { vms: 3 },
        LuaVmResult::Escape(Escape::Refused(reason.clone())),
        LuaVmResult::Broken { reason: reason.clone() },
        LuaVmResult::Refused { reason },
    ];
    all = in_order(all, |result| match result {
        LuaVmResult::Done => 0,
        LuaVmResult::Absent => 1,
        LuaVmResult::MemoryUsage { .. } => 2,
        LuaVmResult::Status(_) => 3,
        LuaVmResult::Outcome(_) => 4,
        LuaVmResult::Vms(_) => 5,
        LuaVmResult::Evicted { .. } => 6,
        LuaVmResult::Escape(_) => 7,
        LuaVmResult::Broken { .. } => 8,
        LuaVmResult::Refused { .. } => 9,
    });
    all.push(LuaVmResult::Escape(Escape::Succeeded("far".to_owned())));
    all.extend(outcomes().into_iter().map(LuaVmResult::Outcome));
    all.extend(statuses().into_iter().map(LuaVmResult::Status));
    all
}

fn log(level: LogLevel, text: &str) -> LogEntry {
    let (at, event) = (OffsetDateTime::now_utc(), Some(EventId::fresh()));
    LogEntry { at, guild: guild(7), template: "greet".into(), event, level, text: text.to_owned() }
}

fn to_service() -> Vec<ToService> {
    let lock = Lock { name: "landlock".to_owned(), state: "closed".to_owned() };
    let answer = |result| ToService::Answer { number: 8, index: 1, result };
    let call = |limited| ToService::Call {
        number: 1 << 40,
        guild: guild(7),
        template: "greet".parse().unwrap(),
        limited,
        call: CopyCall::Copy { value: Any(KhronosValue::Integer(i64::MIN)) }.into(),
    };
    let (counts, memory) = (vec![0, 255, 1], 1 << 33);
    let mut all = vec![
        ToService::Ready { version: VERSION, locks: vec![lock; MAX_LOCKS] },
        answer(LuaVmResult::Done),
        ToService::Vacated { guild: guild(7), upto: 8 },
        ToService::Log(log(LogLevel::Info, "hello")),
        ToService::LogsDropped { lines: 70 },
        ToService::Broke {
            guild: guild(7),
            template: Some("greet".parse().unwrap()),
            reason: "spun".to_owned(),
        },
        ToService::Beat { counts, vms: 2_000, idle: 7, closing: 3, warm: 8, memory, load_permille: 999 },
        call(None),
    ];
    all = in_order(all, |message| match message {
        ToService::Ready { .. } => 0,
        ToService::Answer { .. } => 1,
        ToService::Vacated { .. } => 2,
        ToService::Log(_) => 3,
        ToService::LogsDropped { .. } => 4,
        ToService::Broke { .. } => 5,
        ToService::Beat { .. } => 6,
        ToService::Call { .. } => 7,
    });
    all.push(call(Some(["kv:get:*".parse().unwrap()].into_iter().collect())));
    all.extend(results().into_iter().map(answer));
    all.extend([LogLevel::Warn, LogLevel::Error].map(|level| ToService::Log(log(level, "ä"))));
    all
}

/// All of `values`, one for each place in a `match` that has to name every variant.
fn in_order<T>(values: Vec<T>, place: impl Fn(&T) -> usize) -> Vec<T> {
    let places: Vec<usize> = values.iter().map(place).collect();
    assert_eq!(places, (0..values.len()).collect::<Vec<_>>(), "a variant is missing");
    values
}

fn comes_back<M: Message + Debug>(message: &M) {
    let back = arrived(message).unwrap();
    assert_eq!(format!("{back:?}"), format!("{message:?}"));
    assert_eq!(encoded(&back), encoded(message));
}

#[test]
fn every_message_comes_back_as_it_was_sent() {
    to_process().iter().for_each(comes_back);
    to_service().iter().for_each(comes_back);
}

/// Reads the frame, whatever it is; what can be read can be written, in as many bytes or fewer.
fn survives<M: Message>(frame: &[u8]) {
    if let Ok(Some(message)) = decoded::<M>(frame) {
        assert!(encoded(&message).len() <= frame.len());
    }
}

/// The first bytes of a message as a frame of their own.
fn framed(body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap();
    [&length.to_le_bytes(), body].concat()
}

fn survives_damage<M: Message + Debug>(message: &M) {
    let frame = encoded(message);
    for end in 0..frame.len() {
        assert!(matches!(decoded::<M>(&frame[..end]), Ok(None)), "{message:?} after {end} bytes");
    }
    for end in 4..frame.len() {
        assert!(decoded::<M>(&framed(&frame[4..end])).is_err(), "{message:?} cut after {end} bytes");
    }
    assert!(matches!(
        decoded::<M>(&framed(&[&frame[4..], b"x"].concat())),
        Err(FrameError::LeftOver { bytes: 1 })
    ));
    for at in 4..frame.len() {
        for flip in (0..8).map(|bit| 1 << bit).chain([0xff]) {
            let mut frame = frame.clone();
            frame[at] ^= flip;
            survives::<M>(&frame);
        }
    }
}

#[test]
fn a_message_that_is_cut_or_damaged_is_an_error_or_another_message() {
    to_process().iter().for_each(survives_damage);
    to_service().iter().for_each(survives_damage);
}

#[test]
fn noise_is_an_error_or_a_message() {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    let mut noise = Vec::new();
    for round in 0..100_000_u32 {
        let [length, kind, inner, ..] = random();
        noise.clear();
        // Most noise begins as a message does, or it would not get far.
        noise.extend([kind % 9, inner % 12]);
        while noise.len() < usize::from(length % 64) {
            let bytes = random();
            let small = if round % 2 == 0 { 0xff } else { 0x0f };
            noise.extend(bytes.map(|byte| byte & small));
        }
        let frame = framed(&noise);
        survives::<ToProcess>(&frame);
        survives::<ToService>(&frame);
    }
}

#[test]
fn a_result_that_is_not_json_is_refused() {
    let value = Json::from_text(r#"{"a":1}"#.to_owned()).unwrap();
    let outcome = Outcome { result: OutcomeResult::Ok { value }, duration_us: 0, cpu_us: 0 };
    let answer = ToService::Answer { number: 1, index: 0, result: LuaVmResult::Outcome(outcome) };
    assert!(forged(&answer, r#"{"a":1}"#, r#"{"a":2}"#).is_ok());
    for text in [r#"1,"b":2"#, r#"{"a":1,"#, "       ", "nothing", "1 2 3 4", "\"a\nbc\" "] {
        assert!(matches!(forged(&answer, r#"{"a":1}"#, text), Err(FrameError::Garbled { .. })), "{text:?}");
    }
}

#[test]
fn names_ids_and_times_that_cannot_be_are_refused() {
    let broke =
        ToService::Broke { guild: guild(7), template: Some("greet".parse().unwrap()), reason: String::new() };
    for name in ["a/../", "$shop", "gree\n", "\0\0\0\0\0", "gre t"] {
        assert_eq!(forged(&broke, "greet", name).is_ok(), name == "gre t", "{name:?}");
    }
    let entry = log(LogLevel::Info, "x");
    let id = entry.event.as_ref().unwrap().to_string();
    assert!(forged(&ToService::Log(entry.clone()), &id, &"\n".repeat(id.len())).is_err());
    assert!(arrived(&ToService::Log(LogEntry { template: "\x1b[2J".into(), ..entry.clone() })).is_err());
    let early = OffsetDateTime::UNIX_EPOCH - Duration::from_nanos(1);
    assert!(arrived(&ToService::Log(LogEntry { at: early, ..entry })).is_err());
    let nobody = [&[2, 0, 8][..], &[2, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 8][..]];
    for vacated in nobody {
        assert!(decoded::<ToService>(&framed(vacated)).is_err(), "{vacated:?}");
    }
    assert!(matches!(
        decoded::<ToService>(&framed(&[2, 7, 8])),
        Ok(Some(ToService::Vacated { upto: 8, .. }))
    ));
}

#[test]
fn a_template_of_nobody_or_with_a_bot_of_endless_name_is_refused() {
    let message = |template| ToProcess::Template { key: 1, template };
    assert!(forged(&message(template()), "token:deploy", "token:DEPLOY").is_ok());
    for author in ["user:someone", "token;deploy", "\0\0\0\0\0\0\0\0\0\0\0\0"] {
        assert!(forged(&message(template()), "token:deploy", author).is_err(), "{author:?}");
    }
    let mut loaded = Arc::into_inner(template()).unwrap();
    loaded.current_user = None;
    let Ok(ToProcess::Template { template: without, .. }) = arrived(&message(Arc::new(loaded))) else {
        panic!("a template without a bot is refused")
    };
    assert_eq!(without.current_user, None);
    let mut loaded = Arc::into_inner(template()).unwrap();
    let user = loaded.current_user.as_deref().unwrap().clone();
    loaded.current_user = Some(Arc::new(CurrentUser { username: "x".repeat(1 << 20), ..user }));
    assert!(arrived(&message(Arc::new(loaded))).is_err());
}

#[test]
fn texts_are_cut_and_lists_are_short() {
    let long = "ä".repeat(100_000);
    let broke = ToService::Broke { guild: guild(7), template: None, reason: format!("x{long}") };
    let Ok(ToService::Broke { reason, .. }) = arrived(&broke) else { panic!("{broke:?}") };
    assert_eq!((reason.len(), reason.capacity()), (MAX_REASON - 1, MAX_REASON - 1));

    let result = OutcomeResult::Error { error: long.clone(), traceback: long.clone() };
    let result = LuaVmResult::Outcome(Outcome { result, duration_us: 0, cpu_us: 0 });
    let answer = arrived(&ToService::Answer { number: 1, index: 0, result });
    let Ok(ToService::Answer { result: LuaVmResult::Outcome(outcome), .. }) = answer else {
        panic!("{answer:?}")
    };
    let OutcomeResult::Error { error, traceback } = outcome.result else { panic!("{outcome:?}") };
    assert_eq!((error.len(), traceback.len()), (image::MAX_ERROR, image::MAX_TRACEBACK));

    let Ok(ToService::Log(entry)) = arrived(&ToService::Log(log(LogLevel::Info, &long))) else { panic!() };
    assert_eq!(entry.text.len(), image::MAX_ERROR + image::MAX_TRACEBACK);

    let lock = Lock { name: "x".to_owned(), state: String::new() };
    assert!(arrived(&ToService::Ready { version: 1, locks: vec![lock; MAX_LOCKS + 1] }).is_err());
    let counts = vec![0; MAX_COUNTS + 1];
    assert!(
        arrived(&ToService::Beat {
            counts,
            vms: 0,
            idle: 0,
            closing: 0,
            warm: 0,
            memory: 0,
            load_permille: 0
        })
        .is_err()
    );
}

#[test]
fn limits_that_make_no_sense_are_refused() {
    let limits = Arc::new(Limits { slice_ms: 0, ..Limits::default() });
    assert!(arrived(&ToProcess::Limits { key: 1, limits: Arc::clone(&limits) }).is_err());
    assert!(arrived(&ToProcess::Start(Start { limits, ..start() })).is_err());
}
