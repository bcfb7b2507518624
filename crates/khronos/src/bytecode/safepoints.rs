//! Safepoints for code that has too few of its own.
//!
//! Luau can pause a script at calls and at the ends of loops, nowhere else. Most operations between two of these take
//! nanoseconds, but one that reads a text of megabytes as a number, or compares two of them, takes milliseconds, looking
//! into a table whose keys all have the same hash takes tenths of one, and a file has room for a hundred thousand in a
//! row. So where that many are possible, the code is compiled once more, with an instruction at each statement that
//! Luau offers for measuring coverage, and which becomes a jump to the next instruction here: backwards by its name, and
//! so a safepoint. Code that is not like that is left as it is.
//!
//! Texts with the same hash are slow to load, too: each is compared with all that are there. A file may have few.
//!
//! Owns what is read of Luau's bytecode, which is as much as it takes to find the instructions; `loadsafe` in Luau's
//! `lvmload.cpp` is the format. Leaves to `bytecode` what is compiled and how.

use std::ops::Range;

/// What a slow operation costs, where a look into a table costs one. The worst cases, a number of 8 MB and a table that
/// fills a VM, are 2.5 and 0.4 ms.
const SLOW: u32 = 6;
/// The cost of what may follow each other, in the worst case some 250 ms.
const MOST_IN_A_ROW: u32 = 100 * SLOW;
/// And in one statement, which cannot be divided. Only a file that is made for it has more.
const MOST_IN_A_STATEMENT: u32 = 256 * SLOW;
/// Texts of a file whose hash ends in the same bits. Of 60,000, for which a file has room, eight are to be expected.
const MOST_ALIKE: u16 = 256;

/// The versions of the format that are understood here.
const VERSION: u8 = 9;
const TYPES_VERSION: u8 = 3;

/// Why there is no telling, or too much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unsafe {
    /// The function that begins at this line has a statement of too many operations.
    Statement { line: u32 },
    /// Too many texts have the same hash.
    Texts,
    /// It is not the bytecode that is known here.
    Unknown,
}

/// Compiles with `compile`, which is told whether to cover each statement, so that no stretch of code is too long.
pub(crate) fn compile<E>(compile: impl Fn(bool) -> Result<Vec<u8>, E>) -> Result<Result<Vec<u8>, Unsafe>, E> {
    let code = compile(false)?;
    let Some(file) = File::read(&code) else { return Ok(Err(Unsafe::Unknown)) };
    if file.has_crowd(&code) {
        return Ok(Err(Unsafe::Texts));
    }
    if file.longest(&code, Instruction::cost).0 <= MOST_IN_A_ROW {
        return Ok(Ok(code));
    }
    let mut code = compile(true)?;
    let Some(file) = File::read(&code) else { return Ok(Err(Unsafe::Unknown)) };
    for function in &file.functions {
        add_safepoints(&mut code[function.code.clone()]);
    }
    // A statement that puts much into a table is one that makes it, from keys that are known.
    Ok(match file.longest(&code, Instruction::cost_without_writes) {
        (row, _) if row <= MOST_IN_A_STATEMENT => Ok(code),
        (_, line) => Err(Unsafe::Statement { line }),
    })
}

/// What there is in the bytecode of a file, and where.
struct File {
    texts: Vec<Range<usize>>,
    functions: Vec<Function>,
}

impl File {
    /// Nothing for a format that is not known.
    fn read(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader { bytes, at: 0 };
        if reader.byte()? != VERSION || reader.byte()? != TYPES_VERSION {
            return None;
        }
        let mut texts = Vec::new();
        for _ in 0..reader.varint()? {
            let length = reader.varint()?;
            texts.push(reader.skip(length)?);
        }
        // Names of the types of userdata.
        while reader.byte()? != 0 {
            reader.varint()?;
        }
        let mut functions = Vec::new();
        for _ in 0..reader.varint()? {
            functions.push(reader.function()?);
        }
        reader.varint()?;
        (reader.at == bytes.len()).then_some(Self { texts, functions })
    }

    /// The highest cost of what can follow each other in any function, and the line where that begins.
    fn longest(&self, code: &[u8], cost: impl Fn(&Instruction) -> u32) -> (u32, u32) {
        let row = |function: &Function| (longest_row(&code[function.code.clone()], &cost), function.line);
        self.functions.iter().map(row).max_by_key(|(row, _)| *row).unwrap_or_default()
    }

