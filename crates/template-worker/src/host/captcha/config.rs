//! What a script asks for, read into what is drawn.
//!
//! Owns the names, which are those of AntiRaid's captchas in 2025, and the texts about what is wrong with one. Which numbers
//! make sense is said with what is drawn.

use std::collections::BTreeMap;

use khronos::KhronosValue;

use super::{CaptchaRequest, Direction, Filter, MOST_FILTERS};

type Map = BTreeMap<String, KhronosValue>;

/// What `config` asks for; what it leaves out is as usual.
///
/// # Errors
/// Says what is wrong and what can be asked for.
pub(in crate::host) fn read(config: KhronosValue) -> Result<CaptchaRequest, String> {
    let KhronosValue::Map(mut config) = config else { return Err("expected a table".to_owned()) };
    let mut request = CaptchaRequest::default();
    if let Some(count) = config.remove("char_count") {
        request.char_count = whole("char_count", count)?;
    }
    if let Some(size) = config.remove("viewbox_size") {
        let (width, height) = pair(size).ok_or("viewbox_size is a list of two numbers")?;
        request.viewbox_size = (whole("viewbox_size", width)?, whole("viewbox_size", height)?);
    }
    if let Some(filters) = config.remove("filters") {
        request.filters = self::filters(filters)?;
    }
    // It said when the picture gets its size, which is at its beginning now.
    config.remove("set_viewbox_at_idx");
    nothing_else(&config, "a captcha", "`char_count`, `filters` and `viewbox_size`")?;
    Ok(request)
}

fn filters(value: KhronosValue) -> Result<Vec<Filter>, String> {
    let filters = match value {
        KhronosValue::List(filters) => filters,
        KhronosValue::Map(empty) if empty.is_empty() => Vec::new(),
        _ => return Err("filters is a list of tables such as {filter = \"Noise\", prob = 0.1}".to_owned()),
    };
    if filters.len() > MOST_FILTERS {
        return Err(format!("there are {} filters: use at most {MOST_FILTERS}", filters.len()));
    }
    filters.into_iter().map(filter).collect()
}

/// Every filter, with its fields and what each takes.
const FILTERS: [(&str, &[(&str, &str)]); 6] = [
    ("Noise", &[("prob", "a number from 0 to 1")]),
    (
        "Wave",
        &[
            ("f", "a number from -1000 to 1000"),
            ("amp", "a number from -1000 to 1000"),
            ("d", "\"horizontal\" or \"vertical\""),
        ],
    ),
    (
        "Line",
        &[
            ("p1", "a list of two numbers"),
            ("p2", "a list of two numbers"),
            ("thickness", "a number of pixels"),
            ("color", "red, green and blue from 0 to 255, such as {r = 0, g = 30, b = 100}"),
        ],
    ),
    ("RandomLine", &[]),
    ("Grid", &[("x_gap", "a whole number from 1 to 511"), ("y_gap", "a whole number from 1 to 511")]),
    ("ColorInvert", &[]),
];

/// The fields of a filter that are not read yet.
struct Fields {
    filter: &'static str,
    takes: &'static [(&'static str, &'static str)],
    left: Map,
}

impl Fields {
    /// The field `name`, as `read` understands it.
    fn take<T>(&mut self, name: &str, read: impl Fn(KhronosValue) -> Option<T>) -> Result<T, String> {
        let value = self.left.remove(name).unwrap_or_default();
        read(value).ok_or_else(|| {
            let takes = self.takes.iter().find(|(known, _)| *known == name).map_or("", |(_, takes)| takes);
            format!("a `{}` filter needs `{name}`: {takes}", self.filter)
        })
    }
}

