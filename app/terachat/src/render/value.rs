use super::{Align, Look, Table, one_line, time};
use serde_json::{Map, Value};

/// Plain data as a person reads it: an object as its fields, a list of objects as a table. Times become dates.
pub(crate) fn value(value: &Value, look: &Look) -> String {
    match value {
        Value::Array(rows) => rows_of(rows, look),
        Value::Object(fields) => fields_of(fields, look),
        other => format!("{}\n", text("", other, look)),
    }
}

fn rows_of(rows: &[Value], look: &Look) -> String {
    let mut columns: Vec<&str> = Vec::new();
    for name in rows.iter().filter_map(Value::as_object).flat_map(Map::keys) {
        if !columns.contains(&name.as_str()) {
            columns.push(name);
        }
    }
    let mut table = Table::default();
    if columns.is_empty() {
        rows.iter().for_each(|row| _ = table.row().cell(&text("", row, look)));
        return table.render();
    }
    table.row();
    for name in &columns {
        let name = label(name);
        table.painted(&name, look.paint.dim(&name), Align::Left);
    }
    for row in rows {
        table.row();
        for name in &columns {
            let cell = &row[*name];
            let shown = text(name, cell, look);
            let align = if cell.is_number() && !name.ends_with("_ms") { Align::Right } else { Align::Left };
            table.painted(&shown, shown.clone(), align);
        }
    }
    table.render()
}

fn fields_of(fields: &Map<String, Value>, look: &Look) -> String {
    let mut table = Table::default();
    for (name, field) in fields {
        let label = label(name);
        table.row().painted(&label, look.paint.dim(&label), Align::Left).cell(&text(name, field, look));
    }
    table.render()
}

fn label(name: &str) -> String {
    one_line(name.strip_suffix("_ms").unwrap_or(name)).replace('_', " ")
}

/// One field on one line.
fn text(name: &str, value: &Value, look: &Look) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => one_line(text),
        Value::Number(number) => match number.as_i64().filter(|_| name.ends_with("_ms")) {
            Some(ms) => time::date_clock(ms, &look.zone),
            None => number.to_string(),
        },
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::Array(items) => items.iter().map(|item| text("", item, look)).collect::<Vec<_>>().join(", "),
        Value::Object(fields) => {
            let field =
                |(name, field): (&String, &Value)| format!("{}={}", one_line(name), text(name, field, look));
            fields.iter().map(field).collect::<Vec<_>>().join(" ")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn fields_and_rows_align() {
        let look = Look::bare();
        assert_eq!(
            value(&json!({"id": "a\u{1b}", "stored_ms": 0, "matched": true}), &look),
            "id       a\u{241b}\nmatched  yes\nstored   1970-01-01 00:00\n"
        );
        let rows = json!([{"id": "a", "version": 7}, {"id": "bb", "version": 12, "labels": {"site": "x"}}]);
        assert_eq!(value(&rows, &look), "id  version  labels\na         7\nbb       12  site=x\n");
        assert_eq!(value(&json!([]), &look), "");
    }
}
