//! The process's environment, read once, here and nowhere else.
//!
//! Owns which variables are ours. Which of them are keys of the configuration, and what they may say, is `load`'s
//! business.

use std::collections::BTreeMap;
use std::fmt;

const PREFIX: &str = "TEMPLATE_WORKER_";
const ADMIN_TOKEN: &str = "TEMPLATE_WORKER_ADMIN_TOKEN";
const TOKEN: &str = "TEMPLATE_WORKER_TOKEN";
const URL: &str = "TEMPLATE_WORKER_URL";

/// The variables whose names start with `TEMPLATE_WORKER_`.
#[derive(Clone, Default)]
pub struct Environment {
    variables: BTreeMap<String, String>,
}

impl Environment {
    /// What this process was started with.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
    pub fn of_process() -> Self {
        // What isn't UTF-8 becomes text that no key accepts, so that the error names the variable.
        std::env::vars_os()
            .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
            .collect()
    }

    /// How many variables this process was started with, ours or not.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
    pub fn size_of_process() -> usize {
        std::env::vars_os().count()
    }

    /// The admin token that the operator chose, for the first start; an empty one counts as none.
    pub fn admin_token(&self) -> Option<&str> {
        self.secret(ADMIN_TOKEN)
    }

    /// The token that commands send to a running service.
    pub fn token(&self) -> Option<&str> {
        self.secret(TOKEN)
    }

    /// Where commands find a running service.
    pub fn url(&self) -> Option<&str> {
        self.secret(URL)
    }

    /// The variables that set keys of the configuration: name, dotted key, value.
    pub(super) fn keys(&self) -> impl Iterator<Item = (&str, String, &str)> {
        self.variables.iter().filter_map(|(name, value)| {
            let key = name.strip_prefix(PREFIX)?;
            let other = [ADMIN_TOKEN, TOKEN, URL].contains(&name.as_str()) || is_service_link(key);
            (!other).then(|| (name.as_str(), key.to_lowercase().replace("__", "."), value.as_str()))
        })
    }

    /// The variable that sets `key`.
    pub(super) fn variable(key: &str) -> String {
        format!("{PREFIX}{}", key.to_uppercase().replace('.', "__"))
    }

    fn secret(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(|value| value.trim()).filter(|value| !value.is_empty())
    }
}

/// Kubernetes sets such variables in every pod beside a service called `template-worker`; they aren't typos.
fn is_service_link(key: &str) -> bool {
    key == "PORT" || key.starts_with("PORT_") || key == "SERVICE_HOST" || key.starts_with("SERVICE_PORT")
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(variables: I) -> Self {
        let ours = |(name, value): (N, V)| {
            let name = name.into();
            name.starts_with(PREFIX).then(|| (name, value.into()))
        };
        Self { variables: variables.into_iter().filter_map(ours).collect() }
    }
}

/// Shows names only: two of the values are secrets.
impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.variables.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_read_but_are_not_keys_and_are_never_shown() {
        let environment: Environment =
            [(ADMIN_TOKEN, " s3cret "), (TOKEN, "t0ken"), (URL, ""), ("PATH", "/bin")].into_iter().collect();
        assert_eq!(environment.admin_token(), Some("s3cret"));
        assert_eq!(environment.token(), Some("t0ken"));
        assert_eq!(environment.url(), None);
        assert_eq!(environment.keys().count(), 0);
        let shown = format!("{environment:?}");
        assert!(!shown.contains("s3cret") && !shown.contains("t0ken"), "{shown}");
    }

    #[test]
    fn a_variable_becomes_a_dotted_key_and_back() {
        let environment: Environment = [("TEMPLATE_WORKER_VM__THREADS", "3")].into_iter().collect();
        let keys: Vec<_> = environment.keys().collect();
        assert_eq!(keys, [("TEMPLATE_WORKER_VM__THREADS", "vm.threads".to_owned(), "3")]);
        assert_eq!(Environment::variable("vm.threads"), "TEMPLATE_WORKER_VM__THREADS");
    }

    #[test]
    fn what_kubernetes_sets_for_a_service_of_our_name_is_left_alone() {
        let links = ["PORT", "PORT_7700_TCP_ADDR", "SERVICE_HOST", "SERVICE_PORT", "SERVICE_PORT_HTTP"];
        let environment: Environment = links.iter().map(|name| (format!("{PREFIX}{name}"), "x")).collect();
        assert_eq!(environment.keys().count(), 0);
    }
}
