//! Permissions against a table of cases, and what has to hold for all of them.

use proptest::prelude::*;

use super::*;

const GUILD: u64 = 1;
const OWNER: u64 = 2;
const NOW: i64 = 1_000;
const VIEW: Permissions = Permissions::VIEW_CHANNEL;
const SEND: Permissions = Permissions::SEND_MESSAGES;
const BAN: Permissions = Permissions::BAN_MEMBERS;

fn role(id: u64, position: i64, permissions: Permissions) -> (u64, Role) {
    (id, Role { id, permissions, position, is_managed: false })
}

fn guild(roles: impl IntoIterator<Item = (u64, Role)>) -> Guild {
    Guild { id: GUILD, owner: OWNER, roles: roles.into_iter().collect(), features: Vec::new() }
}

fn member(user: u64, roles: &[u64]) -> Member {
    Member { user, roles: roles.to_vec(), timed_out_until: None }
}

fn overwrite(id: u64, is_member: bool, allow: Permissions, deny: Permissions) -> Overwrite {
    Overwrite { id, is_member, allow, deny }
}

#[test]
fn permissions_are_those_of_all_roles_and_the_owner_has_them_all() {
    let guild = guild([role(GUILD, 0, VIEW), role(10, 1, SEND), role(11, 2, BAN)]);
    assert_eq!(guild.permissions(&member(5, &[]), NOW), VIEW);
    assert_eq!(guild.permissions(&member(5, &[10, 11]), NOW), VIEW | SEND | BAN);
    assert_eq!(
        guild.permissions(&member(5, &[10, 99]), NOW),
        VIEW | SEND,
        "a role that is gone gives nothing"
    );
    assert_eq!(guild.permissions(&member(OWNER, &[]), NOW), ALL);
}

#[test]
fn overwrites_apply_in_the_order_everyone_roles_member() {
    let none = Permissions::empty();
    let guild = guild([role(GUILD, 0, VIEW | SEND), role(10, 1, none), role(11, 2, none)]);
    let cases: [(&str, Vec<Overwrite>, Permissions); 8] = [
        ("none", vec![], VIEW | SEND),
        ("everyone denied", vec![overwrite(GUILD, false, none, SEND)], VIEW),
        (
            "a role allows again",
            vec![overwrite(GUILD, false, none, SEND), overwrite(10, false, SEND, none)],
            VIEW | SEND,
        ),
        (
            "of roles that deny and allow, allowing counts",
            vec![overwrite(10, false, none, SEND), overwrite(11, false, SEND, none)],
            VIEW | SEND,
        ),
        (
            "the member's own is last",
            vec![overwrite(10, false, SEND, none), overwrite(5, true, none, SEND)],
            VIEW,
        ),
        (
            "a role with the id of the user is another thing",
            vec![overwrite(5, false, none, SEND)],
            VIEW | SEND,
        ),
        ("somebody else's", vec![overwrite(6, true, none, SEND)], VIEW | SEND),
        ("without a view there is nothing", vec![overwrite(GUILD, false, BAN, VIEW)], none),
    ];
    for (case, overwrites, expected) in cases {
        let held = guild.permissions_in(&overwrites, Kind::Text, &member(5, &[10, 11]), NOW);
        assert_eq!(held, expected, "{case}");
    }
}

#[test]
fn administrators_pass_overwrites_and_what_stands_for_them() {
    let guild = guild([role(GUILD, 0, VIEW), role(10, 1, Permissions::ADMINISTRATOR)]);
    let denied =
        [overwrite(GUILD, false, Permissions::empty(), ALL), overwrite(5, true, Permissions::empty(), ALL)];
    assert_eq!(guild.permissions_in(&denied, Kind::Text, &member(5, &[10]), NOW), ALL);
    assert_eq!(guild.permissions_in(&denied, Kind::Text, &member(OWNER, &[]), NOW), ALL);
    assert_eq!(guild.permissions_in(&denied, Kind::Text, &member(6, &[]), NOW), Permissions::empty());
}

#[test]
fn an_overwrite_cannot_make_an_administrator() {
    let guild = guild([role(GUILD, 0, VIEW)]);
    let overwrites = [overwrite(GUILD, false, Permissions::ADMINISTRATOR, Permissions::empty())];
    let held = guild.permissions_in(&overwrites, Kind::Text, &member(5, &[]), NOW);
    assert!(!held.contains(SEND), "{held:?}");
}

#[test]
fn a_time_out_leaves_reading_and_spares_administrators() {
    let guild = guild([role(GUILD, 0, VIEW | SEND | BAN), role(10, 1, Permissions::ADMINISTRATOR)]);
    let timed_out = |roles: &[u64], until| Member { timed_out_until: Some(until), ..member(5, roles) };
    assert_eq!(guild.permissions(&timed_out(&[], NOW + 1), NOW), VIEW);
    assert_eq!(guild.permissions_in(&[], Kind::Text, &timed_out(&[], NOW + 1), NOW), VIEW);
    assert_eq!(guild.permissions(&timed_out(&[], NOW), NOW), VIEW | SEND | BAN, "it is over");
    assert_eq!(guild.permissions(&timed_out(&[10], NOW + 1), NOW), ALL);
}

