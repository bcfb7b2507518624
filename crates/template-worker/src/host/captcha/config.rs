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
        request.char_count = whole("char_count", &count)?;
    }
    if let Some(size) = config.remove("viewbox_size") {
        let (width, height) = pair("viewbox_size", size)?;
        request.viewbox_size = (whole("viewbox_size", &width)?, whole("viewbox_size", &height)?);
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

fn filter(value: KhronosValue) -> Result<Filter, String> {
    const KNOWN: &str = "use one of Noise, Wave, Line, RandomLine, Grid and ColorInvert";
    let KhronosValue::Map(mut fields) = value else { return Err(format!("a filter is a table: {KNOWN}")) };
    let name = fields.remove("filter");
    let Some(KhronosValue::Text(name)) = name else {
        return Err(format!("a filter has its name as `filter`: {KNOWN}"));
    };
    let (filter, has) = match name.as_str() {
        "Noise" => (Filter::Noise { prob: number(&mut fields, "prob")? }, "`prob`"),
        "Wave" => {
            let d = match fields.remove("d") {
                None => Direction::Horizontal,
                Some(KhronosValue::Text(d)) if d == "horizontal" => Direction::Horizontal,
                Some(KhronosValue::Text(d)) if d == "vertical" => Direction::Vertical,
                Some(_) => return Err("d of the filter Wave is \"horizontal\" or \"vertical\"".to_owned()),
            };
            let (f, amp) = (number(&mut fields, "f")?, number(&mut fields, "amp")?);
            (Filter::Wave { f, amp, d }, "`f`, `amp` and `d`")
        }
        "Line" => {
            let (p1, p2) = (point(&mut fields, "p1")?, point(&mut fields, "p2")?);
            let (thickness, color) = (number(&mut fields, "thickness")?, color(&mut fields)?);
            (Filter::Line { p1, p2, thickness, color }, "`p1`, `p2`, `thickness` and `color`")
        }
        "RandomLine" => (Filter::RandomLine, "nothing more"),
        "Grid" => {
            let mut gap = |name| whole(name, &fields.remove(name).unwrap_or_default());
            (Filter::Grid { x_gap: gap("x_gap")?, y_gap: gap("y_gap")? }, "`x_gap` and `y_gap`")
        }
        "ColorInvert" => (Filter::ColorInvert, "nothing more"),
        other => {
            let other: String = other.chars().take(40).collect();
            return Err(format!("there is no filter `{other}`: {KNOWN}"));
        }
    };
    nothing_else(&fields, &format!("the filter {name}"), has)?;
    Ok(filter)
}

fn nothing_else(left: &Map, what: &str, has: &str) -> Result<(), String> {
    let Some(name) = left.keys().next() else { return Ok(()) };
    let name: String = name.chars().take(40).collect();
    Err(format!("`{name}` is nothing that {what} has: it has {has}"))
}

fn number(fields: &mut Map, name: &str) -> Result<f64, String> {
    as_number(&fields.remove(name).unwrap_or_default())
        .ok_or_else(|| format!("{name} of a filter is a number"))
}

#[expect(clippy::cast_precision_loss, reason = "Luau's numbers are doubles")]
fn as_number(value: &KhronosValue) -> Option<f64> {
    match value {
        KhronosValue::Integer(number) => Some(*number as f64),
        KhronosValue::Float(number) => Some(*number),
        _ => None,
    }
}

fn whole(name: &str, value: &KhronosValue) -> Result<u32, String> {
    match value {
        KhronosValue::Integer(number) => u32::try_from(*number).ok(),
        _ => None,
    }
    .ok_or_else(|| format!("{name} takes whole numbers that are not negative"))
}

/// Two values, as a list or as `x` and `y`.
fn pair(name: &str, value: KhronosValue) -> Result<(KhronosValue, KhronosValue), String> {
    match value {
        KhronosValue::List(items) => <[KhronosValue; 2]>::try_from(items).ok().map(|[x, y]| (x, y)),
        KhronosValue::Map(mut fields) => fields.remove("x").zip(fields.remove("y")),
        _ => None,
    }
    .ok_or_else(|| format!("{name} is a list of two numbers"))
}

fn point(fields: &mut Map, name: &str) -> Result<(f64, f64), String> {
    let (x, y) = pair(name, fields.remove(name).unwrap_or_default())?;
    as_number(&x).zip(as_number(&y)).ok_or_else(|| format!("{name} is a list of two numbers"))
}

fn color(fields: &mut Map) -> Result<[u8; 3], String> {
    let wrong = || "color is a table with r, g and b from 0 to 255".to_owned();
    let Some(KhronosValue::Map(color)) = fields.remove("color") else { return Err(wrong()) };
    let part = |name| match color.get(name) {
        Some(KhronosValue::Integer(part)) => u8::try_from(*part).map_err(|_| wrong()),
        _ => Err(wrong()),
    };
    Ok([part("r")?, part("g")?, part("b")?])
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
            (with_filter(&[("filter", text("Noise"))]).map(|_| ()), "prob of a filter is a number"),
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