fn filter(value: KhronosValue) -> Result<Filter, String> {
    const KNOWN: &str = "use one of Noise, Wave, Line, RandomLine, Grid and ColorInvert";
    let KhronosValue::Map(mut left) = value else { return Err(format!("a filter is a table: {KNOWN}")) };
    let Some(KhronosValue::Text(name)) = left.remove("filter") else {
        return Err(format!("a filter has its name as `filter`: {KNOWN}"));
    };
    let Some(&(filter, takes)) = FILTERS.iter().find(|(known, _)| *known == name) else {
        let name: String = name.chars().take(40).collect();
        return Err(format!("there is no filter `{name}`: {KNOWN}"));
    };
    if let Some(unknown) = left.keys().find(|key| !takes.iter().any(|(known, _)| known == key)) {
        let has: Vec<_> = takes.iter().map(|(known, _)| format!("`{known}`")).collect();
        let has = if has.is_empty() { "nothing more".to_owned() } else { has.join(", ") };
        return Err(is_nothing(unknown, &format!("the filter {filter}"), &has));
    }
    let mut fields = Fields { filter, takes, left };
    Ok(match filter {
        "Noise" => Filter::Noise { prob: fields.take("prob", number)? },
        "Wave" => Filter::Wave {
            f: fields.take("f", number)?,
            amp: fields.take("amp", number)?,
            d: fields.take("d", direction)?,
        },
        "Line" => Filter::Line {
            p1: fields.take("p1", point)?,
            p2: fields.take("p2", point)?,
            thickness: fields.take("thickness", number)?,
            color: fields.take("color", color)?,
        },
        "RandomLine" => Filter::RandomLine,
        "Grid" => Filter::Grid { x_gap: fields.take("x_gap", count)?, y_gap: fields.take("y_gap", count)? },
        _ => Filter::ColorInvert,
    })
}

fn nothing_else(left: &Map, what: &str, has: &str) -> Result<(), String> {
    left.keys().next().map_or(Ok(()), |name| Err(is_nothing(name, what, has)))
}

fn is_nothing(name: &str, what: &str, has: &str) -> String {
    let name: String = name.chars().take(40).collect();
    format!("`{name}` is nothing that {what} has: it has {has}")
}

#[expect(clippy::cast_precision_loss, reason = "Luau's numbers are doubles")]
fn number(value: KhronosValue) -> Option<f64> {
    match value {
        KhronosValue::Integer(number) => Some(number as f64),
        KhronosValue::Float(number) => Some(number),
        _ => None,
    }
}

fn count(value: KhronosValue) -> Option<u32> {
    match value {
        KhronosValue::Integer(number) => u32::try_from(number).ok(),
        _ => None,
    }
}

fn whole(name: &str, value: KhronosValue) -> Result<u32, String> {
    count(value).ok_or_else(|| format!("{name} takes whole numbers that are not negative"))
}

/// Two values, as a list or as `x` and `y`.
fn pair(value: KhronosValue) -> Option<(KhronosValue, KhronosValue)> {
    match value {
        KhronosValue::List(items) => <[KhronosValue; 2]>::try_from(items).ok().map(|[x, y]| (x, y)),
        KhronosValue::Map(mut fields) => fields.remove("x").zip(fields.remove("y")),
        _ => None,
    }
}

fn point(value: KhronosValue) -> Option<(f64, f64)> {
    let (x, y) = pair(value)?;
    number(x).zip(number(y))
}

/// One of both; the first where it is left out.
fn direction(value: KhronosValue) -> Option<Direction> {
    match value {
        KhronosValue::Null => Some(Direction::Horizontal),
        KhronosValue::Text(d) if d == "horizontal" => Some(Direction::Horizontal),
        KhronosValue::Text(d) if d == "vertical" => Some(Direction::Vertical),
        _ => None,
    }
}