    /// Whether too many texts would be in the same place of Luau's table of texts.
    fn has_crowd(&self, code: &[u8]) -> bool {
        let mut alike = vec![0_u16; 1 << 16];
        self.texts.iter().any(|text| {
            let [low, high, ..] = hash(&code[text.clone()]).to_le_bytes();
            let place = &mut alike[usize::from(u16::from_le_bytes([low, high]))];
            *place = place.saturating_add(1);
            *place > MOST_ALIKE
        })
    }
}

/// Luau's hash of a text (`luaS_hash`), which has no seed.
fn hash(text: &[u8]) -> u32 {
    let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
    let (mut a, mut b, mut h) = (0_u32, 0_u32, length);
    let mut rest = text;
    while rest.len() >= 32 {
        let word = |at: usize| u32::from_le_bytes([rest[at], rest[at + 1], rest[at + 2], rest[at + 3]]);
        (a, b, h) = (a.wrapping_add(word(0)), b.wrapping_add(word(4)), h.wrapping_add(word(8)));
        a = (a ^ h).wrapping_sub(h.rotate_right(14));
        b = (b ^ a).wrapping_sub(a.rotate_right(11));
        h = (h ^ b).wrapping_sub(b.rotate_right(25));
        rest = &rest[12..];
    }
    rest.iter().rev().fold(h, |h, byte| h ^ (h << 5).wrapping_add(h >> 2).wrapping_add(u32::from(*byte)))
}

struct Function {
    /// Where its instructions are, of four bytes each.
    code: Range<usize>,
    line: u32,
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn byte(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    fn skip(&mut self, bytes: usize) -> Option<Range<usize>> {
        let end = self.at.checked_add(bytes).filter(|end| *end <= self.bytes.len())?;
        Some(std::mem::replace(&mut self.at, end)..end)
    }

    fn varint(&mut self) -> Option<usize> {
        let mut value = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 127) << shift;
            if byte < 128 {
                return usize::try_from(value).ok();
            }
        }
        None
    }

    fn function(&mut self) -> Option<Function> {
        // Stack, parameters, upvalues, varargs, flags.
        self.skip(5)?;
        let types = self.varint()?;
        self.skip(types)?;
        let instructions = self.varint()?;
        let code = self.skip(instructions.checked_mul(4)?)?;
        for _ in 0..self.varint()? {
            self.constant()?;
        }
        for _ in 0..self.varint()? {
            self.varint()?;
        }
        let line = u32::try_from(self.varint()?).ok()?;
        self.varint()?;
        if self.byte()? != 0 {
            let gap = u32::from(self.byte()?);
            let intervals = (instructions.checked_sub(1)?.checked_shr(gap)?) + 1;
            self.skip(instructions)?;
            self.skip(intervals.checked_mul(4)?)?;
        }
        if self.byte()? != 0 {
            for _ in 0..self.varint()? {
                // Name, first and last instruction, register.
                for _ in 0..3 {
                    self.varint()?;
                }
                self.byte()?;
            }
            for _ in 0..self.varint()? {
                self.varint()?;
            }
        }
        Some(Function { code, line })
    }

    fn constant(&mut self) -> Option<()> {
        let bytes = match self.byte()? {
            // nil, a boolean, a number, an import, a vector.
            0 => 0,
            1 => 1,
            2 => 8,
            4 => 4,
            7 => 16,
            // A text, a closure.
            3 | 6 => {
                self.varint()?;
                0
            }
            // The keys of a table; and with its values.
            kind @ (5 | 8) => {
                for _ in 0..self.varint()? {
                    self.varint()?;
                    self.skip(if kind == 8 { 4 } else { 0 })?;
                }
                0
            }
            // An integer: its sign, and how large it is.
            9 => {
                self.byte()?;
                self.varint()?;
                0
            }
            _ => return None,
        };
        self.skip(bytes).map(|_| ())
    }
}

/// One instruction: what it is, whether a word of its own follows, and where it may lead besides the next one.
struct Instruction {
    op: u8,
    word: u32,
}

/// `JUMPBACK`, with a distance of nothing.
const SAFEPOINT: [u8; 4] = [24, 0, 0, 0];
const COVERAGE: u8 = 69;

impl Instruction {
    fn at(code: &[u8], index: usize) -> Option<Self> {
        let bytes = code.get(index * 4..index * 4 + 4)?;
        let word = u32::from_le_bytes(bytes.try_into().ok()?);
        Some(Self { op: bytes[0], word })
    }

