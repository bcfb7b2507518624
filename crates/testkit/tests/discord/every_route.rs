//! Every route of the table is called once and answers well, and nothing differs from Discord's description.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use testkit::discord::Discord;

use super::{ALICE, BOB, CHANNEL, GUILD, discord, send};

struct Walk {
    discord: Discord,
}

impl Walk {
    async fn go(&self, status: u16, line: &str, body: Value) -> Value {
        let answer = send(&self.discord, line, Some(&body).filter(|body| !body.is_null())).await;
        assert_eq!(answer.status.as_u16(), status, "{line}: {:#}", answer.body);
        answer.body
    }

    async fn get(&self, line: &str) -> Value {
        self.go(200, &format!("GET {line}"), Value::Null).await
    }

    async fn done(&self, line: &str) {
        self.go(204, line, Value::Null).await;
    }

    async fn guild(&self) {
        let guild = format!("/guilds/{GUILD}");
        assert_eq!(self.get(&format!("{guild}?with_counts=true")).await["approximate_member_count"], 4);
        let edit = json!({"name": "renamed", "description": "d", "features": ["INVITES_DISABLED"]});
        assert_eq!(self.go(200, &format!("PATCH {guild}"), edit).await["name"], "renamed");
        self.get(&format!("{guild}/preview")).await;
        self.get(&format!("{guild}/audit-logs?limit=5")).await;
        for line in ["/users/@me", "/users/@me/guilds", "/applications/@me", "/oauth2/applications/@me"] {
            self.get(line).await;
        }
        self.get("/gateway/bot").await;
        self.get(&format!("/users/{ALICE}")).await;
    }

    async fn channels(&self) {
        let new = json!({
            "name": "made", "type": 0, "topic": "t", "parent_id": null,
            "permission_overwrites": [{"id": GUILD.to_string(), "type": 0, "allow": "0", "deny": "131072"}],
        });
        let made = self.go(201, &format!("POST /guilds/{GUILD}/channels"), new).await;
        let made = made["id"].as_str().unwrap();
        assert_eq!(self.get(&format!("/guilds/{GUILD}/channels")).await.as_array().unwrap().len(), 2);
        let moves = json!([{"id": made, "position": 0}, {"id": CHANNEL.to_string(), "position": 1}]);
        self.go(204, &format!("PATCH /guilds/{GUILD}/channels"), moves).await;
        let edit = json!({"name": "again", "type": 5, "rate_limit_per_user": 5});
        let edited = self.go(200, &format!("PATCH /channels/{made}"), edit).await;
        assert_eq!((&edited["type"], &edited["rate_limit_per_user"]), (&json!(5), &json!(5)));
        let overwrite = json!({"type": 1, "allow": "1024", "deny": "0"});
        self.go(204, &format!("PUT /channels/{made}/permissions/{ALICE}"), overwrite).await;
        assert_eq!(self.get(&format!("/channels/{made}")).await["permission_overwrites"][1]["allow"], "1024");
        self.done(&format!("DELETE /channels/{made}/permissions/{ALICE}")).await;
        let follow = json!({"webhook_channel_id": CHANNEL.to_string()});
        self.go(200, &format!("POST /channels/{made}/followers"), follow).await;
        let message =
            self.go(200, &format!("POST /channels/{made}/messages"), json!({"content": "news"})).await;
        let message = message["id"].as_str().unwrap();
        self.go(200, &format!("POST /channels/{made}/messages/{message}/crosspost"), Value::Null).await;
        self.go(201, &format!("POST /channels/{made}/messages/{message}/threads"), json!({"name": "t"}))
            .await;
        let thread = json!({"name": "u", "type": 11});
        self.go(201, &format!("POST /channels/{made}/threads"), thread).await;
        let threads = self.get(&format!("/guilds/{GUILD}/threads/active")).await;
        assert_eq!(
            (threads["threads"].as_array().unwrap().len(), threads["members"][1]["flags"].clone()),
            (2, json!(0))
        );
        self.go(200, &format!("DELETE /channels/{made}"), Value::Null).await;
        assert_eq!(self.get(&format!("/guilds/{GUILD}/threads/active")).await["threads"], json!([]));
    }

