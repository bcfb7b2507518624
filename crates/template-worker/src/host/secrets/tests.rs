//! Tests of the vault: what goes in, and where it may come out.

use super::*;
use crate::storage::SqliteStorage;

const VALUE: &str = "correct-horse-battery";

struct Setup {
    vault: Vault,
    storage: Arc<dyn Storage>,
    folder: tempfile::TempDir,
}

async fn setup() -> Setup {
    let folder = tempfile::tempdir().unwrap();
    let storage: Arc<dyn Storage> = Arc::new(SqliteStorage::in_memory().await.unwrap());
    let key = KeyFile::new(folder.path().join("secrets.key"));
    Setup { vault: Vault::new(Arc::clone(&storage), key), storage, folder }
}

fn guild(id: u64) -> GuildId {
    GuildId::new(id).unwrap()
}

fn hosts(hosts: &[&str]) -> Vec<String> {
    hosts.iter().map(|host| (*host).to_owned()).collect()
}

fn request() -> HttpRequest {
    HttpRequest {
        method: "GET".to_owned(),
        url: "https://api.example.com/".to_owned(),
        headers: vec![("authorization".to_owned(), b"Bearer {{secret:KEY}}".to_vec())],
        body: Vec::new(),
        timeout: None,
    }
}

impl Setup {
    async fn put(&self, guild_id: u64, name: &str) -> Result<Written, SecretsError> {
        self.vault
            .put(guild(guild_id), name, VALUE, &hosts(&["api.example.com"]))
            .await
            .map(|(_, written)| written)
    }

    async fn filled(&self, guild_id: u64, host: &str) -> Result<String, SecretsError> {
        self.filled_for(guild_id, &Recipient { host: host.to_owned(), is_private: true }).await
    }

    async fn filled_for(&self, guild_id: u64, to: &Recipient) -> Result<String, SecretsError> {
        let mut request = request();
        self.vault.fill(guild(guild_id), to, &mut request, 1 << 20).await?;
        Ok(String::from_utf8(request.headers.remove(0).1).unwrap())
    }
}

#[tokio::test]
async fn a_secret_is_filled_in_for_its_hosts_and_its_guild_alone() {
    let setup = setup().await;
    assert_eq!(setup.put(1, "KEY").await.unwrap(), Written::Created);
    assert_eq!(setup.filled(1, "api.example.com").await.unwrap(), format!("Bearer {VALUE}"));
    for host in ["evil.example", "example.com", "x.api.example.com", ""] {
        let error = setup.filled(1, host).await.unwrap_err();
        assert!(matches!(error, SecretsError::NotForHost { .. }), "{host}: {error}");
    }
    assert!(matches!(setup.filled(2, "api.example.com").await, Err(SecretsError::NoSuchSecret { .. })));
    assert!(setup.vault.delete(guild(1), "KEY").await.unwrap());
    assert!(!setup.vault.delete(guild(1), "KEY").await.unwrap());
    assert!(matches!(setup.filled(1, "api.example.com").await, Err(SecretsError::NoSuchSecret { .. })));
}

#[tokio::test]
async fn a_secret_is_not_sent_where_everybody_on_the_way_can_read_it() {
    let setup = setup().await;
    setup.put(1, "KEY").await.unwrap();
    let to = |is_private| Recipient { host: "api.example.com".to_owned(), is_private };
    let refused = setup.filled_for(1, &to(false)).await.unwrap_err();
    assert!(matches!(refused, SecretsError::InClear { .. }), "{refused}");
    assert!(refused.to_string().contains("`https://`"), "{refused}");
    assert!(setup.filled_for(1, &to(true)).await.is_ok());
    let mut plain = HttpRequest { headers: Vec::new(), ..request() };
    assert!(setup.vault.fill(guild(1), &to(false), &mut plain, 1 << 20).await.is_ok(), "it needs none");
}

#[tokio::test]
async fn a_list_has_names_and_hosts_and_no_values() {
    let setup = setup().await;
    for name in ["B", "A"] {
        setup.put(1, name).await.unwrap();
    }
    assert_eq!(setup.put(1, "A").await.unwrap(), Written::Replaced);
    let list = setup.vault.list(guild(1)).await.unwrap();
    let seen: Vec<_> = list.iter().map(|secret| (secret.name.as_str(), secret.hosts.as_slice())).collect();
    assert_eq!(seen, [("A", hosts(&["api.example.com"]).as_slice()), ("B", &hosts(&["api.example.com"]))]);
    assert!(setup.vault.list(guild(2)).await.unwrap().is_empty());
    let all = format!("{list:?} {:?} {:?}", setup.vault, setup.storage.secrets_of(guild(1)).await.unwrap());
    assert!(!all.contains(VALUE), "{all}");
}

