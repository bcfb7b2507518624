//! What every backend promises, as one test per claim. A further backend adds a [`Fixture`] and one line at the end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use khronos::Bundle;
use time::{Duration, OffsetDateTime};

use super::*;
use crate::capabilities::Capabilities;
use crate::template::Author;

mod secrets_and_objects;
mod versions;

use secrets_and_objects::*;
use versions::*;

/// A place that keeps what is stored in it.
#[async_trait]
trait Fixture: Sized {
    /// A new, empty place.
    fn new() -> Self;
    /// A storage on it; several may be open at once, and see the same.
    async fn open(&self) -> Arc<dyn Storage>;
}

struct SqliteOnDisk(tempfile::TempDir);

#[async_trait]
impl Fixture for SqliteOnDisk {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    async fn open(&self) -> Arc<dyn Storage> {
        Arc::new(SqliteStorage::open(self.0.path()).await.unwrap())
    }
}

const MANY: usize = 100;

fn guild(id: u64) -> GuildId {
    GuildId::new(id).unwrap()
}

fn name(text: &str) -> TemplateName {
    text.parse().unwrap()
}

fn draft(source: &str) -> TemplateDraft {
    let files =
        [("init.luau".to_owned(), source.to_owned()), ("lib/x.luau".to_owned(), "return 1".to_owned())];
    TemplateDraft {
        bundle: Arc::new(Bundle::new(files).unwrap()),
        events: vec!["MESSAGE_CREATE".parse().unwrap(), "KeyExpiry[a]".parse().unwrap()],
        capabilities: ["kv:*".parse().unwrap()].into_iter().collect(),
        description: "says hello".to_owned(),
        error_channel: Some("123".to_owned()),
        paused: false,
        author: Some(Author::token("deploy")),
    }
}

fn files(template: &Template) -> BTreeMap<String, String> {
    template.bundle.files().map(|(path, source)| (path.to_owned(), source.text.to_string())).collect()
}

/// Everything that one can see of a template, to compare by.
fn seen(template: &Template) -> String {
    format!("{template:?}")
}

async fn put(storage: &dyn Storage, guild: GuildId, text: &str, source: &str) -> Template {
    storage.put_template(guild, &name(text), draft(source), None, MANY).await.unwrap().0
}

async fn what_is_put_is_read_back<F: Fixture>(place: F) {
    let storage = place.open().await;
    let (template, written) =
        storage.put_template(guild(1), &name("greet"), draft("return 1"), None, MANY).await.unwrap();
    assert_eq!(written, Written::Created);
    assert_eq!((template.info.version, template.info.created_at), (1, template.info.updated_at));
    let read = storage.get_template(guild(1), &name("greet")).await.unwrap().unwrap();
    assert_eq!(seen(&read), seen(&template));
    assert_eq!(files(&read).len(), 2);
    assert_eq!(read.info.events, draft("").events);
    assert!(read.info.capabilities.allows("kv:get:x"));
    assert!(storage.get_template(guild(2), &name("greet")).await.unwrap().is_none(), "it is another guild's");
    assert!(storage.get_template(guild(1), &name("other")).await.unwrap().is_none());
}

async fn versions_count_up_and_the_last_twenty_are_kept<F: Fixture>(place: F) {
    let storage = place.open().await;
    let first = put(&*storage, guild(1), "greet", "return 0").await;
    for version in 2..=25 {
        let draft = draft(&format!("return {version}"));
        let (template, written) =
            storage.put_template(guild(1), &name("greet"), draft, Some(version - 1), MANY).await.unwrap();
        assert_eq!((template.info.version, written), (version, Written::Replaced));
        assert_eq!(template.info.created_at, first.info.created_at);
    }
    let history = storage.template_versions(guild(1), &name("greet")).await.unwrap();
    let versions: Vec<u32> = history.iter().map(|version| version.version).collect();
    assert_eq!(versions, (6..=25).rev().collect::<Vec<_>>());
    assert!(history.iter().all(|version| version.new_files));
    let current = storage.get_template(guild(1), &name("greet")).await.unwrap().unwrap();
    assert_eq!(files(&current)["init.luau"], "return 25");
    assert!(storage.template_versions(guild(2), &name("greet")).await.unwrap().is_empty());
}