#[test]
fn sending_to_a_thread_is_a_permission_of_its_own_and_voice_takes_connecting() {
    let all = VIEW | SEND | Permissions::EMBED_LINKS;
    let guild = guild([role(GUILD, 0, all)]);
    let held = |kind| guild.permissions_in(&[], kind, &member(5, &[]), NOW);
    assert_eq!(held(Kind::Text), all);
    assert_eq!(held(Kind::Thread), VIEW | SEND);
    assert_eq!(held(Kind::Voice), Permissions::empty());
}

#[test]
fn rank_is_the_highest_role_and_nobody_outranks_the_owner() {
    let none = Permissions::empty();
    let guild = guild([role(GUILD, 0, none), role(10, 1, none), role(11, 2, none), role(12, 2, none)]);
    let outranks = |one: &[u64], other: &[u64]| guild.outranks(&member(5, one), &member(6, other));
    assert!(outranks(&[11], &[10]) && !outranks(&[10], &[11]));
    assert!(outranks(&[10], &[]) && !outranks(&[], &[]), "equal is not above");
    assert!(outranks(&[11], &[12]), "of equal places the older role is above");
    assert!(!guild.outranks(&member(5, &[11]), &member(OWNER, &[])));
    assert!(guild.outranks(&member(OWNER, &[]), &member(5, &[11])));
    assert!(!guild.outranks(&member(5, &[11]), &member(5, &[])), "nobody is above themselves");
    assert!(guild.is_below(&guild.roles[&10], &member(5, &[11])));
    assert!(!guild.is_below(&guild.roles[&11], &member(5, &[11])));
    assert!(guild.can_place(1, &member(5, &[11])) && !guild.can_place(2, &member(5, &[11])));
}

#[test]
fn what_is_missing_has_the_names_that_discord_gives() {
    assert_eq!(missing(VIEW, VIEW), None);
    assert_eq!(missing(VIEW, VIEW | BAN | SEND).as_deref(), Some("BAN_MEMBERS, SEND_MESSAGES"));
    assert_eq!(
        missing(VIEW, Permissions::MANAGE_GUILD_EXPRESSIONS).as_deref(),
        Some("MANAGE_GUILD_EXPRESSIONS")
    );
    let unknown = Permissions::from_bits_retain(1 << 62);
    assert_eq!(missing(VIEW, unknown).as_deref(), Some("0x4000000000000000"));
    assert_eq!(missing(ALL, unknown), None);
}

fn bits() -> impl Strategy<Value = Permissions> {
    any::<u64>().prop_map(|bits| Permissions::from_bits_retain(bits & !Permissions::ADMINISTRATOR.bits()))
}

fn kinds() -> impl Strategy<Value = Kind> {
    prop_oneof![Just(Kind::Text), Just(Kind::Voice), Just(Kind::Thread)]
}

prop_compose! {
    fn guilds()(everyone in bits(), one in bits(), other in bits()) -> Guild {
        guild([role(GUILD, 0, everyone), role(10, 1, one), role(11, 2, other)])
    }
}

fn overwrites() -> impl Strategy<Value = Vec<Overwrite>> {
    let one = (
        prop_oneof![Just((GUILD, false)), Just((10, false)), Just((11, false)), Just((5, true))],
        bits(),
        bits(),
    );
    proptest::collection::vec(
        one.prop_map(|((id, is_member), allow, deny)| overwrite(id, is_member, allow, deny)),
        0..4,
    )
}

proptest! {
    #[test]
    fn denying_more_never_widens(
        guild in guilds(), overwrites in overwrites(), kind in kinds(), more in bits(), which in 0_usize..4,
    ) {
        let member = member(5, &[10, 11]);
        let before = guild.permissions_in(&overwrites, kind, &member, NOW);
        let mut narrowed = overwrites;
        if let Some(one) = narrowed.get_mut(which) {
            one.deny |= more;
        }
        let after = guild.permissions_in(&narrowed, kind, &member, NOW);
        prop_assert!(before.contains(after), "{before:?} became {after:?}");
    }

    #[test]
    fn a_role_more_never_lowers_anybody(guild in guilds()) {
        let (few, many) = (member(5, &[10]), member(5, &[10, 11]));
        prop_assert!(guild.permissions(&many, NOW).contains(guild.permissions(&few, NOW)));
        prop_assert!(!guild.outranks(&few, &many) || guild.outranks(&many, &few));
    }

    #[test]
    fn of_two_members_at_most_one_outranks_the_other(guild in guilds(), one in 0_usize..4, other in 0_usize..4) {
        let roles: [&[u64]; 4] = [&[], &[10], &[11], &[10, 11]];
        let (one, other) = (member(5, roles[one]), member(6, roles[other]));
        prop_assert!(!(guild.outranks(&one, &other) && guild.outranks(&other, &one)));
    }

    #[test]
    fn a_time_out_leaves_nothing_but_reading(guild in guilds(), overwrites in overwrites(), kind in kinds()) {
        let member = Member { timed_out_until: Some(NOW + 1), ..member(5, &[10, 11]) };
        prop_assert!(IN_TIME_OUT.contains(guild.permissions(&member, NOW)));
        prop_assert!(IN_TIME_OUT.contains(guild.permissions_in(&overwrites, kind, &member, NOW)));
    }
}