    /// How many words it takes.
    fn length(&self) -> usize {
        match self.op {
            7
            | 8
            | 12
            | 15
            | 16
            | 20
            | 27..=32
            | 53
            | 55
            | 58
            | 60
            | 66
            | 74
            | 75
            | 77..=80
            | 83..=88
            | 90 => 2,
            _ => 1,
        }
    }

    /// Whether the script may be paused before it: `CALL`, `RETURN`, `JUMPBACK`, `FORNLOOP`, `FORGLOOP`, `JUMPX`,
    /// `CALLFB`.
    fn is_safepoint(&self) -> bool {
        matches!(self.op, 21 | 22 | 24 | 57 | 58 | 67 | 87)
    }

    /// What it may cost at the worst, in looks into a table.
    fn cost(&self) -> u32 {
        match self.op {
            // As long as a text is: comparisons, arithmetic, CONCAT, FORNPREP, and built-in functions that are called
            // without a call.
            28 | 29 | 31..=44 | 49 | 51 | 56 | 60 | 68 | 71..=75 | 81 | 82 => SLOW,
            // As long as keys are alike: reading from tables, and writing.
            7 | 12 | 13 | 15 | 17 | 20 | 83 | 85 | 8 | 14 | 16 | 18 | 84 => 1,
            _ => 0,
        }
    }

    fn cost_without_writes(&self) -> u32 {
        if matches!(self.op, 8 | 14 | 16 | 18 | 84) { 0 } else { self.cost() }
    }

    /// How far from the next word it may jump.
    fn jump(&self) -> Option<isize> {
        let wide = || isize::try_from(self.word.cast_signed() >> 16).ok();
        let narrow = || isize::try_from(self.word >> 24).ok();
        match self.op {
            // JUMP, JUMPIF and the like, FORNPREP, FORGPREP, JUMPXEQK..
            23 | 25..=32 | 56 | 59 | 61 | 76..=80 => wide(),
            // LOADB skips what is between.
            3 => narrow(),
            // A built-in function skips the call that is there in case it cannot be done.
            60 | 68 | 73..=75 => narrow().map(|skip| skip + 1),
            _ => None,
        }
    }
}

/// The highest cost of what can follow each other on any way through a function. Ways back go through a safepoint.
fn longest_row(code: &[u8], cost: impl Fn(&Instruction) -> u32) -> u32 {
    let count = code.len() / 4;
    // What the ways to each instruction cost at most.
    let mut before = vec![0; count + 1];
    let (mut longest, mut index) = (0, 0);
    while let Some(instruction) = Instruction::at(code, index) {
        let row: u32 = before[index] + cost(&instruction);
        longest = longest.max(row);
        let after = if instruction.is_safepoint() { 0 } else { row };
        let mut reach = |target: usize| {
            if let Some(known) = before.get_mut(target) {
                *known = after.max(*known);
            }
        };
        reach(index + instruction.length());
        if let Some(target) = instruction.jump().and_then(|jump| (index + 1).checked_add_signed(jump))
            && target > index
        {
            reach(target);
        }
        index += instruction.length();
    }
    longest
}

/// Turns the marks of coverage into safepoints.
fn add_safepoints(code: &mut [u8]) {
    let mut index = 0;
    while let Some(instruction) = Instruction::at(code, index) {
        if instruction.op == COVERAGE {
            code[index * 4..index * 4 + 4].copy_from_slice(&SAFEPOINT);
        }
        index += instruction.length();
    }
}

#[cfg(test)]
mod tests {
    use mlua::chunk::Compiler;

    use super::*;

    fn compiled(source: &str) -> Result<Vec<u8>, Unsafe> {
        let compiler = Compiler::new().set_optimization_level(1).set_debug_level(1).set_type_info_level(1);
        compile(|covered| compiler.clone().set_coverage_level(u8::from(covered)).compile(source)).unwrap()
    }

    /// How many slow operations can follow each other.
    fn row(source: &str) -> u32 {
        let code = compiled(source).unwrap();
        File::read(&code).unwrap().longest(&code, Instruction::cost).0 / SLOW
    }

