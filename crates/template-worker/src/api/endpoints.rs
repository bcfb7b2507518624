//! Every endpoint of the API by method and path, and who may use it. Tests compare it with the routes, with the OpenAPI
//! document, and with what a request without a token gets.
//!
//! Owns the list alone; the routes are in `api`, and the right that a handler demands stands in its signature.

use crate::storage::Right;

/// Who may use an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Anyone, without a token.
    Public,
    /// Admins, and the guild in the path with this right.
    Guild(Right),
    /// Admins.
    Admin,
}

/// An endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Endpoint {
    /// The HTTP method, in capitals.
    pub method: &'static str,
    /// The path, with its parameters in braces.
    pub path: &'static str,
    /// Who may use it.
    pub access: Access,
}

const fn endpoint(method: &'static str, path: &'static str, access: Access) -> Endpoint {
    Endpoint { method, path, access }
}

/// Every endpoint.
#[rustfmt::skip]
pub const ENDPOINTS: &[Endpoint] = &[
    endpoint("GET", "/healthz", Access::Public),
    endpoint("GET", "/readyz", Access::Public),
    endpoint("GET", "/metrics", Access::Public),
    endpoint("GET", "/openapi.json", Access::Public),
    endpoint("GET", "/docs", Access::Public),
    endpoint("GET", "/objects/{token}", Access::Public),
    endpoint("GET", "/api/v1/guilds/{guild_id}/templates", Access::Guild(Right::TemplatesRead)),
    endpoint("PUT", "/api/v1/guilds/{guild_id}/templates/{name}", Access::Guild(Right::TemplatesWrite)),
    endpoint("GET", "/api/v1/guilds/{guild_id}/templates/{name}", Access::Guild(Right::TemplatesRead)),
    endpoint("PATCH", "/api/v1/guilds/{guild_id}/templates/{name}", Access::Guild(Right::TemplatesWrite)),
    endpoint("DELETE", "/api/v1/guilds/{guild_id}/templates/{name}", Access::Guild(Right::TemplatesWrite)),
    endpoint("GET", "/api/v1/guilds/{guild_id}/templates/{name}/versions", Access::Guild(Right::TemplatesRead)),
    endpoint("GET", "/api/v1/guilds/{guild_id}/templates/{name}/quarantine", Access::Guild(Right::TemplatesRead)),
    endpoint("DELETE", "/api/v1/guilds/{guild_id}/templates/{name}/quarantine", Access::Guild(Right::TemplatesWrite)),
    endpoint("POST", "/api/v1/guilds/{guild_id}/events", Access::Guild(Right::EventsDispatch)),
    endpoint("GET", "/api/v1/guilds/{guild_id}/vm", Access::Guild(Right::VmManage)),
    endpoint("DELETE", "/api/v1/guilds/{guild_id}/vm", Access::Guild(Right::VmManage)),
    endpoint("POST", "/api/v1/guilds/{guild_id}/vm/actions", Access::Guild(Right::VmManage)),
    endpoint("GET", "/api/v1/guilds/{guild_id}/limits", Access::Guild(Right::TemplatesRead)),
    endpoint("PUT", "/api/v1/guilds/{guild_id}/limits", Access::Admin),
    endpoint("GET", "/api/v1/guilds/{guild_id}/kv", Access::Guild(Right::KvRead)),
    endpoint("GET", "/api/v1/guilds/{guild_id}/kv/{key}", Access::Guild(Right::KvRead)),
    endpoint("PUT", "/api/v1/guilds/{guild_id}/kv/{key}", Access::Guild(Right::KvWrite)),
    endpoint("DELETE", "/api/v1/guilds/{guild_id}/kv/{key}", Access::Guild(Right::KvWrite)),
    endpoint("GET", "/api/v1/guilds/{guild_id}/expiries", Access::Guild(Right::KvRead)),
    endpoint("POST", "/api/v1/guilds/{guild_id}/expiries/{id}/retry", Access::Guild(Right::KvWrite)),
    endpoint("GET", "/api/v1/guilds/{guild_id}/secrets", Access::Guild(Right::SecretsWrite)),
    endpoint("PUT", "/api/v1/guilds/{guild_id}/secrets/{name}", Access::Guild(Right::SecretsWrite)),
    endpoint("DELETE", "/api/v1/guilds/{guild_id}/secrets/{name}", Access::Guild(Right::SecretsWrite)),
    endpoint("GET", "/api/v1/threads", Access::Admin),
    endpoint("DELETE", "/api/v1/threads/{id}", Access::Admin),
    endpoint("POST", "/api/v1/threads/{id}/ping", Access::Admin),
    endpoint("GET", "/api/v1/vms", Access::Admin),
    endpoint("POST", "/api/v1/vms/evict-idle", Access::Admin),
    endpoint("GET", "/api/v1/tokens", Access::Admin),
    endpoint("POST", "/api/v1/tokens", Access::Admin),
    endpoint("DELETE", "/api/v1/tokens/{id}", Access::Admin),
];

#[cfg(test)]
mod tests {
    use super::*;

    /// Adding to this list opens something to everyone.
    const WITHOUT_TOKEN: [&str; 6] =
        ["/healthz", "/readyz", "/metrics", "/openapi.json", "/docs", "/objects/{token}"];

    /// What a guild must not do with itself.
    const OF_A_GUILD_FOR_ADMINS: [(&str, &str); 1] = [("PUT", "/api/v1/guilds/{guild_id}/limits")];

    #[test]
    fn exactly_these_endpoints_need_no_token() {
        let public = ENDPOINTS.iter().filter(|endpoint| endpoint.access == Access::Public);
        assert_eq!(public.map(|endpoint| endpoint.path).collect::<Vec<_>>(), WITHOUT_TOKEN);
    }

    #[test]
    fn who_may_use_an_endpoint_fits_its_path() {
        for endpoint in ENDPOINTS {
            let of_a_guild = endpoint.path.starts_with("/api/v1/guilds/{guild_id}/");
            let fits = match endpoint.access {
                Access::Public => !endpoint.path.starts_with("/api/"),
                Access::Guild(_) => of_a_guild,
                Access::Admin => {
                    !of_a_guild || OF_A_GUILD_FOR_ADMINS.contains(&(endpoint.method, endpoint.path))
                }
            };
            assert!(fits, "{endpoint:?}");
        }
    }
}