    async fn members(&self) {
        let members = format!("/guilds/{GUILD}/members");
        let page = self.get(&format!("{members}?limit=2&after=2999")).await;
        assert_eq!(page[0]["user"]["id"], ALICE.to_string());
        let found = self.get(&format!("{members}/search?query=user-3001")).await;
        assert_eq!(found.as_array().unwrap().len(), 1);
        let edit = json!({"nick": "al", "communication_disabled_until": "2030-01-01T00:00:00Z"});
        let far = send(&self.discord, &format!("PATCH {members}/{ALICE}"), Some(&edit)).await;
        assert_eq!(far.status, 400, "timeouts are four weeks long at most");
        let edit = json!({"nick": "al", "roles": []});
        assert_eq!(self.go(200, &format!("PATCH {members}/{ALICE}"), edit).await["nick"], "al");
        assert_eq!(self.get(&format!("{members}/{ALICE}")).await["nick"], "al");
        assert_eq!(self.go(200, &format!("PATCH {members}/@me"), json!({"nick": "me"})).await["nick"], "me");
    }

    async fn roles(&self) {
        let roles = format!("/guilds/{GUILD}/roles");
        let made = self
            .go(200, &format!("POST {roles}"), json!({"name": "r", "permissions": "1024", "color": 7}))
            .await;
        let made = made["id"].as_str().unwrap();
        let edited =
            self.go(200, &format!("PATCH {roles}/{made}"), json!({"hoist": true, "permissions": 2048})).await;
        assert_eq!((&edited["hoist"], &edited["permissions"]), (&json!(true), &json!("2048")));
        self.go(200, &format!("PATCH {roles}"), json!([{"id": made, "position": 2}])).await;
        assert_eq!(self.get(&format!("{roles}/{made}")).await["position"], 2);
        assert_eq!(self.get(&roles).await.as_array().unwrap().len(), 3);
        self.done(&format!("PUT /guilds/{GUILD}/members/{ALICE}/roles/{made}")).await;
        assert_eq!(self.discord.member(GUILD, ALICE).unwrap().roles, [made.into()]);
        self.done(&format!("DELETE /guilds/{GUILD}/members/{ALICE}/roles/{made}")).await;
        self.done(&format!("DELETE {roles}/{made}")).await;
    }

    async fn messages(&self) {
        let messages = format!("/channels/{CHANNEL}/messages");
        let button = json!({"type": 2, "style": 1, "custom_id": "go", "label": "Go"});
        let new = json!({
            "content": format!("hello <@{ALICE}>"),
            "embeds": [{"title": "t", "description": null, "fields": [{"name": "n", "value": "v"}]}],
            "components": [{"type": 1, "components": [button]}], "allowed_mentions": {"parse": ["users"]},
        });
        let made = self.go(200, &format!("POST {messages}"), new).await;
        assert_eq!(made["mentions"][0]["id"], ALICE.to_string());
        assert_eq!(
            made["embeds"][0],
            json!({"type": "rich", "title": "t", "fields": [{"name": "n", "value": "v", "inline": false}]})
        );
        let id = made["id"].as_str().unwrap().to_owned();
        let reply = json!({"content": "re", "message_reference": {"message_id": id}});
        let reply = self.go(200, &format!("POST {messages}"), reply).await;
        assert_eq!(reply["referenced_message"]["id"], id);
        let edited = self.go(200, &format!("PATCH {messages}/{id}"), json!({"content": "changed"})).await;
        assert_eq!(edited["content"], "changed");
        assert!(edited["edited_timestamp"].is_string());
        let of = format!("{messages}/{id}/reactions");
        self.done(&format!("PUT {of}/%F0%9F%91%8D/@me")).await;
        assert_eq!(self.get(&format!("{of}/%F0%9F%91%8D?limit=10")).await[0]["bot"], true);
        assert_eq!(self.get(&format!("{messages}/{id}")).await["reactions"][0]["count"], 1);
        self.done(&format!("DELETE {of}/%F0%9F%91%8D/@me")).await;
        self.done(&format!("PUT {of}/party:77/@me")).await;
        self.discord.reaction_add_event(CHANNEL, id.as_str(), ALICE, "party:77");
        self.done(&format!("DELETE {of}/party:77/{ALICE}")).await;
        self.done(&format!("DELETE {of}/party:77")).await;
        self.done(&format!("DELETE {of}")).await;
        let listed = self.get(&format!("{messages}?limit=1&after={id}")).await;
        assert_eq!(listed[0]["id"], reply["id"]);
        self.done(&format!("DELETE {messages}/{id}")).await;
        let more = self.discord.message_create_event(CHANNEL, ALICE, "by alice");
        let ids = json!({"messages": [reply["id"], more["id"]]});
        self.go(204, &format!("POST {messages}/bulk-delete"), ids).await;
        assert_eq!(self.discord.messages(CHANNEL).len(), 0);
    }