async fn an_if_match_conflict_changes_nothing<F: Fixture>(place: F) {
    let storage = place.open().await;
    let absent = storage.put_template(guild(1), &name("greet"), draft("return 1"), Some(1), MANY).await;
    assert!(matches!(absent, Err(StorageError::VersionConflict { current: None })), "{absent:?}");
    assert!(storage.get_template(guild(1), &name("greet")).await.unwrap().is_none());

    let before = put(&*storage, guild(1), "greet", "return 1").await;
    let put = storage.put_template(guild(1), &name("greet"), draft("return 2"), Some(7), MANY).await;
    assert!(matches!(put, Err(StorageError::VersionConflict { current: Some(1) })), "{put:?}");
    let patch = TemplatePatch { paused: Some(true), ..TemplatePatch::default() };
    let patched = storage.patch_template(guild(1), &name("greet"), patch, Some(2)).await;
    assert!(matches!(patched, Err(StorageError::VersionConflict { current: Some(1) })), "{patched:?}");
    let after = storage.get_template(guild(1), &name("greet")).await.unwrap().unwrap();
    assert_eq!(seen(&after), seen(&before));
    assert_eq!(storage.template_versions(guild(1), &name("greet")).await.unwrap().len(), 1);

    let none = storage.put_template(guild(1), &name("greet"), draft("return 2"), Some(0), MANY).await;
    assert!(matches!(none, Err(StorageError::VersionConflict { current: Some(1) })), "{none:?}");
    storage.put_template(guild(1), &name("new"), draft("return 1"), Some(0), MANY).await.unwrap();
}

async fn a_version_never_comes_back_after_a_delete<F: Fixture>(place: F) {
    let storage = place.open().await;
    put(&*storage, guild(1), "greet", "return 1").await;
    put(&*storage, guild(1), "greet", "return 2").await;
    put(&*storage, guild(1), "other", "return 1").await;
    for deleted in ["greet", "other"] {
        assert!(storage.delete_template(guild(1), &name(deleted), None).await.unwrap());
    }
    let again = put(&*storage, guild(1), "greet", "return 3").await;
    assert_eq!(again.info.version, 3);
    let stale = storage.put_template(guild(1), &name("greet"), draft("return 4"), Some(2), MANY).await;
    assert!(matches!(stale, Err(StorageError::VersionConflict { current: Some(3) })), "{stale:?}");
    assert_eq!(put(&*storage, guild(2), "greet", "return 1").await.info.version, 1);
}

async fn a_patch_keeps_the_files_and_whatever_it_does_not_name<F: Fixture>(place: F) {
    let storage = place.open().await;
    let before = put(&*storage, guild(1), "greet", "return 1").await;
    let patch = TemplatePatch { paused: Some(true), error_channel: Some(None), ..TemplatePatch::default() };
    let patched = storage.patch_template(guild(1), &name("greet"), patch, Some(1)).await.unwrap().unwrap();
    let read = storage.get_template(guild(1), &name("greet")).await.unwrap().unwrap();
    assert_eq!(seen(&read), seen(&patched));
    assert_eq!((read.info.version, read.info.paused, &read.info.error_channel), (2, true, &None));
    assert_eq!(files(&read), files(&before));
    assert_eq!((&read.info.events, &read.info.description), (&before.info.events, &before.info.description));
    assert_eq!(
        (&read.info.capabilities, read.info.created_at),
        (&before.info.capabilities, before.info.created_at)
    );

    // The files outlive the version that brought them, for as long as a kept version has them.
    for _ in 0..KEPT_VERSIONS + 5 {
        let patch = TemplatePatch {
            events: Some(vec!["Discord".parse().unwrap()]),
            capabilities: Some(Capabilities::default()),
            description: Some("new".to_owned()),
            ..TemplatePatch::default()
        };
        storage.patch_template(guild(1), &name("greet"), patch, None).await.unwrap().unwrap();
    }
    let read = storage.get_template(guild(1), &name("greet")).await.unwrap().unwrap();
    assert_eq!(files(&read), files(&before));
    assert_eq!(
        (read.info.description.as_str(), read.info.events.len(), read.info.capabilities.is_empty()),
        ("new", 1, true)
    );
    let none =
        storage.patch_template(guild(1), &name("other"), TemplatePatch::default(), None).await.unwrap();
    assert!(none.is_none());
}

