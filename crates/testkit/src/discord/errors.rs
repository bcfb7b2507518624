//! Discord's errors: status, code and text, as its documentation lists them.

use serde_json::{Value, json};

/// A request that Discord refuses.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The status.
    pub status: u16,
    /// The body.
    pub body: Value,
}

fn failure(status: u16, code: u32, message: &str) -> Failure {
    Failure { status, body: json!({"message": message, "code": code}) }
}

macro_rules! errors {
    ($($name:ident = $status:literal, $code:literal, $message:literal;)*) => {
        $(
            #[doc = concat!("Error ", stringify!($code), ": ", $message, ".")]
            pub(super) fn $name() -> Failure {
                failure($status, $code, $message)
            }
        )*
    };
}

errors! {
    unauthorised = 401, 0, "401: Unauthorized";
    no_such_route = 404, 0, "404: Not Found";
    unknown_channel = 404, 10003, "Unknown Channel";
    unknown_guild = 404, 10004, "Unknown Guild";
    unknown_invite = 404, 10006, "Unknown Invite";
    unknown_member = 404, 10007, "Unknown Member";
    unknown_message = 404, 10008, "Unknown Message";
    unknown_overwrite = 404, 10009, "Unknown permission overwrite";
    unknown_role = 404, 10011, "Unknown Role";
    unknown_user = 404, 10013, "Unknown User";
    unknown_emoji = 400, 10014, "Unknown Emoji";
    unknown_webhook = 404, 10015, "Unknown Webhook";
    unknown_ban = 404, 10026, "Unknown Ban";
    unknown_interaction = 404, 10062, "Unknown interaction";
    unknown_command = 404, 10063, "Unknown application command";
    unknown_rule = 404, 10066, "Unknown auto moderation rule";
    not_your_application = 403, 20012, "You are not authorized to perform this action on this application";
    too_many_roles = 400, 30005, "Maximum number of guild roles reached (250)";
    too_many_webhooks = 400, 30007, "Maximum number of webhooks reached (15)";
    too_many_reactions = 400, 30010, "Maximum number of reactions reached (20)";
    too_many_commands = 400, 30032, "Maximum number of application commands reached";
    too_many_channels = 400, 30013, "Maximum number of guild channels reached (500)";
    not_in_voice = 400, 40032, "Target user is not connected to voice";
    already_crossposted = 400, 40033, "This message has already been crossposted";
    already_acknowledged = 400, 40060, "Interaction has already been acknowledged";
    missing_access = 403, 50001, "Missing Access";
    not_a_text_channel = 400, 50008, "Cannot send messages in a non-text channel";
    not_yours_to_edit = 403, 50005, "Cannot edit a message authored by another user";
    empty_message = 400, 50006, "Cannot send an empty message";
    not_in_this_channel = 400, 50024, "Cannot execute action on this channel type";
    missing_permissions = 403, 50013, "Missing Permissions";
    invalid_webhook_token = 401, 50027, "Invalid Webhook Token";
    invalid_role = 400, 50028, "Invalid role";
    too_old_for_bulk = 400, 50034, "A message provided was too old to bulk delete";
    thread_archived = 400, 50083, "Thread is archived";
    nobody_banned = 400, 500_000, "Failed to ban users";
}

/// A form with one wrong field: `path` is where, with dots, `code` and `message` are Discord's.
pub(super) fn invalid_field(path: &str, code: &str, message: &str) -> Failure {
    let inner = json!({"_errors": [{"code": code, "message": message}]});
    let errors = path.rsplit('.').fold(inner, |inner, key| json!({ key: inner }));
    invalid_form(&errors)
}

/// A form with wrong fields.
pub(super) fn invalid_form(errors: &Value) -> Failure {
    Failure { status: 400, body: json!({"message": "Invalid Form Body", "code": 50035, "errors": errors}) }
}

/// What comes when too many requests have: `retry_after` in seconds.
pub(super) fn rate_limited(retry_after: f64, global: bool) -> Failure {
    let body =
        json!({"message": "You are being rate limited.", "retry_after": retry_after, "global": global});
    Failure { status: 429, body }
}