/// Red, green and blue, as a list or as `r`, `g` and `b`.
fn color(value: KhronosValue) -> Option<[u8; 3]> {
    let parts: [KhronosValue; 3] = match value {
        KhronosValue::List(parts) => parts.try_into().ok()?,
        KhronosValue::Map(mut parts) => [parts.remove("r")?, parts.remove("g")?, parts.remove("b")?],
        _ => return None,
    };
    let part = |part| u8::try_from(count(part)?).ok();
    let [r, g, b] = parts;
    Some([part(r)?, part(g)?, part(b)?])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(entries: &[(&str, KhronosValue)]) -> KhronosValue {
        KhronosValue::Map(entries.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect())
    }

    fn list(items: &[i64]) -> KhronosValue {
        KhronosValue::List(items.iter().map(|item| KhronosValue::Integer(*item)).collect())
    }

    fn with_filter(fields: &[(&str, KhronosValue)]) -> Result<Vec<Filter>, String> {
        read(map(&[("filters", KhronosValue::List(vec![map(fields)]))])).map(|request| request.filters)
    }

    fn text(text: &str) -> KhronosValue {
        KhronosValue::Text(text.to_owned())
    }

    #[test]
    fn what_is_left_out_is_as_usual() {
        assert_eq!(read(map(&[])), Ok(CaptchaRequest::default()));
        let size = [("char_count", KhronosValue::Integer(3)), ("viewbox_size", list(&[100, 50]))];
        let expected = CaptchaRequest { char_count: 3, viewbox_size: (100, 50), ..CaptchaRequest::default() };
        assert_eq!(read(map(&size)), Ok(expected));
        assert_eq!(read(map(&[("filters", map(&[]))])).unwrap().filters, []);
    }

    #[test]
    fn each_filter_is_read_by_its_name() {
        let float = KhronosValue::Float;
        let read = |fields: &[(&str, KhronosValue)]| with_filter(fields).unwrap().remove(0);
        assert_eq!(read(&[("filter", text("Noise")), ("prob", float(0.5))]), Filter::Noise { prob: 0.5 });
        let wave = [
            ("filter", text("Wave")),
            ("f", float(4.0)),
            ("amp", KhronosValue::Integer(2)),
            ("d", text("vertical")),
        ];
        assert_eq!(read(&wave), Filter::Wave { f: 4.0, amp: 2.0, d: Direction::Vertical });
        let color = map(&[
            ("r", KhronosValue::Integer(0)),
            ("g", KhronosValue::Integer(30)),
            ("b", KhronosValue::Integer(255)),
        ]);
        let line = [
            ("filter", text("Line")),
            ("p1", list(&[1, 0])),
            ("p2", map(&[("x", float(2.0)), ("y", float(3.0))])),
            ("thickness", float(2.0)),
            ("color", color),
        ];
        let expected = Filter::Line { p1: (1.0, 0.0), p2: (2.0, 3.0), thickness: 2.0, color: [0, 30, 255] };
        assert_eq!(read(&line), expected);
        let mut as_a_list = line.clone();
        as_a_list[4].1 = list(&[0, 30, 255]);
        assert_eq!(read(&as_a_list), expected);
        assert_eq!(read(&[("filter", text("RandomLine"))]), Filter::RandomLine);
        let grid = [
            ("filter", text("Grid")),
            ("x_gap", KhronosValue::Integer(10)),
            ("y_gap", KhronosValue::Integer(30)),
        ];
        assert_eq!(read(&grid), Filter::Grid { x_gap: 10, y_gap: 30 });
        assert_eq!(read(&[("filter", text("ColorInvert"))]), Filter::ColorInvert);
    }

    #[test]
    fn what_is_wrong_says_what_is_right() {
        for (wrong, said) in [
            (
                read(map(&[("char_count", KhronosValue::Integer(-1))])).map(|_| ()),
                "char_count takes whole numbers",
            ),
            (read(map(&[("char_count", text("5"))])).map(|_| ()), "char_count takes whole numbers"),
            (read(map(&[("viewbox_size", list(&[1, 2, 3]))])).map(|_| ()), "a list of two numbers"),
            (read(map(&[("filter", list(&[]))])).map(|_| ()), "it has `char_count`"),
            (read(map(&[("filters", text("Noise"))])).map(|_| ()), "filters is a list of tables"),
            (with_filter(&[]).map(|_| ()), "has its name as `filter`"),
            (
                with_filter(&[("filter", text("Cow"))]).map(|_| ()),
                "there is no filter `Cow`: use one of Noise",
            ),
            (
                with_filter(&[("filter", text("Noise"))]).map(|_| ()),
                "a `Noise` filter needs `prob`: a number from 0 to 1",
            ),
            (
                with_filter(&[("filter", text("Noise")), ("probability", KhronosValue::Float(0.1))])
                    .map(|_| ()),
                "`probability` is nothing that the filter Noise has: it has `prob`",
            ),
            (
                with_filter(&[("filter", text("Wave")), ("f", KhronosValue::Integer(1))]).map(|_| ()),
                "a `Wave` filter needs `amp`",
            ),
            (
                with_filter(&[("filter", text("RandomLine")), ("x", text("y"))]).map(|_| ()),
                "it has nothing more",
            ),
        ] {
            let error = wrong.unwrap_err();
            assert!(error.contains(said), "{error}");
        }
        let many = KhronosValue::List(vec![map(&[]); 13]);
        assert!(read(map(&[("filters", many)])).unwrap_err().contains("use at most 12"));
    }
}
