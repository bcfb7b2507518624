//! A Discord for tests: the REST API (v10) on a free port of the loopback interface, with guilds that tests build.
//!
//! Owns [`Discord`], the handle: it starts and stops the server, and lets tests prepare, look, and make things go
//! wrong. It behaves by Discord's documentation and checks permissions itself, and it holds every request and every
//! reply against Discord's own description: what differs fails the test when the handle is dropped, unless the test
//! took it with [`Discord::take_violations`].
//!
//! ```
//! # #[tokio::main] async fn main() {
//! use testkit::discord::{Discord, permissions};
//!
//! let discord = Discord::start().await;
//! discord
//!     .guild(1)
//!     .role(20, |role| role.permissions = permissions::BAN_MEMBERS)
//!     .member(3, |member| member.roles.push(20.into()))
//!     .channel(40, |channel| channel.name = "general".to_owned());
//! // The service under test is given `discord.address()` and `discord.token()`.
//! assert_eq!(discord.messages(40).len(), 0);
//! # }
//! ```

mod audit;
mod body;
mod builder;
mod errors;
mod events;
mod faults;
mod models;
mod openapi;
pub mod permissions;
mod rate_limits;
mod records;
mod routes;
mod server;
mod state;
mod world;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::{Method, RequestBuilder};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

pub use audit::Entry;
pub use body::{Body, File};
pub use builder::GuildBuilder;
pub use faults::Fault;
pub use openapi::{Problem, reduce};
pub use rate_limits::Limit;
pub use records::{
    Channel, Guild, Interaction, Invite, Member, Message, Overwrite, OverwriteKind, Reaction, Role, Thread,
    User, Webhook,
};
pub use state::{Id, State};
pub use world::Received;

use server::Shared;
use world::World;

/// The bot, which is also the application.
pub const BOT: u64 = 700_000_000_000_000_001;
/// Who owns a guild that a test doesn't give to somebody else.
pub const OWNER: u64 = 700_000_000_000_000_002;

/// What the bot's token is.
const TOKEN: &str = "NzAwMDAwMDAwMDAwMDAwMDAx.simulated.token";

/// A Discord that runs until it is dropped.
pub struct Discord {
    shared: Arc<Shared>,
    address: std::net::SocketAddr,
    client: reqwest::Client,
    /// Its own, so that it answers while the test's runtime is blocked or its clock is paused.
    runtime: Option<Runtime>,
}

impl Discord {
    /// Starts a Discord with a bot and no guild.
    pub async fn start() -> Self {
        let world = Mutex::new(World::new(Id(BOT), TOKEN));
        let shared = Arc::new(Shared { world, openapi: openapi::OpenApi::load() });
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let served = Arc::clone(&shared);
        let started = runtime.spawn(async move {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            tokio::spawn(server::serve(served, listener));
            address
        });
        let address = started.await.unwrap();
        Self { shared, address, client: crate::client(), runtime: Some(runtime) }
    }

    /// Host and port, such as `127.0.0.1:41234`: what twilight's `proxy` takes.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// The base of the API's addresses, such as `http://127.0.0.1:41234/api/v10`.
    pub fn url(&self) -> String {
        format!("http://{}/api/v10", self.address)
    }

    /// The bot's token.
    pub fn token(&self) -> String {
        TOKEN.to_owned()
    }

