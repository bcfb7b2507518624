//! `@antiraid/datamgmt`: bytes, archives and encryption, also those that somebody made on purpose.

use khronos::RuntimeLimits;

use super::{all_return, all_throw, patient_vm, result};
use crate::vm::Vm;

#[test]
fn a_blob_gives_its_bytes_once() {
    all_return(&[
        (
            "local b = datamgmt.newblob('abc') return #b, buffer.tostring(b:tobuffer()), #b, buffer.len(b:tobuffer())",
            r#"[3,"abc",0,0]"#,
        ),
        (
            "local b = datamgmt.newblob(buffer.fromstring('\\255\\0')) return #b, buffer.readu8(b:tobuffer(), 0)",
            "[2,255]",
        ),
        (
            "local b = datamgmt.newblob(datamgmt.newblob('xy')) b:drain() return #b, typeof(b)",
            r#"[0,"Blob"]"#,
        ),
        ("local b = datamgmt.newblob('secret') b:zeroize() return #b, buffer.len(b:tobuffer())", "[0,0]"),
        ("return datamgmt.newblob('hi')", "\"aGk=\""),
        (
            "return datamgmt.base64encode('hi'), datamgmt.base64encode(datamgmt.newblob('hi')), buffer.tostring(datamgmt.base64decode('aGk='):tobuffer())",
            r#"["aGk=","aGk=","hi"]"#,
        ),
        ("return datamgmt.base64encode(''), #datamgmt.base64decode('')", r#"["",0]"#),
    ]);
    all_throw(&[
        ("datamgmt.base64decode('a')", "not base64"),
        ("datamgmt.base64decode('aGk')", "not base64"),
        ("datamgmt.base64decode('\\255\\255\\255\\255')", "not base64"),
        ("return #datamgmt.newblob('a') + datamgmt.newblob('a')", "attempt to perform arithmetic"),
    ]);
}

#[test]
fn bytes_outside_luaus_heap_count_all_the_same() {
    let vm = Vm::new();
    let held = "local held = {} local b = buffer.create(2^20) for i = 1, 100 do \
        local ok, why = pcall(datamgmt.newblob, b) if not ok then return i - 1, why end held[i] = why end";
    let seen = result(&vm, held).unwrap();
    assert!(seen.contains("not enough memory: this would take 1048576 bytes"), "{seen}");
    let held: usize = seen[1..].split(',').next().unwrap().parse().unwrap();
    assert!((15..20).contains(&held), "{seen}");
    // What nobody has any more makes room when it is needed.
    let dropped = "local b = buffer.create(2^20) for i = 1, 200 do datamgmt.newblob(b) end return 'fine'";
    assert_eq!(result(&vm, dropped).as_deref(), Ok("\"fine\""));
    let texts = "local b = datamgmt.newblob(buffer.create(2^20)) for i = 1, 100 do datamgmt.base64encode(b) end return 'fine'";
    assert_eq!(result(&vm, texts).as_deref(), Ok("\"fine\""));
    let whole =
        "local keep = buffer.create(7 * 2^20) local b = datamgmt.newblob(keep) return pcall(b.tobuffer, b)";
    assert!(result(&vm, whole).unwrap().contains("not enough memory"));
}

#[test]
fn an_archive_gives_back_what_was_put_into_it() {
    all_return(&[
        (
            "local t = datamgmt.TarArchive() t:addfile('a.txt', 'one') t:addfile('dir/b', datamgmt.newblob('two')) t:addfile('a.txt', 'three') \
             local u = datamgmt.TarArchive(t:toblob()) return #u, u:entries(), buffer.tostring(u:takefile('a.txt'):tobuffer()), u:takefile('no') == nil, #u, #t",
            r#"[2,["dir/b","a.txt"],"three",true,1,2]"#,
        ),
        (
            "local long = string.rep('x', 900) local t = datamgmt.TarArchive() t:addfile(long, '') \
             local u = datamgmt.TarArchive(t:toblob()) return u:entries()[1] == long, #u:takefile(long)",
            "[true,0]",
        ),
        (
            "local t = datamgmt.TarArchive() return #t, t:entries(), #datamgmt.TarArchive(t:toblob()), #datamgmt.TarArchive('')",
            "[0,[],0,0]",
        ),
    ]);
    all_throw(&[
        ("datamgmt.TarArchive():addfile('', '')", "1 to 1000 bytes"),
        ("datamgmt.TarArchive():addfile(string.rep('x', 1001), '')", "1 to 1000 bytes"),
        ("datamgmt.TarArchive(string.rep('x', 1024))", "not a tar archive"),
        ("datamgmt.TarArchive(5)", "string, buffer or Blob expected"),
    ]);
}

#[test]
fn a_name_that_an_archive_cannot_have_is_refused_when_the_file_is_added() {
    for name in ["../x", "a/../x", "/etc/passwd", ".", "./", "a/", "/", "a\\0b"] {
        let shown = format!("\"{name}\" cannot be the name of a file: use a relative path such as");
        let script = format!("datamgmt.TarArchive():addfile('{name}', '')");
        all_throw(&[(&script, &shown)]);
    }
    all_return(&[(
        "local t = datamgmt.TarArchive() for _, name in {'..x', 'a/..b', './c', '...'} do t:addfile(name, '') end \
         return #datamgmt.TarArchive(t:toblob())",
        "4",
    )]);
}

/// A header as tar has it, and changes that somebody made to it.
const FORGE: &str = "
    local function forge(change)
        local t = datamgmt.TarArchive() t:addfile('f', 'content')
        local b = t:toblob():tobuffer()
        change(b)
        buffer.writestring(b, 148, '        ')
        local sum = 0
        for i = 0, 511 do sum += buffer.readu8(b, i) end
        buffer.writestring(b, 148, string.format('%06o', sum) .. '\\0 ')
        return b
    end ";

#[test]
fn an_archive_that_lies_about_its_sizes_is_refused() {
    let vm = Vm::new();
    for (change, want) in [
        ("buffer.writestring(b, 124, '00000100000')", "cut off"),
        ("buffer.writestring(b, 124, '77777777777')", "cut off"),
        // As eight bytes: 2^62.
        ("buffer.writestring(b, 124, '\\128\\0\\0\\0\\64\\0\\0\\0\\0\\0\\0\\0')", "cut off"),
        (
            "buffer.writestring(b, 124, '\\255\\255\\255\\255\\255\\255\\255\\255\\255\\255\\255\\255')",
            "cut off",
        ),
        ("buffer.writestring(b, 124, 'zzzzzzzzzzz')", "not a tar archive"),
    ] {
        let error = result(&vm, &format!("{FORGE} datamgmt.TarArchive(forge(function(b) {change} end))"))
            .unwrap_err();
        assert!(error.contains(want), "{change}: {error}");
    }
    // A sparse file, a link, a folder, a device: none of them is taken.
    for kind in ["S", "1", "2", "3", "5", "x", "g", "L", "K"] {
        let script = format!(
            "{FORGE} return pcall(function() return #datamgmt.TarArchive(forge(function(b) buffer.writestring(b, 156, '{kind}') end)) end)"
        );
        let seen = result(&vm, &script).unwrap();
        assert!(seen == "[true,0]" || seen.contains("not a tar archive"), "{kind}: {seen}");
    }
}

#[test]
fn an_archive_has_no_more_files_than_it_may() {
    let vm = Vm::with_limits(RuntimeLimits { memory: 64 << 20, ..RuntimeLimits::default() });
    let script = "local t = datamgmt.TarArchive() for i = 1, 1e6 do local ok, why = pcall(t.addfile, t, 'f' .. i, '') \
        if not ok then return #t, why end end";
    let seen = result(&vm, script).unwrap();
    assert!(seen.starts_with("[10000,") && seen.contains("at most 10000 files"), "{seen}");
    // Headers without files, as many as fit.
    let empty = "local t = datamgmt.TarArchive() t:addfile('f', '') local one = buffer.readstring(t:toblob():tobuffer(), 0, 512) \
        return pcall(datamgmt.TarArchive, string.rep(one, 20000))";
    let seen = result(&vm, empty).unwrap();
    assert!(seen.contains("at most 10000 files"), "{seen}");
}

#[test]
fn what_was_encrypted_comes_back_with_its_password_only() {
    all_return(&[
        (
            "local sealed = datamgmt.aes256encrypt('hello', 'pw') local copy = datamgmt.newblob(sealed) \
             return typeof(sealed), #sealed, buffer.tostring(datamgmt.aes256decrypt(sealed, 'pw'):tobuffer()), \
             (pcall(datamgmt.aes256decrypt, copy, 'other'))",
            r#"["Blob",41,"hello",false]"#,
        ),
        (
            "local b = datamgmt.aes256encrypt('x', 'pw'):tobuffer() local n = buffer.len(b) \
             local salt, nonce, rest = buffer.readstring(b, 0, 8), buffer.readstring(b, 8, 12), buffer.create(n - 20) \
             buffer.copy(rest, 0, b, 20) local function bytes(s) return buffer.fromstring(s) end \
             return buffer.tostring(datamgmt.aes256decryptcustom(rest, 'pw', bytes(salt), bytes(nonce)):tobuffer())",
            "\"x\"",
        ),
        (
            "local co = coroutine.wrap(function() coroutine.yield(1) return #datamgmt.aes256encrypt('', 'pw') end) return co(), co()",
            "[1,36]",
        ),
        ("return datamgmt.aes256encrypt('same', 'pw') ~= datamgmt.aes256encrypt('same', 'pw')", "true"),
    ]);
    all_throw(&[
        ("datamgmt.aes256decrypt('short', 'pw')", "too few"),
        (
            "datamgmt.aes256decrypt(string.rep('x', 100), 'pw')",
            "the password is another one, or the bytes were changed",
        ),
        ("datamgmt.aes256encrypt('x', '')", "1 to 1024 bytes"),
        ("datamgmt.aes256encrypt('x', string.rep('x', 1025))", "1 to 1024 bytes"),
        ("datamgmt.aes256encrypt('x')", "invalid argument 'password' to 'aes256encrypt'"),
        ("datamgmt.aes256encrypt(1, 'x')", "invalid argument 'data' to 'aes256encrypt'"),
        ("datamgmt.aes256decryptcustom('x', 'pw', 'short', 'n')", "8 to 64 bytes"),
        ("datamgmt.aes256decryptcustom('x', 'pw', 'longenough', 'n')", "the nonce has 12 bytes"),
        ("datamgmt.aes256encrypt(buffer.create(2^20 + 1), 'pw')", "more than 1048576 bytes"),
        (
            "setmetatable({}, {__index = function() datamgmt.aes256encrypt('x', 'pw') end}).x = nil local t = setmetatable({}, {__index = function() return datamgmt.aes256encrypt('x', 'pw') end}) return t.x",
            "not possible inside a metamethod",
        ),
    ]);
}

#[test]
fn encryption_holds_neither_the_thread_nor_the_memory_of_its_vm() {
    let mut vm = Vm::with_limits(RuntimeLimits { memory: 8 << 20, ..RuntimeLimits::default() });
    vm.follow_real_time();
    let script = "local done, steps = false, 0 task.spawn(function() datamgmt.aes256encrypt(buffer.create(2^20 - 100), 'pw') done = true end) \
        while not done do steps += 1 task.wait() end return steps > 0";
    assert_eq!(result(&vm, script).as_deref(), Ok("true"));
}

#[test]
fn few_may_be_encrypting_at_a_time() {
    let vm = patient_vm();
    let script = "local refused, done = 0, 0 for i = 1, 10 do task.spawn(function() \
        local ok, why = pcall(datamgmt.aes256encrypt, 'x', 'pw') if ok then done += 1 else refused += 1 assert(string.find(why, 'at a time'), why) end end) end \
        while done + refused < 10 do task.wait() end return done, refused";
    assert_eq!(result(&vm, script).as_deref(), Ok("[2,8]"));
}
