//! `@lune/regex`: what it finds, and what it does not let itself be made to do.

use super::{all_return, all_throw, result};
use crate::vm::Vm;

#[test]
fn it_finds_what_lunes_finds() {
    all_return(&[
        (
            "local r = lune.regex.new('b+') return r:isMatch('abbc'), r:isMatch('ac'), tostring(r), typeof(r)",
            r#"[true,false,"b+","Regex"]"#,
        ),
        (
            "local m = lune.regex.new('b+'):find('abbc') return m.start, m.finish, m.len, m.text, #m, tostring(m), typeof(m)",
            r#"[2,3,2,"bb",2,"bb","RegexMatch"]"#,
        ),
        (
            "return lune.regex.new('x'):find('abc') == nil, lune.regex.new('x'):captures('abc') == nil",
            "[true,true]",
        ),
        (
            "local c = lune.regex.new('(?<y>\\\\d+)-(\\\\d+)(x)?'):captures('on 2024-05') \
             return #c, tostring(c), c:get(0).text, c:get(1).text, c:group('y').text, c:get(3) == nil, c:get(9) == nil, c:get(-1) == nil, c:group('no') == nil, c:format('$2/$y'), typeof(c)",
            r#"[3,"3","2024-05","2024","2024",true,true,true,true,"05/2024","RegexCaptures"]"#,
        ),
        ("return lune.regex.new(','):split('a,b,,c')", r#"["a","b","","c"]"#),
        (
            "return lune.regex.new('a(.)'):replace('abac', '<$1>'), lune.regex.new('a(.)'):replaceAll('abac', '<$1>')",
            r#"["<b>ac","<b><c>"]"#,
        ),
        (
            "return lune.regex.new(''):replaceAll('ab', '-'), lune.regex.new('(?i)Ä'):isMatch('ä')",
            r#"["-a-b-",true]"#,
        ),
    ]);
    all_throw(&[
        ("lune.regex.new('(')", "no regular expression"),
        ("lune.regex.new('(?=x)')", "no regular expression"),
        ("lune.regex.new('(a)\\\\1')", "no regular expression"),
        ("lune.regex.new(string.rep('(', 500))", "no regular expression"),
        ("lune.regex.new(string.rep('a', 1001))", "more than 1000 bytes"),
        ("lune.regex.new('a'):isMatch('\\255')", "UTF-8 string expected"),
        ("lune.regex.new('a'):isMatch(string.rep('a', 65537))", "more than 65536 bytes"),
        ("lune.regex.new('\\\\w{900}')", "too large"),
        ("lune.regex.new('((a{100}){100}){100}')", "too large"),
        ("lune.regex.new('(a{0,1000}){0,1000}')", "too large"),
        (
            "lune.regex.new('a'):replaceAll(string.rep('a', 60000), string.rep('b', 1000))",
            "more than 1048576 bytes",
        ),
        ("lune.regex.new('(a+)'):replaceAll(string.rep('a', 60000), string.rep('$1', 1000))", "bytes"),
        (
            "lune.regex.new('(a+)'):captures(string.rep('a', 60000)):format(string.rep('$1', 1000))",
            "more than 1048576 bytes",
        ),
    ]);
}

#[test]
fn the_more_places_an_expression_has_the_shorter_are_its_texts() {
    let vm = Vm::new();
    for (pattern, most) in [
        ("b+", 65_536),
        ("(a|a?)+[bc]d", 65_536),
        ("(.*)(.*)(.*)(.*)(.*)[bc]", 8_192),
        ("\\\\w+\\\\w+\\\\w+[bc]$", 32_768),
        ("\\\\b(a|\\\\b)*\\\\b!", 65_536),
        ("(?:(a)|(b)|(a)|(b))*[cd]d", 16_384),
        ("(?:a?){300}[bc]c", 512),
        ("[ab]*a[ab]{100}[cd]", 2_048),
        ("(a{1,30}){1,30}[bc]", 256),
        ("(?:a{1,30}){1,30}[^a]x", 256),
    ] {
        let script = format!(
            "local r, n = lune.regex.new('{pattern}'), 65536 \
             while n > 1 and not pcall(r.isMatch, r, string.rep('a', n)) do n //= 2 end return n"
        );
        assert_eq!(result(&vm, &script), Ok(most.to_string()), "{pattern}");
    }
}

#[test]
fn searching_again_and_again_is_given_up() {
    let vm = Vm::new();
    // Each search looks at all that is left, in vain.
    let script = "return pcall(function() local r = lune.regex.new('.*[^A-Z]|[A-Z]') return #r:split(string.rep('A', 60000)) end)";
    let seen = result(&vm, script).unwrap();
    assert!(seen.contains("takes too long") || seen.starts_with("[true"), "{seen}");
}

#[test]
fn what_is_found_does_not_hold_the_text_that_it_was_found_in() {
    let vm = Vm::new();
    let script = "local r, t, held = lune.regex.new('a'), string.rep('a', 60000), {} for i = 1, 2000 do held[i] = r:find(t) end return #held";
    assert_eq!(result(&vm, script).as_deref(), Ok("2000"));
    let script = "local r, t, held = lune.regex.new('a'), string.rep('a', 60000), {} for i = 1, 2000 do local ok, c = pcall(r.captures, r, t) \
        if not ok then return c end held[i] = c end";
    assert!(result(&vm, script).unwrap().contains("not enough memory"));
    let script = "local held = {} for i = 1, 10000 do local ok, r = pcall(lune.regex.new, 'a' .. i) if not ok then return r end held[i] = r end";
    assert!(result(&vm, script).unwrap().contains("not enough memory"));
}
