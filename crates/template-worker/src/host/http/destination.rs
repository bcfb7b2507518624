//! Where a request may go, as far as its URL says so.
//!
//! Owns the rules of schemes, ports and host names, and what a capability for a host is compared with. Which addresses a
//! host may have is for `addresses`.

use reqwest::Url;

use super::error::{HttpError, shortened};
use crate::capabilities::Capabilities;

/// Most bytes of a URL.
pub const MOST_URL_BYTES: usize = 8 * 1024;

/// Ends of names that no public host has, whatever a resolver says.
const NOT_PUBLIC: [&str; 8] =
    ["localhost", "local", "internal", "intranet", "home.arpa", "onion", "invalid", "cluster.local"];
/// Discord's API answers there, and counts this machine's mistakes for all guilds together.
const DISCORD: [&str; 2] = ["discord.com", "discordapp.com"];
/// Files that users uploaded, and no API.
const DISCORD_FILES: &str = "cdn.discordapp.com";

/// What the capabilities of a template say about a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Permit {
    /// No request may go there.
    None,
    /// Every host was allowed, and with it this one.
    Any,
    /// This host was allowed by its name.
    Named,
}

impl Permit {
    /// What `capabilities` say about `host`.
    pub fn of(capabilities: &Capabilities, host: &str) -> Self {
        let wanted = capability_for(host);
        if capabilities.iter().any(|held| held.as_str() == wanted) {
            Self::Named
        } else if capabilities.allows(&wanted) {
            Self::Any
        } else {
            Self::None
        }
    }
}

/// The capability that a request to `host` needs.
pub fn capability_for(host: &str) -> String {
    format!("http:{host}")
}

/// A URL that has the form of one that may be requested.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    url: Url,
    host: String,
}