#[tokio::test]
async fn what_is_stored_is_bound_to_its_guild_its_name_and_its_hosts() {
    let setup = setup().await;
    setup.put(1, "KEY").await.unwrap();
    let sealed = setup.storage.secrets_of(guild(1)).await.unwrap().remove(0);
    let clear = sealed.sealed.windows(VALUE.len()).any(|window| window == VALUE.as_bytes());
    assert!(!clear, "the value lies in the database");
    // What somebody could do who can write to the database.
    setup.storage.put_secret(guild(2), &sealed, 64).await.unwrap();
    let elsewhere = SealedSecret { hosts: hosts(&["evil.example"]), ..sealed.clone() };
    setup.storage.put_secret(guild(3), &elsewhere, 64).await.unwrap();
    setup.storage.put_secret(guild(1), &elsewhere, 64).await.unwrap();
    for (id, host) in [(2, "api.example.com"), (3, "evil.example"), (1, "evil.example")] {
        assert!(matches!(setup.filled(id, host).await, Err(SecretsError::Unreadable { .. })), "guild {id}");
    }
}

#[tokio::test]
async fn a_key_is_made_for_the_first_secret_and_its_loss_is_noticed() {
    let setup = setup().await;
    let path = setup.folder.path().join("secrets.key");
    assert!(!path.exists(), "nobody needed one");
    setup.put(1, "KEY").await.unwrap();
    let again = Vault::new(Arc::clone(&setup.storage), KeyFile::new(path.clone()));
    let again = Setup { vault: again, ..setup };
    assert!(again.filled(1, "api.example.com").await.is_ok(), "it is the same after a restart");

    std::fs::remove_file(&path).unwrap();
    let without = Vault::new(Arc::clone(&again.storage), KeyFile::new(path.clone()));
    let without = Setup { vault: without, ..again };
    let missing = |error: &SecretsError| matches!(error, SecretsError::Key(KeyError::Missing { .. }));
    assert!(missing(&without.filled(1, "api.example.com").await.unwrap_err()));
    assert!(missing(&without.put(1, "OTHER").await.unwrap_err()), "a new key would hide the loss");
    assert!(!path.exists());
}

#[tokio::test]
async fn names_values_and_hosts_that_are_none_are_refused_without_showing_the_value() {
    let setup = setup().await;
    let put = async |name: &str, value: &str, of: &[&str]| {
        setup
            .vault
            .put(guild(1), name, value, &hosts(of))
            .await
            .map(|_| ())
            .map_err(|error| error.to_string())
    };
    let host = &["api.example.com"][..];
    assert_eq!(put("a_Z9", "12345678", host).await, Ok(()));
    assert_eq!(put(&"n".repeat(64), &"v".repeat(4096), &["api.example.com"; 16]).await, Ok(()));
    for name in ["", "a-b", "a b", "ä", "a}}", &"n".repeat(65)] {
        assert!(put(name, VALUE, host).await.unwrap_err().contains("name of a secret"), "{name}");
    }
    for value in ["", "1234567", "with\0zero-byte", &"v".repeat(4097)] {
        let error = put("KEY", value, host).await.unwrap_err();
        assert!(error.contains("value of a secret"), "{error}");
        assert!(value.is_empty() || !error.contains(value), "{error}");
    }
    assert!(put("KEY", VALUE, &[]).await.is_err());
    assert!(put("KEY", VALUE, &["api.example.com"; 17]).await.is_err());
    for wrong in [
        "*",
        "*.example.com",
        "localhost",
        "127.0.0.1",
        "API.example.com",
        "api.example.com:443",
        "https://api.example.com",
        "a\nb.example.com",
    ] {
        assert!(put("KEY", VALUE, &[wrong]).await.is_err(), "{wrong} was taken");
    }
}

#[tokio::test]
async fn a_guild_has_no_more_secrets_than_it_may() {
    let setup = setup().await;
    for number in 0..MOST_SECRETS {
        setup.put(1, &format!("S{number}")).await.unwrap();
    }
    let full = |error: &SecretsError| {
        matches!(error, SecretsError::Storage(StorageError::TooManySecrets { limit: 64 }))
    };
    assert!(full(&setup.put(1, "MORE").await.unwrap_err()));
    assert_eq!(setup.put(1, "S0").await.unwrap(), Written::Replaced);
    assert_eq!(setup.put(2, "MORE").await.unwrap(), Written::Created);
}