async fn who_stored_a_template_first_and_last_is_kept<F: Fixture>(place: F) {
    let storage = place.open().await;
    let stored_by = async |text: &str, author: Option<&str>| {
        let draft = TemplateDraft { author: author.map(Author::token), ..draft("return 1") };
        storage.put_template(guild(1), &name(text), draft, None, MANY).await.unwrap().0
    };
    let who = |template: &Template| {
        [&template.info.created_by, &template.info.updated_by]
            .map(|who| who.as_ref().map(ToString::to_string))
    };
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(who(&stored_by("greet", Some("first")).await), [text("token:first"), text("token:first")]);
    assert_eq!(who(&stored_by("greet", Some("second")).await), [text("token:first"), text("token:second")]);
    let patch = TemplatePatch { author: Some(Author::template(&name("other"))), ..TemplatePatch::default() };
    let patched = storage.patch_template(guild(1), &name("greet"), patch, None).await.unwrap().unwrap();
    assert_eq!(who(&patched), [text("token:first"), text("template:other")]);
    let read = storage.get_template(guild(1), &name("greet")).await.unwrap().unwrap();
    assert_eq!(seen(&read), seen(&patched));

    // One of before it was written down: nobody knows who made it, whoever changes it later.
    assert_eq!(who(&stored_by("old", None).await), [None, None]);
    assert_eq!(who(&stored_by("old", Some("second")).await), [None, text("token:second")]);
}

async fn a_delete_removes_the_history<F: Fixture>(place: F) {
    let storage = place.open().await;
    put(&*storage, guild(1), "greet", "return 1").await;
    put(&*storage, guild(1), "greet", "return 2").await;
    put(&*storage, guild(2), "greet", "return 3").await;
    let older = storage.delete_template(guild(1), &name("greet"), Some(1)).await;
    assert!(matches!(older, Err(StorageError::VersionConflict { current: Some(2) })), "{older:?}");
    assert!(storage.delete_template(guild(1), &name("greet"), Some(2)).await.unwrap());
    assert!(!storage.delete_template(guild(1), &name("greet"), None).await.unwrap());
    assert!(storage.get_template(guild(1), &name("greet")).await.unwrap().is_none());
    assert!(storage.template_versions(guild(1), &name("greet")).await.unwrap().is_empty());
    assert!(storage.get_template(guild(2), &name("greet")).await.unwrap().is_some());
    let (again, written) =
        storage.put_template(guild(1), &name("greet"), draft("return 4"), None, MANY).await.unwrap();
    assert_eq!((again.info.version, written), (3, Written::Created));
    assert_eq!(files(&again)["init.luau"], "return 4");
}

async fn a_guild_has_no_more_templates_than_it_may<F: Fixture>(place: F) {
    let storage = place.open().await;
    for text in ["a", "b"] {
        storage.put_template(guild(1), &name(text), draft("return 1"), None, 2).await.unwrap();
    }
    let third = storage.put_template(guild(1), &name("c"), draft("return 1"), None, 2).await;
    assert!(matches!(third, Err(StorageError::TooManyTemplates { limit: 2 })), "{third:?}");
    assert!(storage.get_template(guild(1), &name("c")).await.unwrap().is_none());
    storage.put_template(guild(1), &name("a"), draft("return 2"), None, 2).await.unwrap();
    storage.put_template(guild(2), &name("c"), draft("return 1"), None, 2).await.unwrap();
    storage.delete_template(guild(1), &name("b"), None).await.unwrap();
    storage.put_template(guild(1), &name("c"), draft("return 1"), None, 2).await.unwrap();
}

async fn pages_are_complete_and_ordered<F: Fixture>(place: F) {
    let storage = place.open().await;
    let mut names: Vec<String> =
        (0..23).map(|n| format!("t{n}")).chain(["Upper".into(), "a b".into()]).collect();
    for text in &names {
        put(&*storage, guild(1), text, "return 1").await;
        put(&*storage, guild(2), text, "return 2").await;
    }
    names.sort();
    let mut listed: Vec<TemplateName> = Vec::new();
    loop {
        let page = storage.list_templates(guild(1), listed.last(), 10).await.unwrap();
        assert!(page.iter().all(|template| template.guild == guild(1) && template.version == 1));
        assert!(page.len() <= 10);
        if page.is_empty() {
            break;
        }
        listed.extend(page.into_iter().map(|template| template.name));
    }
    assert_eq!(listed.iter().map(TemplateName::as_str).collect::<Vec<_>>(), names);
    let all = storage.templates_of(guild(1)).await.unwrap();
    assert_eq!(all.iter().map(|template| template.info.name.as_str()).collect::<Vec<_>>(), names);
    assert!(storage.templates_of(guild(3)).await.unwrap().is_empty());
}