    #[test]
    fn operations_are_counted_on_the_longest_way_between_two_safepoints() {
        assert_eq!(row("local a, b = ... return a + b"), 1);
        assert_eq!(row("local a, b, f = ... local c = a + b f() return c * a - b"), 2);
        // The call may be left out.
        assert_eq!(row("local a, b, f = ... local c = a + b if f then f() end return c * a - b"), 3);
        assert_eq!(
            row("local a, b = ... while a do a = a - 1 if a == 5 then b = b .. a end end return a < b"),
            2
        );
        // Built-in functions may be done without a call.
        assert_eq!(row("local a = ... return math.abs(a + 1) + math.abs(a + 2)"), 5);
        let inner = "local function f(a) return a + 1 + 2 + a end return f";
        assert_eq!(row(inner), 3);
    }

    #[test]
    fn every_kind_of_code_is_understood() {
        for source in [
            "",
            "return nil, true, 1.5, 'text', 12345678901, {1, 2, x = 3, [4] = 5}, {a = 'b', c = {}}",
            "for i = 1, 10 do for k, v in {} do print(i, k, v) end for k, v in pairs({}) do end for _, v in ipairs({}) do end end",
            "local function f(...) local a, b = ... return select('#', ...), a, b, ... end return f(f())",
            "local t = setmetatable({}, {__index = function(self, k) return k end}) t.x, t[1], t[300], t.y.z = 1, 2, 3, 4",
            "type T = {x: number} local v: T = {x = 1} local w = vector.create(1, 2, 3) return v.x, w.x, w * 2",
            "local x = if math.random() > 0.5 then 1 elseif true then 2 else 3 x += 1 x ..= 'a' repeat x = nil until not x",
            "local a = 5 local function up() a += 1 return a end return `{up()} and {a // 2}`, a ~= nil and a == 5 or a",
            "goal = 1 print(goal) string.format('%s', goal) local s = ('x'):rep(3) return #s, -#s, not s, 2 ^ 3, 7 % 4, 1 / 3",
        ] {
            assert!(compiled(source).is_ok(), "{source}");
        }
    }

    #[test]
    fn a_long_row_gets_safepoints_and_a_long_statement_is_refused() {
        let many = format!("local a, x = ... {}", "x = a + 1 ".repeat(5_000));
        assert_eq!(row(&many), 1);
        let skipped = format!("local a, x, f = ... {}", "x = a + 1 if f then f() end ".repeat(5_000));
        assert_eq!(row(&skipped), 1);
        let few = format!("local a, x = ... {}", "x = a + 1 ".repeat(90));
        assert_eq!(row(&few), 90, "left as it is");
        let list =
            |count| format!("\n\nlocal function f(a) return {{ {} }} end return f", "a + 1, ".repeat(count));
        assert!(compiled(&list(200)).is_ok());
        assert_eq!(compiled(&list(300)), Err(Unsafe::Statement { line: 3 }));
        let reads = |count| format!("local t = ... return {{ {} }}", "t.x, ".repeat(count));
        assert!(compiled(&reads(1_500)).is_ok());
        assert_eq!(compiled(&reads(2_000)), Err(Unsafe::Statement { line: 1 }));
        let data: String = (0..20_000).map(|n| format!("key{n} = {n}, ")).collect();
        assert!(compiled(&format!("return {{ {data} }}")).is_ok(), "a large table is an honest thing");
    }

    #[test]
    fn a_file_may_have_many_texts_but_few_of_one_hash() {
        let honest: String = (0..30_000).map(|n| format!("'text number {n}', ")).collect();
        assert!(compiled(&format!("return {{ {honest} }}")).is_ok());
        let alike: Vec<String> = (0_u32..)
            .map(|n| format!("{n:x}"))
            .filter(|text| hash(text.as_bytes()) & 0xffff == 0)
            .take(300)
            .collect();
        let source = |count: usize| format!("return {{ '{}' }}", alike[..count].join("', '"));
        assert!(compiled(&source(200)).is_ok());
        assert_eq!(compiled(&source(300)), Err(Unsafe::Texts));
    }

    #[test]
    fn the_hash_is_luaus_own() {
        // Texts of which Luau takes ever longer to make another one, built from four places where three are alike.
        let places =
            [["\"#P", "\":)", "\"BO"], [" 0K", " QL", " rM"], [" &d", " Ec", " L1"], [" -K", " NJ", " Q0"]];
        let text = |choice: usize| {
            (0..4).map(|at| places[at][choice / 3_usize.pow(at as u32) % 3]).collect::<String>()
        };
        let first = hash(text(0).as_bytes());
        assert!((1..81).all(|choice| hash(text(choice).as_bytes()) == first));
        assert_ne!(hash(b"something else"), first);
    }
}
