//! A program that travelled to another process as an image.

use khronos::{KhronosValue, Program, ProgramImage, Verdict};

use crate::vm::{Vm, program};

const FILES: [(&str, &str); 5] = [
    (
        "init.luau",
        "local event = ...\nreturn { event.n + require('@lib/one'), require('./two'), require('@Deep') }",
    ),
    (".luaurc", r#"{"aliases": {"Lib": "./lib", "deep": "./lib/deep"}}"#),
    ("lib/one.luau", "return 1"),
    ("lib/deep/init.luau", "return require('@self/../one') + 2"),
    ("two.luau", "return 'two'"),
];

fn travelled(program: &Program) -> Program {
    let text = serde_json::to_string(&program.image()).unwrap();
    Program::from_image(serde_json::from_str::<ProgramImage>(&text).unwrap())
}

#[test]
fn an_image_runs_as_its_program_does_and_knows_its_aliases() {
    let vm = Vm::new();
    let program = program(&FILES);
    let run = |program: Program| {
        let isolate = vm.runtime.create_isolate("test", program).unwrap();
        match vm.dispatch(isolate, r#"{"n": 41}"#).verdict {
            Verdict::Returned(value) => value.to_value(),
            other => panic!("did not return: {other:#?}"),
        }
    };
    let expected = KhronosValue::List(vec![42.0.into(), "two".into(), 3.0.into()]);
    assert_eq!(run(program.clone()), expected);
    assert_eq!(run(Program::from_image(program.image())), expected);
    assert_eq!(run(travelled(&program)), expected);
}

#[test]
fn an_image_has_the_same_code_as_its_program() {
    let program = program(&FILES);
    let travelled = travelled(&program);
    assert!(travelled.has_same_code(&program));
    assert_eq!(travelled.entry(), "init.luau");
    assert_eq!(travelled.code_bytes(), program.code_bytes());
    assert_eq!(travelled.resolve("init.luau", "@lib/one"), Ok("lib/one.luau".to_owned()));
}