impl Destination {
    /// Takes `text` apart. Its host is what `capability_for` and the operator's list are asked about: in lower case, with
    /// international names in their ASCII form.
    ///
    /// # Errors
    /// Where it is no URL, or one that nobody may request.
    pub fn parse(text: &str, ports: &[u16]) -> Result<Self, HttpError> {
        let refused = |why: &str| HttpError::Url { url: shortened(text), why: why.to_owned() };
        if text.len() > MOST_URL_BYTES {
            return Err(refused("it is longer than 8,192 bytes"));
        }
        let mut url = Url::parse(text).map_err(|error| refused(&error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(refused("use `https://` or `http://`"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(refused("leave user and password out; an `Authorization` header says who is asking"));
        }
        if url.port().is_some_and(|port| !ports.contains(&port)) {
            return Err(refused("leave the port out; only those of http and https can be reached"));
        }
        let Some(host) = url.domain().map(ToOwned::to_owned) else {
            return Err(refused("use the name of a host, not an address"));
        };
        is_public_name(&host).map_err(refused)?;
        if url.as_str().len() > MOST_URL_BYTES {
            return Err(refused("it is longer than 8,192 bytes where its characters are percent-encoded"));
        }
        url.set_fragment(None);
        Ok(Self { url, host })
    }

    /// The same, whatever its port: for asking about its host.
    pub fn parse_any_port(text: &str) -> Option<Self> {
        let port = Url::parse(text).ok().and_then(|url| url.port());
        Self::parse(text, port.as_slice()).ok()
    }

    /// The host, as capabilities name it.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Whether what is sent there is encrypted on its way.
    pub(super) fn is_private(&self) -> bool {
        self.url.scheme() == "https"
    }

    pub(super) fn url(&self) -> &Url {
        &self.url
    }

    /// Whether a request may go there, for a template with this `permit` in a service with this list of `denied` hosts.
    /// The list holds back what was allowed with every other host; naming a host in a capability is stronger.
    ///
    /// # Errors
    /// Where it may not.
    pub fn check(&self, permit: Permit, denied: &[String]) -> Result<(), HttpError> {
        let (host, within) = (self.host.as_str(), |domain: &str| is_within(&self.host, domain));
        if host != DISCORD_FILES && DISCORD.into_iter().any(within) {
            return Err(HttpError::Discord { host: host.to_owned() });
        }
        match permit {
            Permit::None => Err(HttpError::NotAllowed { host: host.to_owned() }),
            Permit::Any if is_denied(host, denied) => Err(HttpError::Denied { host: host.to_owned() }),
            Permit::Any | Permit::Named => Ok(()),
        }
    }
}

/// Whether `host` is one that a request could go to, written as capabilities write it.
///
/// # Errors
/// What is wrong with it.
pub fn check_host(host: &str) -> Result<(), &'static str> {
    // A URL shows what else the text could mean, such as an address in disguise.
    let url = Url::parse(&format!("https://{host}/")).map_err(|_| "it has characters that no host has")?;
    if url.domain() != Some(host) {
        return Err("use its name alone, in lower case, without scheme, port or path");
    }
    is_public_name(host)
}

/// Whether `host` is on the operator's list, for which `http:*` is not enough.
pub fn is_denied(host: &str, denied: &[String]) -> bool {
    denied.iter().any(|domain| is_within(host, domain))
}

/// Whether `host` is `domain` or a name inside of it.
fn is_within(host: &str, domain: &str) -> bool {
    host.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// Whether a public host could have this name; the error says what to use.
fn is_public_name(host: &str) -> Result<(), &'static str> {
    if host.ends_with('.') {
        return Err("leave the dot at the end of the host out");
    }
    let label = |label: &str| {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        (1..=63).contains(&label.len())
            && label.bytes().all(plain)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if host.len() > 253 || !host.split('.').all(label) {
        return Err("its host is no name of letters, digits and hyphens between dots");
    }
    if !host.contains('.') || NOT_PUBLIC.into_iter().any(|end| is_within(host, end)) {
        return Err("its host is not one of the public internet");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Result<Destination, HttpError> {
        Destination::parse(url, &[80, 443])
    }

    fn host(url: &str) -> String {
        parse(url).unwrap_or_else(|error| panic!("{url}: {error}")).host().to_owned()
    }

    #[test]
    fn a_host_has_one_form_however_it_is_written() {
        for url in [
            "https://api.example.com/v1?q=1#part",
            "http://API.Example.COM",
            "https://api.example.com:443/",
            "http://api.example.com:80",
            "https://api%2Eexample.com/",
            "https://ａｐｉ.example.com/",
            "https:\\\\api.example.com\\path",
            " https://api.example.com/ ",
            "https://api.exa\nmple.com/",
        ] {
            assert_eq!(host(url), "api.example.com", "{url}");
        }
        assert_eq!(host("https://bücher.example/"), "xn--bcher-kva.example");
        assert_eq!(host("https://xn--bcher-kva.example/"), "xn--bcher-kva.example");
    }

    #[test]
    fn what_is_no_public_url_is_refused() {
        for url in [
            "",
            "api.example.com",
            "/path",
            "ftp://api.example.com/",
            "file:///etc/passwd",
            "gopher://api.example.com",
            "data:text/plain,x",
            "ws://api.example.com",
            "http://",
            "https://user@api.example.com/",
            "https://:secret@api.example.com/",
            "https://api.example.com@evil.example/",
            "http://api.example.com:8080/",
            "https://api.example.com:22/",
            "http://127.0.0.1/",
            "http://127.1/",
            "http://2130706433/",
            "http://0x7f.0.0.1/",
            "http://0177.0.0.1/",
            "http://①②⑦.0.0.1/",
            "http://[::1]/",
            "http://[::ffff:127.0.0.1]/",
            "http://8.8.8.8/",
            "http://localhost/",
            "http://LOCALHOST/",
            "http://a.localhost/",
            "http://localhost./",
            "http://router/",
            "http://metadata/",
            "http://db.local/",
            "http://metadata.google.internal/",
            "http://db.default.svc.cluster.local/",
            "http://router.home.arpa/",
            "https://api.example.com./",
            "https://api..example.com/",
            "https://.example.com/",
            "https://-a.example.com/",
            "https://a_b.example.com/",
            "https://*.example.com/",
            "https://a b.example.com/",
            "https://a%00.example.com/",
            "https://a%2fb.example.com/",
            "https://1.2.3.4.5/",
        ] {
            let error = parse(url).err().unwrap_or_else(|| panic!("{url:?} was taken"));
            assert!(matches!(error, HttpError::Url { .. }), "{url}: {error:?}");
        }
        let long = format!("https://api.example.com/{}", "x".repeat(MOST_URL_BYTES));
        assert!(parse(&long).unwrap_err().to_string().len() < 300, "the error holds all of it");
        let grows = format!("https://api.example.com/{}", "ü".repeat(MOST_URL_BYTES / 3));
        assert!(parse(&grows).is_err());
        assert!(parse(&format!("https://{}.example.com/", "a".repeat(64))).is_err());
        assert!(Destination::parse("http://api.example.com:8080/", &[80, 443, 8080]).is_ok());
    }

    #[test]
    fn a_fragment_stays_here() {
        assert_eq!(
            parse("https://api.example.com/a?b#c").unwrap().url().as_str(),
            "https://api.example.com/a?b"
        );
    }

    fn permit(capabilities: &[&str], host: &str) -> Permit {
        Permit::of(&capabilities.iter().map(|text| text.parse().unwrap()).collect(), host)
    }

    #[test]
    fn a_capability_is_for_exactly_its_host() {
        let held = ["http:api.example.com"];
        assert_eq!(permit(&held, "api.example.com"), Permit::Named);
        for other in ["example.com", "a.api.example.com", "xapi.example.com", "api.example.com.evil.example"]
        {
            assert_eq!(permit(&held, other), Permit::None, "{other}");
        }
        assert_eq!(permit(&["http:*"], "api.example.com"), Permit::Any);
        assert_eq!(permit(&["*"], "api.example.com"), Permit::Any);
        assert_eq!(permit(&["*", "http:api.example.com"], "api.example.com"), Permit::Named);
        assert_eq!(permit(&["kv:*"], "api.example.com"), Permit::None);
    }

    #[test]
    fn a_denied_host_needs_its_name_in_a_capability() {
        let denied = ["reddit.com".to_owned(), "t.co".to_owned()];
        let check = |url: &str, permit| parse(url).unwrap().check(permit, &denied);
        for url in ["https://reddit.com/r/x", "https://www.reddit.com/", "https://t.co/x"] {
            assert!(matches!(check(url, Permit::Any), Err(HttpError::Denied { .. })), "{url}");
            assert_eq!(check(url, Permit::Named), Ok(()), "{url}");
            assert!(matches!(check(url, Permit::None), Err(HttpError::NotAllowed { .. })), "{url}");
        }
        for url in ["https://notreddit.com/", "https://at.co/", "https://reddit.com.example.org/"] {
            assert_eq!(check(url, Permit::Any), Ok(()), "{url}");
        }
    }

    #[test]
    fn discords_api_is_never_reached_this_way() {
        for url in [
            "https://discord.com/api/v10/users/@me",
            "https://canary.discord.com/",
            "https://discordapp.com/api",
            "https://x.cdn.discordapp.com/",
        ] {
            let error = parse(url).unwrap().check(Permit::Named, &[]).unwrap_err();
            assert!(error.to_string().contains("ctx.Discord"), "{error}");
        }
        assert_eq!(parse("https://cdn.discordapp.com/a.png").unwrap().check(Permit::Named, &[]), Ok(()));
    }
}
