//! What there is to say about a method of `ctx.Discord`, once: name, arguments, route, result, who may, how often.
//!
//! Owns the columns; the rows are in `methods`. Arguments are decoded, requests made, permissions checked, and types and
//! reference pages written from these rows, so that none of them can differ from another.

use std::collections::BTreeMap;

use khronos::KhronosValue;
use khronos::declare::{Function, Parameter};
use twilight_model::guild::Permissions;

use super::super::calls::{Bucket, Declared};
use super::validate::{Decoded, Field, Invalid};

/// A method.
#[derive(Debug, Clone, Copy)]
pub struct Method {
    /// Its name, which is also that of its capability: `discord:{name}`.
    pub name: &'static str,
    /// What it does, in Markdown; the first sentence stands alone.
    pub doc: &'static str,
    /// What it takes.
    pub takes: Takes,
    /// What it returns, as Luau writes types.
    pub gives: &'static str,
    /// How it is served.
    pub work: Work,
    /// What the bot has to be allowed, beside that everything named belongs to the guild.
    pub needs: &'static [Need],
    /// How often it can be called: the guild's share of all calls first, then its own.
    buckets: [Bucket; 3],
    /// How many of these are its own.
    own_buckets: usize,
    /// Whether it counts to the guild's share.
    pub is_counted: bool,
    /// Whether it takes a capability.
    pub is_gated: bool,
}

/// What a method takes.
#[derive(Debug, Clone, Copy)]
pub struct Takes {
    /// Its arguments.
    pub fields: &'static [Field],
    /// Whether they are given one by one; otherwise as one table.
    pub is_bare: bool,
    /// Whether in place of that table the list does that is its `data`.
    pub is_list: bool,
    /// How scripts see them.
    pub declared: &'static [Parameter],
}

impl Takes {
    /// In place of the table the list does that is its `data`. Types do not tell of it: Luau's checker gives up on a table
    /// that may be either.
    pub const fn or_list(self) -> Self {
        Self { is_list: true, ..self }
    }
}

/// How a method is served.
#[derive(Debug, Clone, Copy)]
pub enum Work {
    /// By a request to Discord.
    Request(Route),
    /// By the host itself.
    Host(HostWork),
}

/// What the host does itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostWork {
    /// Whether a text can be the reason of an entry in the audit log.
    CheckReason,
    /// Whether a user has permissions in the guild.
    CheckPermissions,
    /// The same, and whether the user outranks another.
    CheckHierarchy,
    /// Whether a user has permissions in a channel.
    CheckChannel,
    /// Members with their permissions.
    FusedMember,
    /// What the pace of a bulk operation is.
    BulkOp,
    /// Waits for the next turn of a bulk operation.
    BulkOpWait,
}

/// A request to Discord. An argument goes where it is named: into the path, or the body; `reason` into its header; and all
/// others into the query.
#[derive(Debug, Clone, Copy)]
pub struct Route {
    /// The verb.
    pub verb: Verb,
    /// The path with arguments in braces, and `{guild}` and `{application}`.
    pub path: &'static str,
    /// What the body is made of.
    pub body: Body,
    /// Whether the token in the path stands for who asks, in place of the bot's.
    pub has_own_token: bool,
    /// Whether it asks for somebody who need not be there: then the result is nil.
    pub may_be_nobody: bool,
}

/// The verb of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verb {
    /// Reads.
    Get,
    /// Makes, or does.
    Post,
    /// Sets.
    Put,
    /// Changes.
    Patch,
    /// Takes away.
    Delete,
}

