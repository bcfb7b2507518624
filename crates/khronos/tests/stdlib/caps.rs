//! Where a replaced function does not do what Luau's own does: it refuses what would not fit or would take too long,
//! and shows no addresses and none of our frames.

use khronos::{KhronosValue, Verdict, VmState};

use crate::vm::{Vm, list};

#[test]
fn what_does_not_fit_is_an_error_before_anything_is_allocated() {
    for call in [
        "string.rep('x', 1000000000)",
        "('x'):rep('1000000000')",
        "string.rep(12, 1e9)",
        "table.create(1e8)",
        "table.create(1e7, 0)",
        "buffer.create(1e9)",
        "string.pack('c1000000000', 'x')",
        "table.concat(table.create(100, string.rep('x', 1000000)))",
        "table.concat({'', ''}, string.rep('x', 9000000), 1, 2) .. table.concat({'', '', '', ''}, string.rep('x', 9000000))",
        "string.format('%s%s%s', big, big, big)",
        "`{big}{big}{big}`",
        "{string.upper(big), string.lower(big)}",
        "{string.reverse(big), string.upper(big)}",
        "{buffer.fromstring(big), buffer.fromstring(big)}",
        "{buffer.fromstring(big), buffer.tostring(buffer.create(2 ^ 21))}",
        "buffer.readstring(buffer.create(2 ^ 23 + 2 ^ 22), 0, 2 ^ 23 + 2 ^ 22)",
        "string.split(string.rep(',', 3000000), ',')",
        "table.clone(table.create(700000, 0))",
    ] {
        let vm = Vm::new();
        let source = format!("local big = string.rep('x', 2 ^ 23 - 1) .. 'y'\nlocal x = {call}\nreturn x");
        let message = vm.error(&source);
        assert!(message.starts_with("init.luau:2: not enough memory: '"), "{call}: {message}");
        assert!(message.contains("20971520 bytes together"), "{call}: {message}");
        assert_eq!(vm.runtime.state(), VmState::Ready, "{call}");
    }
}

#[test]
fn formats_and_replacements_that_are_too_long_are_refused() {
    let vm = Vm::new();
    for (call, length, what, longest) in [
        ("string.pack(x)", 5000, "format for 'pack'", 4096),
        ("string.packsize(x)", 5000, "format for 'packsize'", 4096),
        ("string.unpack(x, '')", 600, "format for 'unpack'", 512),
        ("os.date(x)", 600, "format for 'date'", 512),
        ("string.format(x)", 1_048_577, "format for 'format'", 1_048_576),
        ("string.format(x, {})", 1_048_577, "format for 'format'", 1_048_576),
        ("string.gsub('', '', x)", 1_048_577, "replacement for 'gsub'", 1_048_576),
    ] {
        let message = vm.error(&format!("local x = string.rep(' ', {length})\nreturn {call}"));
        assert_eq!(message, format!("init.luau:2: the {what} is longer than {longest} bytes"), "{call}");
    }
}

#[test]
fn a_set_of_characters_cannot_be_hidden_from_its_limit() {
    let vm = Vm::new();
    for pattern in [
        "'[' .. long .. 'a]*'",
        "'[^' .. long .. ']*'",
        "'[]' .. long .. ']*'",
        "'[%]' .. long .. ']*'",
        "'%b[x[' .. long .. ']*'",
        "'%bx%[' .. long .. ']*'",
        "'%f[' .. long .. ']'",
        "'[a[' .. long .. ']*'",
        "'%[[' .. long .. ']*'",
    ] {
        let source = format!(
            "local text, long = string.rep('a', 300000), string.rep('b', 300000) return string.match(text, {pattern})"
        );
        let message = vm.error(&source);
        assert!(message.contains("too long for so long a text"), "{pattern}: {message}");
    }
    let fine = "return #string.match(string.rep('a', 300000), string.rep('a', 300) .. '[a%]]*')";
    assert_eq!(vm.value(fine), 300_000.0.into());
}

#[test]
fn no_text_shows_where_an_object_is_in_memory() {
    let vm = Vm::new();
    let script = r#"
        local objects = {
            {}, function() end, print, coroutine.create(print), buffer.create(1), setmetatable({}, {}),
            setmetatable({}, {__metatable = "locked"}), setmetatable({}, {__metatable = {}}),
        }
        local shown, seen = {}, {}
        local function note(text)
            local number = string.match(text, "0x(%x+)$")
            assert(number and #number == 16, text)
            assert(tonumber(number, 16) <= #objects, text)
        end
        for _, object in objects do
            for _, text in {
                tostring(object), string.format("%*", object), `{object}`, ("%*"):format(object),
                select(2, pcall(tostring, object)), string.format("%d%% %*", 5, object),
            } do
                note(text)
            end
            assert(tostring(object) == tostring(object) and not seen[tostring(object)])
            seen[tostring(object)] = true
            print(object)
        end
        return {tostring(objects[1]), `{objects[2]} {objects[1]}`}
    "#;
    let want = ["table: 0x0000000000000001", "function: 0x0000000000000002 table: 0x0000000000000001"];
    assert_eq!(vm.value(script), list(want));
    assert_eq!(vm.logged()[3], "thread: 0x0000000000000004");
}

#[test]
fn our_frames_look_as_those_of_luaus_own_functions() {
    let vm = Vm::new();
    let script = r#"
        local out = {}
        local function note(...) table.insert(out, table.concat({...}, " ")) end
        local function look()
            for level = 1, 3 do
                local source, line, name = debug.info(level, "sln")
                if source then note(source, line, name) end
            end
            note(debug.traceback("here"))
            return false
        end
        table.sort({2, 1}, look)
        note(debug.info(table.sort, "sln"))
        note(debug.info(string.rep, "n"), debug.info(print, "s"))
        note(tostring((debug.info(9, "s"))), debug.info(look, "ln"))
        return out
    "#;
    let want = [
        "init.luau 6 look",
        "[C] -1 sort",
        "init.luau 12 ",
        "here\ninit.luau:9 function look\ninit.luau:12\n",
        "[C] -1 sort",
        "rep [C]",
        "nil 4 look",
    ];
    assert_eq!(vm.value(script), list(want));
}

#[test]
fn running_out_of_memory_in_a_replaced_function_is_what_it_is_elsewhere() {
    let vm = Vm::new();
    let source = "return string.gsub(string.rep('x', 2 ^ 20), 'x', string.rep('y', 1000))";
    let verdict = vm.run(source);
    assert!(
        matches!(&verdict, Verdict::LimitExceeded { limit: khronos::LimitExceeded::Memory(_), .. }),
        "{verdict:?}"
    );
}

#[test]
fn dates_are_in_utc() {
    let vm = Vm::new();
    let script = "return {os.date('%Y-%m-%d %H:%M:%S %Z', 1e9), os.date('!%H', 1e9), os.date('%Y', -1e9)}";
    assert_eq!(vm.value(script), list(["2001-09-09 01:46:40 GMT", "01", "1938"]));
    assert_eq!(vm.value("return os.date('*t', 0).hour"), KhronosValue::from(0.0));
}
