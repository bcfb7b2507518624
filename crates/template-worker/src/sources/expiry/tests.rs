//! When keys are told, how many at a time, and how often again: on a clock that the test sets.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use async_trait::async_trait;
use time::macros::datetime;
use tokio::sync::Notify;

use super::telling::{MOST_ATTEMPTS, Told, again_at};
use super::*;
use crate::limits::Limits;
use crate::storage::expiry::{DueKey, ExpiryState};
use crate::storage::kv::{KvAt, KvKey, KvOp, KvQuota, Scopes};
use crate::storage::{KvStorage, SqliteStorage};
use crate::template::TemplateName;

const START: OffsetDateTime = datetime!(2026-11-25 12:00 UTC);

/// Writes down who is told of what, and lets it fail or wait.
#[derive(Default)]
struct Teller {
    told: Mutex<Vec<(u64, String)>>,
    changed: Notify,
    /// How often nobody can be told.
    unseen: Mutex<u32>,
    /// Keys that fail, in these templates.
    fails: Mutex<BTreeMap<String, Vec<TemplateName>>>,
    /// Keys whose handlers go on until this is closed.
    waits: Mutex<BTreeSet<String>>,
    open: Mutex<Option<Arc<Semaphore>>>,
    at_once: Mutex<(usize, usize)>,
}

#[async_trait]
impl Tell for Teller {
    async fn tell(&self, due: &DueKey) -> Told {
        self.told.lock().unwrap().push((due.guild.get(), due.key.clone()));
        self.changed.notify_waiters();
        let left = self.unseen.lock().unwrap().checked_sub(1);
        if let Some(left) = left {
            *self.unseen.lock().unwrap() = left;
            return Told::Unseen { why: "the guild is busy".to_owned() };
        }
        let open = self.open.lock().unwrap().clone();
        let waits = self.waits.lock().unwrap().contains(&due.key);
        if let Some(open) = open.filter(|_| waits) {
            {
                let mut at_once = self.at_once.lock().unwrap();
                at_once.0 += 1;
                at_once.1 = at_once.1.max(at_once.0);
            }
            let _ = open.acquire().await;
            self.at_once.lock().unwrap().0 -= 1;
        }
        match self.fails.lock().unwrap().get(&due.key) {
            Some(failed_in) => Told::Failed { failed_in: failed_in.clone(), error: "it threw".to_owned() },
            None => Told::All,
        }
    }
}

struct Scene {
    storage: Arc<SqliteStorage>,
    teller: Arc<Teller>,
    time: watch::Sender<OffsetDateTime>,
    stopping: Stopping,
    ended: watch::Receiver<()>,
}

impl Scene {
    async fn start() -> Self {
        Self::start_on(Arc::new(SqliteStorage::in_memory().await.unwrap()))
    }

    fn start_on(storage: Arc<SqliteStorage>) -> Self {
        let (time, said) = watch::channel(START);
        let (held, ended) = watch::channel(());
        let (teller, stopping) = (Arc::new(Teller::default()), Stopping::default());
        let expiry = Expiry::new(
            Arc::clone(&storage) as _,
            Arc::clone(&teller) as _,
            Clock::Said(said),
            stopping.clone(),
            Arc::new(Metrics::new(&Limits::default())),
            Arc::new(held),
        );
        tokio::spawn(expiry.run());
        Self { storage, teller, time, stopping, ended }
    }

    fn now(&self) -> OffsetDateTime {
        *self.time.borrow()
    }

    fn pass(&self, time: Duration) {
        self.time.send_modify(|now| *now += time);
    }

    /// Sets a key that expires in so many seconds.
    async fn set(&self, guild: u64, key: &str, seconds: u64) {
        let scopes = Scopes::new(vec!["s".to_owned()]).unwrap();
        let op = KvOp::Set {
            at: KvAt::Key(KvKey { key: key.to_owned(), scopes }),
            value: "1".to_owned(),
            expires_at: Some(self.now() + Duration::from_secs(seconds)),
            resume: false,
        };
        let quota = KvQuota::of(&Limits::default());
        let guild = GuildId::new(guild).unwrap();
        self.storage.kv_write(guild, vec![op], quota, self.now()).await.unwrap();
    }

