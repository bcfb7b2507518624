//! `@lune/serde`: there and back, bombs, and texts that are deep.

use super::{all_return, all_throw, result};
use crate::vm::Vm;

#[test]
fn values_come_back_from_every_format() {
    all_return(&[
        ("return lune.serde.encode('json', {a = {1, 2.5, 'x'}})", r#""{\"a\":[1,2.5,\"x\"]}""#),
        ("return lune.serde.encode('json', {a = 1}, true)", r#""{\n  \"a\": 1\n}""#),
        (
            "return lune.serde.decode('JSON', '{\"a\": [1, {\"b\": -0.5}], \"c\": []}')",
            r#"{"a":[1,{"b":-0.5}],"c":[]}"#,
        ),
        (
            "local t = lune.serde.decode('json', '{\"a\": 1}') t.b = 2 return t.b, lune.serde.decode('json', 'null') == nil",
            "[2,true]",
        ),
        ("return lune.serde.encode('toml', {a = {b = 1}, c = {1, 2}})", r#""c = [1, 2]\n\n[a]\nb = 1\n""#),
        (
            "return lune.serde.decode('toml', 'd = 2024-05-01T00:00:00Z\\n[b]\\nc = [true, \"x\"]')",
            r#"{"d":"2024-05-01T00:00:00Z","b":{"c":[true,"x"]}}"#,
        ),
        (
            "return lune.serde.encode('yaml', {a = {1, {b = 'x y', c = {}}}, d = true})",
            r#""a:\n  - 1\n  - b: \"x y\"\n    c: {}\nd: true\n""#,
        ),
        (
            "return lune.serde.decode('yaml', 'a: [1, 0x10, .inf]\\nb:\\n  - x: yes\\n  - \"1\"\\n')",
            r#"{"a":[1,16,null],"b":[{"x":"yes"},"1"]}"#,
        ),
        ("return lune.serde.decode('yaml', 'c: |\\n  text\\n')", r#"{"c":"text\n"}"#),
        ("return lune.serde.decode('yaml', ''), lune.serde.decode('yaml', '5')", "[null,5]"),
        (
            "local s, list = lune.serde, {} \
             for _, text in {'9007199254740993', '-9223372036854775808', '18446744073709551615'} do \
                 for _, format in {'json', 'yaml'} do table.insert(list, s.encode(format, s.decode(format, text))) end \
             end \
             return list, typeof(s.decode('toml', 'a = 9007199254740993').a), type(s.decode('yaml', '1e17'))",
            r#"[["9007199254740993","9007199254740993\n","-9223372036854775808","-9223372036854775808\n","18446744073709551615","18446744073709551615\n"],"I64","number"]"#,
        ),
    ]);
}

#[test]
fn yaml_comes_back_as_it_went() {
    let vm = Vm::new();
    for value in [
        "{{{{{}}}}}",
        "{{1, {2, {3}}}, {a = {b = {{c = 1}}}}}",
        "{['yes'] = 'no', ['a: b'] = '- x', ['#'] = ' lead', [''] = '', ['1'] = '1', ['~'] = 'null', x = '\\n\\0\\226\\128\\168é'}",
        "{1.5, -2, 1e300, true, false, '0x10', '.5', '1e5', '-', '!a', '&a', '*a', '{', '[', '\"', \"'\"}",
    ] {
        let script = format!(
            "local s = lune.serde local v = {value} return s.encode('json', s.decode('yaml', s.encode('yaml', v))) == s.encode('json', v), s.encode('yaml', v)"
        );
        let seen = result(&vm, &script).unwrap();
        assert!(seen.starts_with("[true,"), "{value}: {seen}");
    }
}

#[test]
fn what_is_made_smaller_comes_back() {
    let vm = Vm::new();
    for format in ["gzip", "zlib", "lz4", "brotli"] {
        for (bytes, smaller) in [
            ("''", "true"),
            ("'hello'", "true"),
            ("string.rep('hello ', 10000)", "#p < 6000"),
            ("'\\255\\0\\1'", "true"),
        ] {
            let script = format!(
                "local s, b = lune.serde, {bytes} local p = s.compress('{format}', b) return s.decompress('{format}', buffer.fromstring(p)) == b, {smaller}"
            );
            assert_eq!(result(&vm, &script).as_deref(), Ok("[true,true]"), "{format} {bytes}");
        }
        let levels =
            format!("local s = lune.serde return s.decompress('{format}', s.compress('{format}', 'abc', 1))");
        assert_eq!(result(&vm, &levels).as_deref(), Ok("\"abc\""));
    }
}

#[test]
fn a_bomb_is_given_up() {
    let vm = Vm::new();
    // Two megabytes and a byte of zeros, in parts that each may be made smaller, one after the other as these formats allow.
    let gzip = "local p = lune.serde.compress('gzip', string.rep('\\0', 2^17)) return pcall(lune.serde.decompress, 'gzip', string.rep(p, 17))";
    let seen = result(&vm, gzip).unwrap();
    assert!(seen.contains("more than 2097152 bytes in this"), "{seen}");
    for (format, text) in [("zlib", zlib_bomb()), ("brotli", brotli_bomb())] {
        let script =
            format!("return pcall(lune.serde.decompress, '{format}', datamgmt.base64decode('{text}'))");
        let seen = result(&vm, &script).unwrap();
        assert!(seen.contains("more than 2097152 bytes in this"), "{format}: {seen}");
    }
    // What is said in front about the size is not believed.
    let lz4 = "local p = buffer.fromstring(lune.serde.compress('lz4', 'abc')) buffer.writeu32(p, 0, 2^32 - 1) return lune.serde.decompress('lz4', p)";
    assert_eq!(result(&vm, lz4).as_deref(), Ok("\"abc\""));
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

fn zlib_bomb() -> String {
    use std::io::Write;
    let mut writer = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    writer.write_all(&vec![0; 100 << 20]).unwrap();
    base64(&writer.finish().unwrap())
}

fn brotli_bomb() -> String {
    use std::io::Write;
    let mut packed = Vec::new();
    let mut writer = brotli::CompressorWriter::new(&mut packed, 4096, 5, 22);
    writer.write_all(&vec![0; 20 << 20]).unwrap();
    drop(writer);
    base64(&packed)
}

#[test]
fn hashes_are_those_that_everybody_computes() {
    all_return(&[
        ("return lune.serde.hash('md5', 'abc')", r#""900150983cd24fb0d6963f7d28e17f72""#),
        (
            "return lune.serde.hash('SHA1', buffer.fromstring('abc'))",
            r#""a9993e364706816aba3e25717850c26c9cd0d89d""#,
        ),
        (
            "return lune.serde.hash('sha256', 'abc'), lune.serde.hash('sha2_256', 'abc') == lune.serde.hash('sha2-256', 'abc')",
            r#"["ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",true]"#,
        ),
        (
            "return lune.serde.hash('sha3-256', '')",
            r#""a7ffc6f8bf1ed76651c14756a061d662f580ff4de43b49fa82d80a4b80f8434a""#,
        ),
        (
            "return lune.serde.hash('blake3', '')",
            r#""af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262""#,
        ),
        (
            "return lune.serde.hmac('sha256', 'what do ya want for nothing?', 'Jefe')",
            r#""5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843""#,
        ),
        (
            "local n = 0 for _, a in {'md5', 'sha1', 'sha224', 'sha256', 'sha384', 'sha512', 'sha3-224', 'sha3_256', 'sha3-384', 'sha3-512', 'blake3'} do n += #lune.serde.hmac(a, 'x', 'y') + #lune.serde.hash(a, 'x') end return n",
            "1648",
        ),
    ]);
}

#[test]
fn what_is_too_much_or_not_in_the_format_is_an_error() {
    all_throw(&[
        ("lune.serde.encode('xml', 1)", "json, yaml and toml"),
        ("lune.serde.decode('xml', '')", "json, yaml and toml"),
        ("lune.serde.compress('zip', '')", "brotli, gzip, lz4 and zlib"),
        ("lune.serde.decompress('zip', '')", "brotli, gzip, lz4 and zlib"),
        ("lune.serde.hash('crc', '')", "md5, sha1"),
        ("lune.serde.encode('json', print)", "value is a function"),
        ("local t = {} t.t = t lune.serde.encode('yaml', t)", "nested deeper than 64 levels"),
        ("lune.serde.encode('toml', 5)", "cannot write this as toml"),
        ("lune.serde.encode('json', string.rep('x', 2^20 + 1))", "more than 1048576 bytes"),
        ("lune.serde.decode('json', string.rep('[', 200000))", "nested deeper"),
        ("lune.serde.decode('json', '[' .. string.rep('1,', 100000) .. '1]')", "parts"),
        ("lune.serde.decode('json', '1 2')", "trailing"),
        ("lune.serde.decode('json', '\\255')", "not UTF-8"),
        ("lune.serde.decode('json', string.rep(' ', 2^18 + 1))", "too much at once"),
        ("lune.serde.decode('yaml', string.rep('[', 200))", "nested too deep"),
        ("lune.serde.decode('yaml', string.rep('- ', 16000))", "nested too deep"),
        ("lune.serde.decode('yaml', string.rep('? ', 16000))", ""),
        ("lune.serde.decode('yaml', string.rep('a:\\n', 1) .. string.rep(' ', 65536))", "too much at once"),
        ("lune.serde.decode('yaml', 'a: &x [1]\\nb: *x')", "aliases"),
        ("lune.serde.decode('yaml', '!!str 5')", "tags"),
        ("lune.serde.decode('yaml', '--- 1\\n--- 2')", "more than one document"),
        ("lune.serde.decode('yaml', '[1, 2]: 3')", "only texts can be keys"),
        ("lune.serde.decode('yaml', 'a: \"')", "not yaml"),
        ("lune.serde.decode('toml', 'a = ')", "not toml"),
        ("lune.serde.decode('toml', 'a = ' .. string.rep('[', 30000))", "not toml"),
        ("lune.serde.decode('toml', string.rep('a.', 16000) .. 'a = 1')", "not toml"),
        ("lune.serde.decode('toml', '[' .. string.rep('a.', 16000) .. 'a]')", "not toml"),
        ("lune.serde.decode('toml', string.rep('x = {', 6000))", "not toml"),
        ("lune.serde.compress('gzip', buffer.create(2^17 + 1))", "too much at once"),
        ("lune.serde.compress('brotli', buffer.create(2^16 + 1))", "too much at once"),
        ("lune.serde.compress('gzip', '', 7)", "the level is 0 to 6"),
        ("lune.serde.compress('brotli', '', -1)", "the level is 0 to 5"),
        ("lune.serde.decompress('gzip', 'x')", "not in that format"),
        ("lune.serde.decompress('zlib', '')", "not in that format"),
        ("lune.serde.decompress('lz4', 'abcdefgh')", "not in that format"),
        ("lune.serde.decompress('brotli', 'abc')", "not in that format"),
        ("lune.serde.hash('md5', buffer.create(2^21 + 1))", "too much at once"),
        ("lune.serde.hmac('md5', 'x')", "invalid argument 'secret'"),
        ("lune.serde.hmac('md5', 'x', string.rep('x', 1025))", "too much at once"),
    ]);
}

#[test]
fn dotted_keys_of_toml_inside_each_other_are_an_error() {
    let vm = Vm::new();
    let script = "local s = '1' for i = 1, 70 do s = '{' .. string.rep('a.', 70) .. 'a=' .. s .. '}' end \
        return #s < 32768, pcall(lune.serde.decode, 'toml', 'x = ' .. s)";
    let seen = result(&vm, script).unwrap();
    assert!(seen.starts_with("[true,false,") && seen.contains("not toml"), "{seen}");
}