    async fn bans(&self) {
        let bans = format!("/guilds/{GUILD}/bans");
        self.go(204, &format!("PUT {bans}/{BOB}"), json!({"delete_message_seconds": 60})).await;
        assert_eq!(self.get(&format!("{bans}/{BOB}")).await["user"]["id"], BOB.to_string());
        assert_eq!(self.get(&format!("{bans}?limit=5&before=9999")).await.as_array().unwrap().len(), 1);
        self.done(&format!("DELETE {bans}/{BOB}")).await;
        let many = json!({"user_ids": [BOB.to_string(), "4"]});
        let many = self.go(200, &format!("POST /guilds/{GUILD}/bulk-ban"), many).await;
        assert_eq!(many, json!({"banned_users": [BOB.to_string()], "failed_users": ["4"]}));
        self.done(&format!("DELETE /guilds/{GUILD}/members/{ALICE}")).await;
        let log = self.get(&format!("/guilds/{GUILD}/audit-logs?action_type=22")).await;
        assert_eq!(log["audit_log_entries"].as_array().unwrap().len(), 2);
    }

    async fn invites(&self) {
        let made = self
            .go(200, &format!("POST /channels/{CHANNEL}/invites"), json!({"max_age": 60, "unique": true}))
            .await;
        let code = made["code"].as_str().unwrap();
        self.get(&format!("/invites/{code}?with_counts=true&with_expiration=true")).await;
        assert_eq!(self.get(&format!("/channels/{CHANNEL}/invites")).await[0]["code"], code);
        assert_eq!(self.get(&format!("/guilds/{GUILD}/invites")).await[0]["code"], code);
        self.go(200, &format!("DELETE /invites/{code}"), Value::Null).await;
    }

    async fn webhooks(&self) {
        let made = self.go(200, &format!("POST /channels/{CHANNEL}/webhooks"), json!({"name": "hook"})).await;
        let (id, token) = (made["id"].as_str().unwrap(), made["token"].as_str().unwrap());
        self.get(&format!("/channels/{CHANNEL}/webhooks")).await;
        self.get(&format!("/guilds/{GUILD}/webhooks")).await;
        self.get(&format!("/webhooks/{id}")).await;
        let edit = json!({"name": "crook", "channel_id": CHANNEL.to_string()});
        assert_eq!(self.go(200, &format!("PATCH /webhooks/{id}"), edit).await["name"], "crook");
        let by_token = format!("/webhooks/{id}/{token}");
        assert_eq!(self.get(&by_token).await.get("user"), None);
        let sent = json!({"content": "through", "username": "someone"});
        let sent = self.go(200, &format!("POST {by_token}?wait=true"), sent).await;
        assert_eq!((&sent["author"]["username"], &sent["webhook_id"]), (&json!("someone"), &json!(id)));
        let message = format!("{by_token}/messages/{}", sent["id"].as_str().unwrap());
        self.get(&message).await;
        self.go(200, &format!("PATCH {message}"), json!({"content": "anew"})).await;
        self.done(&format!("DELETE {message}")).await;
        self.go(204, &format!("POST {by_token}"), json!({"content": "unheard"})).await;
        self.done(&format!("DELETE {by_token}")).await;
        let again =
            self.go(200, &format!("POST /channels/{CHANNEL}/webhooks"), json!({"name": "hook"})).await;
        self.done(&format!("DELETE /webhooks/{}", again["id"].as_str().unwrap())).await;
    }

