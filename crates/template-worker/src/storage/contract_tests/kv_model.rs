//! Whatever is done to records, in whatever order and at whatever time, it comes to what a plain map comes to.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::kv::{NOW, at, key, quota, scopes, write_all};
use super::*;
use crate::storage::kv::*;

const GUILDS: u64 = 2;
const KEYS: [&str; 4] = ["a", "A%", "b\0", "ключ"];
const SCOPES: [&[&str]; 4] = [&["x"], &["x", "y"], &["y", "x", "y"], &["x\",\"y"]];

/// A record of the model.
#[derive(Debug, Clone, PartialEq)]
struct Kept {
    value: String,
    expires_at: Option<OffsetDateTime>,
}

type Place = (u64, usize, usize);

/// What a guild has, by guild, key, and set of scopes.
#[derive(Debug, Default, Clone)]
struct Model(BTreeMap<Place, Kept>);

#[derive(Debug, Clone)]
enum Step {
    Pass(i64),
    Do(u64, Vec<Change>),
}

#[derive(Debug, Clone)]
enum Change {
    Set(usize, usize, i32, Option<i64>),
    Text(usize, usize),
    SetExpiry(usize, usize, Option<i64>),
    Delete(usize, usize),
    Increment(usize, usize, i32),
    CompareAndSet(usize, usize, Option<i32>, i32),
}

fn change() -> impl Strategy<Value = Change> {
    let (key, of) = (0..KEYS.len(), 0..SCOPES.len());
    let time = || prop::option::of(1..100_i64);
    prop_oneof![
        (key.clone(), of.clone(), 0..3, time()).prop_map(|(k, s, v, t)| Change::Set(k, s, v, t)),
        (key.clone(), of.clone()).prop_map(|(k, s)| Change::Text(k, s)),
        (key.clone(), of.clone(), time()).prop_map(|(k, s, t)| Change::SetExpiry(k, s, t)),
        (key.clone(), of.clone()).prop_map(|(k, s)| Change::Delete(k, s)),
        (key.clone(), of.clone(), -3..3).prop_map(|(k, s, by)| Change::Increment(k, s, by)),
        (key, of, prop::option::of(0..3), 0..3).prop_map(|(k, s, e, v)| Change::CompareAndSet(k, s, e, v)),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        1 => (1..50_i64).prop_map(Step::Pass),
        4 => (1..=GUILDS, change()).prop_map(|(guild, change)| Step::Do(guild, vec![change])),
        1 => (1..=GUILDS, prop::collection::vec(change(), 2..5)).prop_map(|(guild, all)| Step::Do(guild, all)),
    ]
}

impl Model {
    /// Two lists of scopes that are one set are one place.
    fn place(guild: u64, key: usize, of: usize) -> Place {
        (guild, key, if of == 2 { 1 } else { of })
    }

    fn live(&self, place: Place, now: OffsetDateTime) -> Option<&Kept> {
        self.0.get(&place).filter(|kept| kept.expires_at.is_none_or(|at| at > now))
    }

    /// Does all of `changes`, or none; returns whether it did.
    fn apply(&mut self, guild: u64, changes: &[Change], now: OffsetDateTime) -> bool {
        let before = self.clone();
        let fine = changes.iter().all(|change| self.one(guild, change, now));
        if !fine {
            *self = before;
        }
        fine
    }

    fn one(&mut self, guild: u64, change: &Change, now: OffsetDateTime) -> bool {
        let after = |seconds: Option<i64>| seconds.map(|seconds| now + Duration::seconds(seconds));
        let (Change::Set(key, of, ..)
        | Change::Text(key, of)
        | Change::SetExpiry(key, of, _)
        | Change::Delete(key, of)
        | Change::Increment(key, of, _)
        | Change::CompareAndSet(key, of, ..)) = change;
        let place = Self::place(guild, *key, *of);
        let live = self.live(place, now).cloned();
        let kept_until = live.as_ref().and_then(|kept| kept.expires_at);
        let mut put = |value: String, expires_at| {
            self.0.insert(place, Kept { value, expires_at });
        };
        match change {
            Change::Set(_, _, value, seconds) => put(value.to_string(), after(*seconds)),
            Change::Text(..) => put("\"text\"".to_owned(), None),
            Change::SetExpiry(_, _, seconds) => match live {
                Some(kept) => put(kept.value, after(*seconds)),
                None => return false,
            },
            Change::Delete(..) => drop(self.0.remove(&place)),
            Change::Increment(_, _, by) => {
                let value = live.map_or(Some(0), |kept| kept.value.parse::<i32>().ok());
                match value {
                    Some(value) => put((value + by).to_string(), kept_until),
                    None => return false,
                }
            }
            Change::CompareAndSet(_, _, expected, value) => {
                if live.map(|kept| kept.value) == expected.map(|expected| expected.to_string()) {
                    put(value.to_string(), kept_until);
                }
            }
        }
        true
    }
}

