//! What the operator sets about the world outside, as templates reach it: the internet, objects, secrets.
//!
//! Owns the structs, as `sections` does for the rest. What they mean for a request is said in `host`.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::network::{FixedName, Network};
use crate::settings::{BadSetting, settings};

settings! {
    /// Requests of templates to the internet.
    #[derive(Eq)]
    pub struct HttpConfig {
        /// Ports that a URL may name.
        pub ports: Vec<u16> = vec![80, 443];
        /// Hosts that `http:*` does not cover, with all names inside of them; a template needs their names in its
        /// capabilities. By default those that AntiRaid refused in 2025.
        pub denied_hosts: Vec<String> = DENIED_HOSTS.iter().map(|host| (*host).to_owned()).collect();
        /// Requests of all guilds at the same time.
        pub max_requests_in_flight: usize = 1024, within 1..=65_536;
        /// Networks that templates can reach though they are not public, such as "10.1.0.0/16". Whatever answers there
        /// has to expect requests of anyone.
        pub opened_networks: Vec<Network> = Vec::new();
        /// Networks that templates cannot reach though they are public, such as those of your own machines.
        pub closed_networks: Vec<Network> = Vec::new();
        /// Names that are not looked up, with their addresses: ["api.example.com=10.1.2.3"]. Secrets are sent there over
        /// http as well: who fixes a name vouches for the way.
        pub fixed_names: Vec<FixedName> = Vec::new();
    }
}

/// What AntiRaid's blacklist was in 2025, but for Discord itself, which no capability opens.
const DENIED_HOSTS: &[&str] = &[
    "discord.gg",
    "imgur.com",
    "tenor.com",
    "giphy.com",
    "tenor.co",
    "giphy.co",
    "reddit.com",
    "redd.it",
    "twitter.com",
    "t.co",
    "youtube.com",
    "youtu.be",
    "youtube-nocookie.com",
    "youtube-nocookie.be",
    "twitch.tv",
    "twitchcdn.net",
    "twitchstatic.com",
    "twitchvideo.net",
    "twitchusercontent.com",
    "roblox.com",
];

settings! {
    /// Where the contents of objects are kept.
    #[derive(Eq)]
    pub struct ObjectsConfig {
        /// "local" is a folder of this machine; "s3" is a bucket of Amazon S3, or of anything that speaks like it.
        pub backend: ObjectBackend = ObjectBackend::Local;
        /// The folder; empty takes `objects` in the data folder.
        pub folder: PathBuf = PathBuf::new();
        /// The bucket, which has to be there.
        pub s3_bucket: String = String::new();
        /// Its region.
        pub s3_region: String = "us-east-1".to_owned();
        /// Where it is reached, such as "http://127.0.0.1:9000"; empty for Amazon's own.
        pub s3_endpoint: String = String::new();
        /// The id of the access key.
        pub s3_access_key_id: String = String::new();
        /// A file that holds the secret access key, and nothing else.
        pub s3_secret_key_file: PathBuf = PathBuf::new();
    }
}

settings! {
    /// Secrets of guilds.
    #[derive(Eq)]
    pub struct SecretsConfig {
        /// The file with the key that they are sealed with; empty takes `secrets.key` in the data folder. It is made where
        /// it is missing. Keep a copy apart from the data: without it the secrets cannot be read.
        pub key_file: PathBuf = PathBuf::new();
    }
}

/// Where the contents of objects are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ObjectBackend {
    /// A folder of this machine.
    Local,
    /// A bucket.
    S3,
}

/// Whether `text` is empty, or the beginning of a URL.
pub(super) fn check_url(key: &'static str, text: &str, example: &str) -> Result<(), BadSetting> {
    let host = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    let fine = |host: &str| !host.is_empty() && !host.contains(|c: char| c.is_whitespace() || c.is_control());
    if text.is_empty() || host.is_some_and(fine) {
        return Ok(());
    }
    Err(BadSetting { key, value: format!("`{text}`"), expected: format!("use an address such as {example}") })
}

impl ObjectsConfig {
    /// A bucket needs more than a folder.
    pub(super) fn validate(&self) -> Result<(), BadSetting> {
        let Self { s3_bucket, s3_access_key_id, s3_secret_key_file, .. } = self;
        let needed = [
            ("s3_bucket", s3_bucket.is_empty()),
            ("s3_access_key_id", s3_access_key_id.is_empty()),
            ("s3_secret_key_file", s3_secret_key_file.as_os_str().is_empty()),
        ];
        let missing = needed.into_iter().find(|(_, missing)| self.backend == ObjectBackend::S3 && *missing);
        if let Some((key, _)) = missing {
            let expected = "set it: the backend is `s3`, which needs it".to_owned();
            return Err(BadSetting { key, value: "empty".to_owned(), expected });
        }
        check_url("s3_endpoint", &self.s3_endpoint, "http://127.0.0.1:9000, or \"\" for Amazon's own")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_needs_its_name_and_its_keys() {
        let mut objects = ObjectsConfig::default();
        assert_eq!(objects.validate(), Ok(()));
        objects.backend = ObjectBackend::S3;
        let text = objects.validate().unwrap_err().to_string();
        assert_eq!(text, "`s3_bucket` is empty: set it: the backend is `s3`, which needs it");
        objects.s3_bucket = "templates".to_owned();
        objects.s3_access_key_id = "id".to_owned();
        assert_eq!(objects.validate().unwrap_err().key, "s3_secret_key_file");
        objects.s3_secret_key_file = PathBuf::from("key");
        assert_eq!(objects.validate(), Ok(()));
        objects.s3_endpoint = "127.0.0.1:9000".to_owned();
        let text = objects.validate().unwrap_err().to_string();
        assert!(
            text.starts_with("`s3_endpoint` is `127.0.0.1:9000`: use an address such as http://"),
            "{text}"
        );
        objects.s3_endpoint = "http://127.0.0.1:9000".to_owned();
        assert_eq!(objects.validate(), Ok(()));
    }
}