    async fn interactions(&self) {
        let event = self.discord.command_event(CHANNEL, ALICE, "ping", &json!([]));
        let (id, token) = (event["id"].as_str().unwrap(), event["token"].as_str().unwrap());
        let callback = format!("POST /interactions/{id}/{token}/callback");
        let later = self.go(200, &format!("{callback}?with_response=true"), json!({"type": 5})).await;
        assert_eq!(later["interaction"]["response_message_loading"], true);
        assert_eq!(send(&self.discord, &callback, Some(&json!({"type": 5}))).await.body["code"], 40060);
        let bot = event["application_id"].as_str().unwrap();
        let original = format!("/webhooks/{bot}/{token}/messages/@original");
        assert_eq!(self.go(200, &format!("PATCH {original}"), json!({"content": "pong"})).await["flags"], 0);
        assert_eq!(self.get(&original).await["content"], "pong");
        let further =
            self.go(200, &format!("POST /webhooks/{bot}/{token}"), json!({"content": "more"})).await;
        let further = format!("/webhooks/{bot}/{token}/messages/{}", further["id"].as_str().unwrap());
        self.go(200, &format!("PATCH {further}"), json!({"content": "other"})).await;
        self.done(&format!("DELETE {further}")).await;
        self.done(&format!("DELETE {original}")).await;
    }

    async fn commands(&self) {
        let all = format!("/applications/{}/guilds/{GUILD}/commands", testkit::discord::BOT);
        let option = json!({"type": 3, "name": "text", "description": "what", "required": true});
        let new = json!({"name": "echo", "description": "says it", "options": [option], "default_member_permissions": "8"});
        let made = self.go(201, &format!("POST {all}"), new.clone()).await;
        assert_eq!(made["default_member_permissions"], "8");
        self.go(200, &format!("POST {all}"), new).await;
        let one = format!("{all}/{}", made["id"].as_str().unwrap());
        self.get(&one).await;
        self.go(200, &format!("PATCH {one}"), json!({"description": "says it back"})).await;
        self.done(&format!("DELETE {one}")).await;
        self.go(200, &format!("PUT {all}"), json!([{"name": "ping", "description": "pongs"}])).await;
        assert_eq!(self.get(&all).await.as_array().unwrap().len(), 1);
    }

    async fn auto_moderation(&self) {
        let all = format!("/guilds/{GUILD}/auto-moderation/rules");
        let new = json!({
            "name": "words", "event_type": 1, "trigger_type": 1, "trigger_metadata": {"keyword_filter": ["bad"]},
            "actions": [{"type": 1}, {"type": 2, "metadata": {"channel_id": CHANNEL.to_string()}}], "enabled": true,
        });
        let made = self.go(200, &format!("POST {all}"), new).await;
        let one = format!("{all}/{}", made["id"].as_str().unwrap());
        let mentions = json!({"name": "m", "event_type": 1, "trigger_type": 5, "trigger_metadata": {"mention_total_limit": 5}});
        self.go(200, &format!("POST {all}"), mentions).await;
        assert_eq!(self.get(&all).await.as_array().unwrap().len(), 2);
        self.get(&one).await;
        let edited = self.go(200, &format!("PATCH {one}"), json!({"enabled": false})).await;
        assert_eq!((&edited["enabled"], &edited["name"]), (&json!(false), &json!("words")));
        self.done(&format!("DELETE {one}")).await;
    }
}

#[tokio::test]
async fn every_route_answers_as_discord_describes_it() {
    let walk = Walk { discord: discord().await };
    walk.discord
        .limit_all(testkit::discord::Limit { requests: 10_000, per: std::time::Duration::from_secs(1) });
    walk.guild().await;
    walk.channels().await;
    walk.members().await;
    walk.roles().await;
    walk.messages().await;
    walk.invites().await;
    walk.webhooks().await;
    walk.interactions().await;
    walk.commands().await;
    walk.auto_moderation().await;
    walk.bans().await;
    let called: BTreeSet<(String, String)> = walk
        .discord
        .requests()
        .iter()
        .map(|request| (request.method.clone(), request.route().unwrap().to_owned()))
        .collect();
    let owed = Discord::routes()
        .into_iter()
        .filter(|(method, path)| !called.contains(&((*method).to_owned(), (*path).to_owned())));
    assert_eq!(owed.collect::<Vec<_>>(), [], "nobody called these");
}
