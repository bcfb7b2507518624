//! `ctx.secrets`: which secrets there are. Their values never reach a script.

use super::{Bucket, host_calls};

/// A list of names is as cheap as a store.
const SECRETS: Bucket = Bucket { name: "secrets", burst: 75, every_ms: 1_000 };

host_calls! {
    /// Secrets of the guild, which its admins put in over the HTTP API. A request has `{{secret:NAME}}` where the value of one
    /// is to stand; the host puts it in, for the hosts that the secret is for, and where the URL begins with `https://`.
    pub enum SecretCall in "secrets" {
        /// The names of the secrets that this template may use, in order: those for which it has `secrets:{name}`.
        List "list" () -> "{string}", gated "";
    }
    wants(_call) { Vec::new() }
    buckets [SECRETS];
}