async fn two_writers_at_once_lose_nothing<F: Fixture>(place: F) {
    let writers = [place.open().await, place.open().await];
    let jobs = writers.into_iter().enumerate().map(|(writer, storage)| {
        tokio::spawn(async move {
            let mut versions = Vec::new();
            for round in 0..10 {
                versions.push(put(&*storage, guild(1), "shared", "return 1").await.info.version);
                put(&*storage, guild(1), &format!("own-{writer}-{round}"), "return 1").await;
            }
            versions
        })
    });
    let mut versions = Vec::new();
    for job in jobs.collect::<Vec<_>>() {
        versions.extend(job.await.unwrap());
    }
    versions.sort_unstable();
    assert_eq!(versions, (1..=20).collect::<Vec<_>>());
    assert_eq!(place.open().await.templates_of(guild(1)).await.unwrap().len(), 21);
}

async fn reopening_keeps_everything<F: Fixture>(place: F) {
    let storage = place.open().await;
    put(&*storage, guild(1), "greet", "return 1").await;
    let before = put(&*storage, guild(1), "greet", "return 2").await;
    let (token, hash) = token(None);
    storage.insert_token(&token, &hash).await.unwrap();
    // Not closed: what is acknowledged doesn't wait for that.
    drop(storage);
    let storage = place.open().await;
    let after = storage.get_template(guild(1), &name("greet")).await.unwrap().unwrap();
    assert_eq!(seen(&after), seen(&before));
    assert_eq!(storage.template_versions(guild(1), &name("greet")).await.unwrap().len(), 2);
    assert_eq!(storage.find_token_by_hash(&hash).await.unwrap(), Some(token));
}

/// A token as exact as it is stored.
fn token(expires_at: Option<OffsetDateTime>) -> (Token, TokenHash) {
    let micros = |at: OffsetDateTime| at.replace_microsecond(at.microsecond()).unwrap();
    let owner = TokenOwner::Guild {
        guild: guild(1),
        rights: BTreeSet::from([Right::TemplatesRead, Right::EventsDispatch]),
    };
    let token = Token {
        id: TokenId::fresh(),
        name: "a bot's".to_owned(),
        owner,
        created_at: micros(OffsetDateTime::now_utc()),
        expires_at: expires_at.map(micros),
        revoked_at: None,
    };
    (token, TokenSecret::generate().unwrap().hash())
}

async fn a_token_is_found_until_it_expires_or_is_revoked<F: Fixture>(place: F) {
    let storage = place.open().await;
    assert_eq!(storage.count_tokens().await.unwrap(), 0);
    let now = OffsetDateTime::now_utc();
    let (live, live_hash) = token(Some(now + Duration::HOUR));
    let (expired, expired_hash) = token(Some(now - Duration::SECOND));
    let (admin, admin_hash) = token(None);
    let admin = Token { owner: TokenOwner::Admin, ..admin };
    for (token, hash) in [(&live, &live_hash), (&expired, &expired_hash), (&admin, &admin_hash)] {
        storage.insert_token(token, hash).await.unwrap();
    }
    assert_eq!(storage.find_token_by_hash(&live_hash).await.unwrap(), Some(live.clone()));
    assert_eq!(storage.find_token_by_hash(&admin_hash).await.unwrap(), Some(admin.clone()));
    assert_eq!(storage.find_token_by_hash(&expired_hash).await.unwrap(), None);
    assert_eq!(storage.find_token_by_hash(&TokenHash::of("tw_unknown")).await.unwrap(), None);

    assert!(storage.revoke_token(live.id).await.unwrap());
    assert!(storage.revoke_token(live.id).await.unwrap(), "again is fine");
    assert!(!storage.revoke_token(TokenId::fresh()).await.unwrap());
    assert_eq!(storage.find_token_by_hash(&live_hash).await.unwrap(), None);
    let listed = storage.list_tokens().await.unwrap();
    assert_eq!(listed.iter().map(|token| token.id).collect::<Vec<_>>(), [live.id, expired.id, admin.id]);
    assert!(listed[0].revoked_at.is_some());
    assert_eq!(listed[2], admin);
    assert_eq!(storage.count_tokens().await.unwrap(), 3);
}