    /// A request with the bot's token; `path` starts with a slash and has no version.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.anonymous(method, path).header("authorization", format!("Bot {TOKEN}"))
    }

    /// A request without a token.
    pub fn anonymous(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.url())).timeout(Duration::from_secs(60))
    }

    /// Looks at the state, or changes it behind Discord's back.
    pub fn with<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        let mut world = self.shared.lock();
        world.state.now = world.wall();
        look(&mut world.state)
    }

    /// The guild, made with the bot and its owner in it if there is none yet, to be built further.
    pub fn guild(&self, id: impl Into<Id>) -> GuildBuilder<'_> {
        GuildBuilder::of(self, id.into())
    }

    /// The messages of a channel, oldest first.
    pub fn messages(&self, channel: impl Into<Id>) -> Vec<Message> {
        let channel = channel.into();
        self.with(|state| state.messages.get(&channel).map(|all| all.values().cloned().collect()))
            .unwrap_or_default()
    }

    /// The banned of a guild, with the reasons.
    pub fn bans(&self, guild: impl Into<Id>) -> Vec<(Id, Option<String>)> {
        self.look(guild.into(), |guild| guild.bans.clone()).into_iter().collect()
    }

    /// What was done in a guild, oldest first.
    pub fn audit_log(&self, guild: impl Into<Id>) -> Vec<Entry> {
        self.look(guild.into(), |guild| guild.audit_log.clone())
    }

    /// A member of a guild.
    pub fn member(&self, guild: impl Into<Id>, user: impl Into<Id>) -> Option<Member> {
        let user = user.into();
        self.look(guild.into(), |guild| guild.members.get(&user).cloned())
    }

    /// A role of a guild.
    pub fn role(&self, guild: impl Into<Id>, role: impl Into<Id>) -> Option<Role> {
        let role = role.into();
        self.look(guild.into(), |guild| guild.roles.get(&role).cloned())
    }

    /// A channel.
    pub fn channel(&self, id: impl Into<Id>) -> Option<Channel> {
        let id = id.into();
        self.with(|state| state.channels.get(&id).cloned())
    }

    fn look<T>(&self, guild: Id, look: impl FnOnce(&Guild) -> T) -> T {
        self.with(|state| look(state.guilds.get(&guild).expect("the test built this guild")))
    }

    /// Every route that is served: method and path as Discord writes them.
    pub fn routes() -> Vec<(&'static str, &'static str)> {
        routes::all().map(|route| (route.method, route.path)).collect()
    }

    /// Everything that arrived, in order, with what was refused and what met a fault.
    pub fn requests(&self) -> Vec<Received> {
        self.shared.lock().received.clone()
    }

    /// The same as lines: `POST /channels/7/messages`.
    pub fn request_lines(&self) -> Vec<String> {
        self.requests().iter().map(Received::line).collect()
    }

    /// Forgets what arrived.
    pub fn forget_requests(&self) {
        self.shared.lock().received.clear();
    }

    /// In what requests and replies differed from Discord's description, with operation and place.
    pub fn violations(&self) -> Vec<String> {
        self.shared.lock().violations.clone()
    }

    /// The same, and forgets them: for a test that sends what is wrong.
    pub fn take_violations(&self) -> Vec<String> {
        std::mem::take(&mut self.shared.lock().violations)
    }

    /// The next `times` requests to a route meet `fault`: the path as Discord writes it,
    /// `/channels/{channel_id}/messages`. `*` as method or path is any.
    pub fn fail(&self, method: &str, path: &str, times: usize, fault: Fault) {
        assert!(times > 0, "a fault happens once at least");
        assert!(path == "*" || routes::all().any(|route| route.path == path), "no route has the path {path}");
        self.shared.lock().faults.add(method, path, times, fault);
    }

    /// How many faults still wait for a request.
    pub fn faults_left(&self) -> usize {
        self.shared.lock().faults.left()
    }

    /// Gives a route this limit for each channel, guild or webhook.
    pub fn limit(&self, method: &str, path: &str, limit: Limit) {
        assert!(routes::all().any(|route| route.is(method, path)), "there is no route {method} {path}");
        self.shared.lock().limits.routes.insert((method.to_owned(), path.to_owned()), limit);
    }

    /// Gives the bot this limit for all routes together, in place of 50 a second.
    pub fn limit_all(&self, limit: Limit) {
        self.shared.lock().limits.global = limit;
    }

    /// How many invalid requests (401, 403, 429) lock the address out, in place of 10,000 in ten minutes.
    pub fn limit_invalid(&self, limit: Limit) {
        self.shared.lock().limits.invalid = limit;
    }

    /// How many invalid requests (401, 403, 429) came in the present window.
    pub fn invalid_requests(&self) -> u32 {
        let world = self.shared.lock();
        world.limits.invalid(world.now())
    }

    /// Pushes Discord's clock forward, on which limits, timeouts and the age of messages are counted. Interactions age
    /// by this alone.
    pub fn advance(&self, by: Duration) {
        self.shared.lock().advance(by);
    }
}

impl Drop for Discord {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
        if !std::thread::panicking() {
            let violations = self.violations();
            assert!(violations.is_empty(), "not as Discord describes it:\n{}", violations.join("\n"));
        }
    }
}
