//! There and back: what goes into a VM and comes out again is the same, for very many generated values.

use std::cell::RefCell;
use std::rc::Rc;

use khronos::{
    ExecutionLimits, Interval, IsolateId, Json, KhronosValue, TimeZone, Timestamp, ValueLimits, Verdict,
};

use crate::vm::Vm;

/// Values without end from a seed (xorshift64*), the same ones in each run.
struct Source(u64);

impl Source {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11) % end
    }

    /// Any number that is one.
    fn number(&mut self) -> f64 {
        match self.below(5) {
            0 => self.below(10) as f64,
            1 => -(self.below(1 << 53) as f64),
            2 => self.below(1_000_000) as f64 / 1_000.0,
            3 => [0.1, 1e308, 5e-324, 2f64.powi(53), -1e21, 1e-7, 123_456_789_012_345.67]
                [self.below(7) as usize],
            _ => loop {
                let bits = self.below(1 << 53) << 11 | self.below(1 << 11);
                let number = f64::from_bits(bits);
                if number.is_finite() {
                    break number;
                }
            },
        }
    }

    fn text(&mut self) -> String {
        const SIGNS: [&str; 14] =
            ["", "a", "key", "\"", "\\", "\n", "\0", "\u{1f}", "ü", "😀", "\u{2028}", "\u{7f}", " ", "/"];
        let signs = self.below(6);
        (0..signs).map(|_| SIGNS[self.below(14) as usize]).collect()
    }

    /// What is an object in a VM.
    fn object(&mut self) -> KhronosValue {
        let zone = ["UTC", "Asia/Kolkata", "America/St_Johns"][self.below(3) as usize];
        let zone = TimeZone::from_name(zone).unwrap();
        let number = i128::from(self.below(1 << 53)) - (1 << 52);
        match self.below(5) {
            0 => KhronosValue::Integer(i64::MIN + self.below(1 << 53) as i64),
            1 => KhronosValue::UnsignedInteger(u64::MAX >> self.below(64)),
            2 => KhronosValue::Timestamptz(Timestamp::from_nanos(number * 10_001, zone).unwrap()),
            3 => KhronosValue::Interval(Interval::from_nanos(number * 1_000_001).unwrap()),
            _ => KhronosValue::TimeZone(zone),
        }
    }

    /// A value; with `all` also what JSON lacks. No nulls inside a table, which are holes there, and no empty list or
    /// map is told from the other by its parts alone.
    fn value(&mut self, depth: u64, all: bool) -> KhronosValue {
        match self.below(if depth == 0 { 4 } else { 7 }) {
            0 if all && self.below(2) == 0 => self.object(),
            0 => KhronosValue::Boolean(self.below(2) == 0),
            1 => self.number().into(),
            2 if all && self.below(2) == 0 => {
                KhronosValue::Buffer((0..self.below(9)).map(|_| self.below(256) as u8).collect())
            }
            3 if all && self.below(2) == 0 => {
                KhronosValue::Vector([self.below(9) as f32, self.below(99) as f32 / 8.0, -1.0])
            }
            2 | 3 => self.text().into(),
            4 => KhronosValue::List((0..self.below(5)).map(|_| self.value(depth - 1, all)).collect()),
            _ => KhronosValue::Map(
                (0..self.below(6)).map(|_| (self.text(), self.value(depth - 1, all))).collect(),
            ),
        }
    }
}

/// A script that hands its event to a function of the host, as it is in the VM, and returns it.
struct Echo {
    vm: Vm,
    isolate: IsolateId,
    take: mlua::Value,
    taken: Rc<RefCell<Vec<KhronosValue>>>,
}

impl Echo {
    fn new() -> Self {
        let vm = Vm::new();
        let isolate =
            vm.isolate(&[("init.luau", "return function(event, take) take(event) return event end")]);
        let taken = Rc::new(RefCell::new(Vec::new()));
        let slot = Rc::clone(&taken);
        let serve = move |mut args: Vec<KhronosValue>, reply: khronos::Reply| {
            slot.borrow_mut().push(args.remove(0));
            reply.ok(KhronosValue::Null);
        };
        let take = mlua::Value::Function(vm.runtime.create_async_function("take", serve).unwrap());
        Self { vm, isolate, take, taken }
    }

    /// What the two ways out make of `event`.
    fn send(&self, event: &mlua::Value) -> (KhronosValue, Json) {
        let limits = ExecutionLimits::default();
        let id = self.vm.runtime.start(self.isolate, "TEST", event, &self.take, limits).unwrap();
        let Verdict::Returned(json) = self.vm.finish(id).verdict else { panic!() };
        (self.taken.borrow_mut().pop().unwrap(), json)
    }
}

#[test]
fn json_comes_back_as_it_went_in() {
    let (echo, mut source) = (Echo::new(), Source(7));
    for round in 0..1_000 {
        let value = source.value(4, false);
        let text = serde_json::to_string(&value).unwrap();
        let event = echo.vm.runtime.decode_json(&text).unwrap();
        let (taken, json) = echo.send(&event);
        assert_eq!(taken, value, "round {round}");
        assert_eq!(json, Json::from(value), "round {round}");
        // Key order aside, it is the same text: numbers and escapes are written alike.
        assert_eq!(json.as_str().len(), text.len(), "round {round}: {json} {text}");
    }
}

#[test]
fn values_come_back_as_they_went_in_and_both_ways_out_agree() {
    let (echo, mut source) = (Echo::new(), Source(11));
    for round in 0..1_000 {
        let value = source.value(4, true);
        let event = echo.vm.runtime.create_value(&value).unwrap();
        let (taken, json) = echo.send(&event);
        assert_eq!(taken, value, "round {round}");
        let parsed = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        let other = serde_json::to_string(&taken).unwrap();
        assert_eq!(parsed(json.as_str()), parsed(&other), "round {round}");
        let typed = KhronosValue::from_typed_json(&taken.to_typed_json(), ValueLimits::default());
        assert_eq!(typed, Ok(value), "round {round}");
    }
}