async fn two_tokens_never_share_a_secret<F: Fixture>(place: F) {
    let storage = place.open().await;
    let ((first, hash), (second, _)) = (token(None), token(None));
    storage.insert_token(&first, &hash).await.unwrap();
    assert!(storage.insert_token(&second, &hash).await.is_err());
    assert_eq!(storage.find_token_by_hash(&hash).await.unwrap(), Some(first));
}

fn overrides(text: &str) -> LimitOverrides {
    serde_json::from_str(text).unwrap()
}

async fn the_limits_of_a_guild_are_those_that_were_put_last<F: Fixture>(place: F) {
    let storage = place.open().await;
    assert_eq!(storage.all_limits().await.unwrap(), []);
    let (first, second) =
        (overrides(r#"{"slice_ms": 1, "max_cpu_time_ms": 500}"#), overrides(r#"{"max_luau_threads": 7}"#));
    // The guild has no template, and needs none.
    storage.put_limits(guild(2), &first).await.unwrap();
    storage.put_limits(guild(1), &first).await.unwrap();
    storage.put_limits(guild(1), &second).await.unwrap();
    let expected = [(guild(1), second), (guild(2), first)];
    assert_eq!(storage.all_limits().await.unwrap(), expected);
    storage.close().await;

    let storage = place.open().await;
    assert_eq!(storage.all_limits().await.unwrap(), expected, "they survive a restart");
    storage.put_limits(guild(2), &LimitOverrides::default()).await.unwrap();
    storage.put_limits(guild(3), &LimitOverrides::default()).await.unwrap();
    assert_eq!(storage.all_limits().await.unwrap(), expected[..1]);
}

async fn a_closed_storage_answers_with_an_error<F: Fixture>(place: F) {
    let storage = place.open().await;
    assert!(storage.check().await.is_ok());
    storage.close().await;
    assert!(matches!(storage.check().await, Err(StorageError::Failed(_))));
    assert!(storage.put_template(guild(1), &name("a"), draft("return 1"), None, MANY).await.is_err());
}

/// Every claim above, as tests of one backend.
macro_rules! contract {
    ($backend:ident, $fixture:ty: $($claim:ident),+ $(,)?) => {
        mod $backend {
            use super::*;

            $(
                #[tokio::test]
                async fn $claim() {
                    super::$claim(<$fixture>::new()).await;
                }
            )+
        }
    };
    ($($backend:ident: $fixture:ty),+ $(,)?) => {
        $(
            contract!($backend, $fixture:
                what_is_put_is_read_back,
                versions_count_up_and_the_last_twenty_are_kept,
    old_versions_of_a_guild_have_a_budget_and_the_oldest_go_first,
                an_if_match_conflict_changes_nothing,
                a_version_never_comes_back_after_a_delete,
                a_patch_keeps_the_files_and_whatever_it_does_not_name,
                who_stored_a_template_first_and_last_is_kept,
                a_delete_removes_the_history,
                a_guild_has_no_more_templates_than_it_may,
                pages_are_complete_and_ordered,
                two_writers_at_once_lose_nothing,
                reopening_keeps_everything,
                the_limits_of_a_guild_are_those_that_were_put_last,
                a_token_is_found_until_it_expires_or_is_revoked,
                two_tokens_never_share_a_secret,
                a_secret_is_its_guilds_and_replaced_by_name,
                an_object_is_booked_when_its_content_has_arrived,
                what_is_on_its_way_counts_and_can_be_abandoned,
                objects_are_listed_by_prefix_in_order,
                a_closed_storage_answers_with_an_error,
            );
        )+
    };
}

contract!(sqlite: SqliteOnDisk);

mod expiry;
mod kv;
mod kv_floods;
mod kv_lists;
mod kv_model;