    /// Waits until so many were told; then nothing more may come for a while.
    async fn told(&self, count: usize) -> Vec<(u64, String)> {
        self.until(|| self.teller.told.lock().unwrap().len() >= count).await;
        tokio::time::sleep(Duration::from_millis(60)).await;
        let told = self.teller.told.lock().unwrap().clone();
        assert_eq!(told.len(), count, "{told:?}");
        told
    }

    async fn until(&self, question: impl Fn() -> bool) {
        for _ in 0..1_000 {
            if question() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("it did not come to this; told: {:?}", self.teller.told.lock().unwrap());
    }

    async fn states(&self, guild: u64) -> Vec<(ExpiryState, u32)> {
        let guild = GuildId::new(guild).unwrap();
        let all = self.storage.expiries(guild, None, 100, self.now()).await.unwrap();
        all.into_iter().map(|expiry| (expiry.state, expiry.attempts)).collect()
    }

    /// Waits until the guild's expiries are these.
    async fn until_states(&self, guild: u64, states: &[(ExpiryState, u32)]) {
        for _ in 0..1_000 {
            if self.states(guild).await == states {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("expected {states:?}, got {:?}", self.states(guild).await);
    }
}

#[tokio::test]
async fn a_key_is_told_when_it_is_due_and_not_before() {
    let scene = Scene::start().await;
    scene.set(1, "late", 3600).await;
    scene.set(1, "early", 10).await;
    scene.pass(Duration::from_secs(9));
    scene.told(0).await;
    scene.pass(Duration::from_secs(1));
    assert_eq!(scene.told(1).await, [(1, "early".to_owned())]);
    // One that is due earlier than what is slept for.
    scene.set(2, "earlier", 1).await;
    scene.pass(Duration::from_secs(1));
    assert_eq!(scene.told(2).await[1], (2, "earlier".to_owned()));
    scene.until_states(1, &[(ExpiryState::Waiting, 0)]).await;
    scene.until_states(2, &[]).await;
}

#[tokio::test]
async fn a_key_is_told_once_while_its_handler_runs() {
    let scene = Scene::start().await;
    *scene.teller.open.lock().unwrap() = Some(Arc::new(Semaphore::new(0)));
    scene.teller.waits.lock().unwrap().insert("slow".to_owned());
    scene.set(1, "slow", 1).await;
    scene.set(1, "next", 20).await;
    scene.pass(Duration::from_secs(5));
    scene.told(1).await;
    scene.pass(Duration::from_secs(600));
    assert_eq!(scene.told(2).await[1].1, "next", "it does not wait for its neighbour");
    scene.teller.open.lock().unwrap().as_ref().unwrap().close();
    scene.until_states(1, &[]).await;
    scene.told(2).await;
}

#[tokio::test]
async fn what_fails_is_told_again_with_growing_pauses_and_is_dead_in_the_end() {
    let scene = Scene::start().await;
    let name: TemplateName = "t".parse().unwrap();
    scene.teller.fails.lock().unwrap().insert("k".to_owned(), vec![name]);
    scene.set(1, "k", 1).await;
    scene.pass(Duration::from_secs(1));
    let mut pauses = Vec::new();
    for attempt in 1..MOST_ATTEMPTS {
        scene.until_states(1, &[(ExpiryState::Failing, attempt)]).await;
        let [expiry] = &scene.storage.expiries(GuildId::new(1).unwrap(), None, 2, START).await.unwrap()[..]
        else {
            panic!()
        };
        let pause = expiry.again_at.unwrap() - scene.now();
        pauses.push(pause.whole_seconds());
        scene.pass(Duration::try_from(pause).unwrap());
    }
    assert_eq!(pauses, [5, 10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600]);
    scene.until_states(1, &[(ExpiryState::Dead, MOST_ATTEMPTS)]).await;
    scene.pass(Duration::from_secs(100_000));
    assert_eq!(scene.told(12).await.len(), 12);
    assert_eq!(again_at(START, u32::MAX - 1), None);

    let id = scene.storage.expiries(GuildId::new(1).unwrap(), None, 2, START).await.unwrap()[0].id.clone();
    scene.teller.fails.lock().unwrap().clear();
    assert!(scene.storage.retry_expiry(GuildId::new(1).unwrap(), &id, scene.now()).await.unwrap());
    scene.until_states(1, &[]).await;
    scene.told(13).await;
}

#[tokio::test]
async fn what_nobody_saw_is_told_again_and_was_no_attempt() {
    let scene = Scene::start().await;
    *scene.teller.unseen.lock().unwrap() = 1;
    scene.teller.fails.lock().unwrap().insert("k".to_owned(), vec!["t".parse().unwrap()]);
    scene.set(1, "k", 1).await;
    scene.pass(Duration::from_secs(1));
    scene.until_states(1, &[(ExpiryState::Failing, 1)]).await;
    scene.told(2).await;
}

#[tokio::test]
async fn a_guild_with_very_many_due_keys_does_not_delay_another() {
    let scene = Scene::start().await;
    *scene.teller.open.lock().unwrap() = Some(Arc::new(Semaphore::new(0)));
    for index in 0..30 {
        scene.teller.waits.lock().unwrap().insert(format!("slow {index}"));
        scene.set(1, &format!("slow {index}"), 1).await;
    }
    scene.set(2, "other", 2).await;
    scene.pass(Duration::from_secs(2));
    let told = scene.told(MOST_OF_A_GUILD + 1).await;
    assert!(told.contains(&(2, "other".to_owned())));
    scene.teller.open.lock().unwrap().as_ref().unwrap().close();
    scene.told(31).await;
    scene.until_states(1, &[]).await;
    assert_eq!(scene.teller.at_once.lock().unwrap().1, MOST_OF_A_GUILD);
}

#[tokio::test]
async fn all_that_is_due_at_one_instant_is_told_once() {
    let scene = Scene::start().await;
    let guilds = 2 * ROUND as u64 + 50;
    for guild in 1..=guilds {
        scene.set(guild, "k", 10).await;
    }
    scene.pass(Duration::from_secs(10));
    let told: BTreeSet<_> = scene.told(guilds as usize).await.into_iter().collect();
    assert_eq!(told.len(), guilds as usize, "each guild once");
}

#[tokio::test]
async fn what_was_told_when_the_service_died_is_told_again_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let open = || SqliteStorage::open(folder.path());
    let scene = Scene::start_on(Arc::new(open().await.unwrap()));
    *scene.teller.open.lock().unwrap() = Some(Arc::new(Semaphore::new(0)));
    scene.teller.waits.lock().unwrap().insert("k".to_owned());
    scene.set(1, "k", 1).await;
    scene.set(1, "missed", 5).await;
    scene.pass(Duration::from_secs(1));
    scene.told(1).await;

    let again = Scene::start_on(Arc::new(open().await.unwrap()));
    again.pass(Duration::from_secs(10));
    let mut told = again.told(2).await;
    told.sort();
    assert_eq!(told, [(1, "k".to_owned()), (1, "missed".to_owned())]);
}

#[tokio::test]
async fn a_stop_waits_for_handlers_and_begins_no_more() {
    let mut scene = Scene::start().await;
    *scene.teller.open.lock().unwrap() = Some(Arc::new(Semaphore::new(0)));
    scene.teller.waits.lock().unwrap().insert("k".to_owned());
    scene.set(1, "k", 1).await;
    scene.set(1, "later", 5).await;
    scene.pass(Duration::from_secs(1));
    scene.told(1).await;
    scene.stopping.begin();
    scene.pass(Duration::from_secs(10));
    let ended = tokio::time::timeout(Duration::from_millis(50), scene.ended.changed()).await;
    assert!(ended.is_err(), "a handler still runs");
    scene.teller.open.lock().unwrap().as_ref().unwrap().close();
    assert!(scene.ended.changed().await.is_err(), "nobody holds it any more");
    assert_eq!(scene.states(1).await, [(ExpiryState::Due, 0)], "what was told is gone, the rest waits");
    scene.told(1).await;
}