/// What the body of a request is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body {
    /// There is none.
    None,
    /// This argument.
    Argument(&'static str),
    /// A table of these arguments, each under the name that Discord has for it.
    Fields(&'static [(&'static str, &'static str)]),
}

/// What has to hold before a request goes out. Texts are names of arguments.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Need {
    /// The bot may all of this in the guild.
    Guild(Permissions),
    /// The bot may all of this in the channel.
    Channel(&'static str, Permissions),
    /// The bot may read the channel.
    Read(&'static str),
    /// The bot may send to the channel, and what the message holds.
    Send(&'static str),
    /// The bot manages the channel, or thread.
    Manage(&'static str),
    /// The message is the bot's own, or it manages messages.
    OwnMessage,
    /// The bot outranks the user, where that is a member; nobody outranks the owner.
    Outranks(&'static str),
    /// The role is below the bot's highest.
    Below(&'static str),
    /// What the role in `data` may, the bot may.
    GrantedByRole,
    /// What overwrites in `data` allow or deny, the bot may.
    GrantedByOverwrites,
    /// What the arguments `allow` and `deny` change, or the end of an overwrite, the bot may; a role that they are for is
    /// the guild's.
    GrantedByOverwrite,
    /// For each field of the member that changes, what it takes.
    EditMember,
    /// Features change only with ADMINISTRATOR.
    EditGuild,
    /// Roles stay below the bot's highest.
    MoveRoles,
    /// The invite is the guild's; to delete it, the bot manages the guild or the channel.
    Invite {
        /// Whether it is going to be deleted.
        deletes: bool,
    },
    /// The bot manages webhooks in the channel of the webhook, and where it moves.
    ManageWebhook,
    /// The bot manages webhooks in the channel that gets the announcements.
    Follow,
    /// The token was sent to the guild with an interaction.
    InteractionToken,
}

/// So many calls in so many seconds: all of them at once, or spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// Calls.
    pub calls: u32,
    /// Seconds.
    pub seconds: u32,
}

/// `calls` in `seconds`.
pub const fn quota(calls: u32, seconds: u32) -> Quota {
    Quota { calls, seconds }
}

impl Quota {
    /// The rate as the gate counts it.
    const fn bucket(self, name: &'static str) -> Bucket {
        Bucket { name, burst: self.calls, every_ms: self.seconds * 1000 / self.calls }
    }
}

/// The calls of a guild of all methods that count: its share of the 50 a second that Discord allows the bot.
const GUILD_SHARE: Bucket = quota(20, 5).bucket("discord");

impl Method {
    /// A method that asks Discord.
    pub const fn new(name: &'static str, verb: Verb, path: &'static str, doc: &'static str) -> Self {
        let route = Route { verb, path, body: Body::None, has_own_token: false, may_be_nobody: false };
        Self { work: Work::Request(route), ..Self::host(name, HostWork::CheckReason, doc) }
    }

    /// A method that the host serves itself.
    pub const fn host(name: &'static str, work: HostWork, doc: &'static str) -> Self {
        Self {
            name,
            doc,
            takes: Takes { fields: &[], is_bare: true, is_list: false, declared: &[] },
            gives: "()",
            work: Work::Host(work),
            needs: &[],
            buckets: [GUILD_SHARE; 3],
            own_buckets: 0,
            is_counted: true,
            is_gated: true,
        }
    }

    /// Says what it takes.
    pub const fn takes(self, takes: Takes) -> Self {
        Self { takes, ..self }
    }

    /// Says what it returns.
    pub const fn gives(self, gives: &'static str) -> Self {
        Self { gives, ..self }
    }

    /// Says what has to hold.
    pub const fn needs(self, needs: &'static [Need]) -> Self {
        Self { needs, ..self }
    }

    /// Says how often it can be called: up to two quotas.
    pub const fn at_most(mut self, quotas: &'static [Quota]) -> Self {
        while self.own_buckets < quotas.len() {
            self.buckets[self.own_buckets + 1] = quotas[self.own_buckets].bucket(self.name);
            self.own_buckets += 1;
        }
        self
    }

    /// The rates that it counts against.
    pub const fn buckets(&'static self) -> &'static [Bucket] {
        let (its, _) = self.buckets.split_at(self.own_buckets + 1);
        its.split_at(!self.is_counted as usize).1
    }

    /// Says what the body is made of.
    pub const fn body(self, body: Body) -> Self {
        match self.work {
            Work::Request(route) => Self { work: Work::Request(Route { body, ..route }), ..self },
            Work::Host(_) => self,
        }
    }

    /// The body is the argument `data`.
    pub const fn sends_data(self) -> Self {
        self.body(Body::Argument("data"))
    }

    /// The token in the path stands for who asks.
    pub const fn with_own_token(self) -> Self {
        match self.work {
            Work::Request(route) => {
                Self { work: Work::Request(Route { has_own_token: true, ..route }), ..self }
            }
            Work::Host(_) => self,
        }
    }

    /// It asks for somebody who need not be there.
    pub const fn or_nobody(self) -> Self {
        match self.work {
            Work::Request(route) => {
                Self { work: Work::Request(Route { may_be_nobody: true, ..route }), ..self }
            }
            Work::Host(_) => self,
        }
    }

    /// It does not count to the guild's share.
    pub const fn uncounted(self) -> Self {
        Self { is_counted: false, ..self }
    }

    /// It is for an interaction that was sent to the guild: its token stands for who asks, and Discord counts it on its own.
    pub const fn of_interaction(self, quotas: &'static [Quota]) -> Self {
        self.needs(&[Need::InteractionToken]).with_own_token().uncounted().at_most(quotas)
    }

    /// It takes no capability.
    pub const fn ungated(self) -> Self {
        Self { is_gated: false, ..self }
    }

    /// How scripts see it.
    pub const fn declare(&'static self) -> Declared {
        let function =
            Function { name: self.name, doc: self.doc, parameters: self.takes.declared, returns: self.gives };
        let capability = if self.is_gated { "discord:{method}" } else { "" };
        let changes = matches!(self.work, Work::Request(route) if !matches!(route.verb, Verb::Get));
        Declared { function, capability, buckets: self.buckets(), changes }
    }

    /// What a template needs to be allowed: the text of a capability.
    pub fn capability(&self) -> Option<String> {
        self.is_gated.then(|| format!("discord:{}", self.name))
    }

    /// The arguments as they came, checked.
    ///
    /// # Errors
    /// What is wrong with them, for the author.
    pub fn decode(&self, arguments: Vec<KhronosValue>) -> Result<Decoded, Invalid> {
        let most = self.takes.declared.len();
        if arguments.len() > most {
            let problem = format!("has {} arguments: expected at most {most}", arguments.len());
            return Err(Invalid { path: self.name.to_owned(), problem });
        }
        if self.takes.is_bare {
            let names = self.takes.fields.iter().map(|field| field.name.to_owned());
            let table: BTreeMap<_, _> = names.zip(arguments).collect();
            return Decoded::of(self.takes.fields, &table);
        }
        match arguments.into_iter().next() {
            Some(KhronosValue::Map(table)) => Decoded::of(self.takes.fields, &table),
            Some(list @ KhronosValue::List(_)) if self.takes.is_list => {
                Decoded::of(self.takes.fields, &BTreeMap::from([("data".to_owned(), list)]))
            }
            None | Some(KhronosValue::Null) => Decoded::of(self.takes.fields, &BTreeMap::new()),
            Some(_) => {
                let names: Vec<_> = self.takes.fields.iter().map(|field| field.name).collect();
                let problem = format!("takes one table with the fields {}", names.join(", "));
                Err(Invalid { path: self.name.to_owned(), problem })
            }
        }
    }
}

/// What a method takes: `takes!({ channel_id: "string" = Rule::Id(Thing::Channel), "The channel."; })` for a table,
/// `takes!(optional { .. })` for one that can be left out, and `takes!(bare { .. })` for arguments one by one.
macro_rules! takes {
    (bare { $( $name:ident : $ty:literal = $rule:expr, $doc:literal; )* }) => {
        $crate::host::discord::table::Takes {
            is_bare: true,
            is_list: false,
            declared: &[ $( khronos::declare::Parameter { name: stringify!($name), ty: $ty, doc: $doc }, )* ],
            fields: takes!(@fields $( $name: $ty = $rule, $doc; )*),
        }
    };
    (optional { $( $name:ident : $ty:literal = $rule:expr, $doc:literal; )* }) => {
        takes!(@table "}?", $( $name: $ty = $rule, $doc; )*)
    };
    ({ $( $name:ident : $ty:literal = $rule:expr, $doc:literal; )* }) => {
        takes!(@table "}", $( $name: $ty = $rule, $doc; )*)
    };
    (@table $end:literal, $( $name:ident : $ty:literal = $rule:expr, $doc:literal; )*) => {
        $crate::host::discord::table::Takes {
            is_bare: false,
            is_list: false,
            declared: &[khronos::declare::Parameter {
                name: "options",
                ty: concat!("{ ", $( stringify!($name), ": ", $ty, ", ", )* $end),
                doc: concat!($( "`", stringify!($name), "`: ", $doc, " ", )*),
            }],
            fields: takes!(@fields $( $name: $ty = $rule, $doc; )*),
        }
    };
    (@fields $( $name:ident : $ty:literal = $rule:expr, $doc:literal; )*) => {
        &[ $( $crate::host::discord::validate::Field { name: stringify!($name), ty: $ty, rule: $rule, doc: $doc }, )* ]
    };
}
pub(crate) use takes;