fn op(change: &Change, now: OffsetDateTime) -> KvOp {
    let after = |seconds: &Option<i64>| seconds.map(|seconds| now + Duration::seconds(seconds));
    let place = |k: &usize, s: &usize| at(KEYS[*k], SCOPES[*s]);
    let name = |k: &usize, s: &usize| key(KEYS[*k], SCOPES[*s]);
    let set = |at, value: String, expires_at| KvOp::Set { at, value, expires_at, resume: false };
    match change {
        Change::Set(k, s, value, time) => set(place(k, s), value.to_string(), after(time)),
        Change::Text(k, s) => set(place(k, s), "\"text\"".to_owned(), None),
        Change::SetExpiry(k, s, time) => KvOp::SetExpiry { at: place(k, s), expires_at: after(time) },
        Change::Delete(k, s) => KvOp::Delete { at: place(k, s) },
        Change::Increment(k, s, by) => KvOp::Increment { key: name(k, s), by: f64::from(*by) },
        Change::CompareAndSet(k, s, expected, value) => KvOp::CompareAndSet {
            key: name(k, s),
            expected: expected.map(|expected| expected.to_string()),
            value: value.to_string(),
        },
    }
}

/// Compares everything that can be read with the model.
async fn compare(storage: &dyn Storage, model: &Model, now: OffsetDateTime) {
    for of_guild in 1..=GUILDS {
        let mut there = 0;
        for (k, text) in KEYS.iter().enumerate() {
            for (s, of) in SCOPES.iter().enumerate() {
                let found = storage.kv_record(guild(of_guild), &at(text, of), now).await.unwrap();
                let found = found.map(|record| Kept { value: record.value, expires_at: record.expires_at });
                let expected = model.live(Model::place(of_guild, k, s), now);
                assert_eq!(found.as_ref(), expected, "{text} {of:?}");
                there += usize::from(expected.is_some() && s != 2);
            }
        }
        let query = KvQuery { pattern: KeyPattern::any(), scopes: None, after: None, limit: 100 };
        assert_eq!(storage.kv_find(guild(of_guild), &query, now).await.unwrap().records.len(), there);
        let mut usage = KvUsage::default();
        for ((_, k, s), kept) in model.0.iter().filter(|((guild, ..), _)| *guild == of_guild) {
            let size = KEYS[*k].len() + scopes(SCOPES[*s]).to_column().len() + kept.value.len();
            usage = KvUsage { records: usage.records + 1, bytes: usage.bytes + size as u64 };
        }
        assert_eq!(storage.kv_usage(guild(of_guild)).await.unwrap(), usage);
        let next = model.0.values().filter_map(|kept| kept.expires_at).filter(|at| *at > now).min();
        if model.0.values().all(|kept| kept.expires_at.is_none_or(|at| at > now)) {
            assert_eq!(storage.next_due(now).await.unwrap(), next);
        }
    }
}

async fn run<F: Fixture>(steps: Vec<Step>) {
    let place = F::new();
    let storage = place.open().await;
    let (mut model, mut now) = (Model::default(), NOW);
    for step in steps {
        match step {
            Step::Pass(seconds) => now += Duration::seconds(seconds),
            Step::Do(of, changes) => {
                let ops = changes.iter().map(|change| op(change, now)).collect();
                let done = write_all(&*storage, guild(of), ops, quota(), now).await;
                assert_eq!(done.is_ok(), model.apply(of, &changes, now), "{changes:?}: {done:?}");
            }
        }
        compare(&*storage, &model, now).await;
    }
}

#[test]
fn sqlite_comes_to_what_a_map_comes_to() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let config = Config { cases: 24, failure_persistence: None, ..Config::default() };
    let steps = prop::collection::vec(step(), 1..40);
    let tried = TestRunner::new(config).run(&steps, |steps| {
        runtime.block_on(run::<SqliteOnDisk>(steps));
        Ok(())
    });
    tried.unwrap();
}
