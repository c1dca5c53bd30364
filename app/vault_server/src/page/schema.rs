use super::html::{escape, prose};
use super::text;
use serde_json::{Map, Value, json};
use std::fmt::Write as _;

/// A schema in a few words, with a link to its own place if it has one.
pub(super) fn name(schema: &Value) -> String {
    if let Some(name) = reference(schema) {
        return format!("<a class=\"type\" href=\"#type-{name}\">{name}</a>");
    }
    let several = schema["oneOf"].as_array().or_else(|| schema["anyOf"].as_array());
    if let Some(parts) = several {
        return parts.iter().filter(|part| part["type"] != "null").map(name).collect::<Vec<_>>().join(" or ");
    }
    if let Some(words) = schema["enum"].as_array() {
        let words: Vec<_> =
            words.iter().map(|word| format!("<code>{}</code>", escape(&word.to_string()))).collect();
        return words.join(" · ");
    }
    let kind = kind(schema);
    let words = match kind {
        "string" if schema["format"] == "binary" => "bytes".to_owned(),
        "array" => format!("array of {}", name(&schema["items"])),
        "object" if schema["additionalProperties"].is_object() => {
            format!("object of {}", name(&schema["additionalProperties"]))
        }
        other => other.to_owned(),
    };
    format!("<span class=\"type\">{words}{}</span>", bounds(schema))
}

fn reference(schema: &Value) -> Option<&str> {
    schema["$ref"].as_str().and_then(|path| path.rsplit('/').next())
}

/// The type that is not null.
fn kind(schema: &Value) -> &str {
    match &schema["type"] {
        Value::Array(kinds) => {
            kinds.iter().filter_map(Value::as_str).find(|kind| *kind != "null").unwrap_or("any")
        }
        kind => kind.as_str().unwrap_or("any"),
    }
}

fn bounds(schema: &Value) -> String {
    let mut out = String::new();
    let (min, max) = (&schema["minimum"], &schema["maximum"]);
    match (min.is_null(), max.is_null()) {
        (false, false) => out = format!(", {min} to {max}"),
        (false, true) => out = format!(", from {min}"),
        (true, false) => out = format!(", to {max}"),
        (true, true) => {}
    }
    if !schema["default"].is_null() {
        let _ = write!(out, ", default {}", escape(&schema["default"].to_string()));
    }
    out
}

/// The section with all named types.
pub(super) fn all(document: &Value) -> String {
    let mut out = String::from("<section id=\"types\"><h2>Types</h2>");
    for (name, schema) in document["components"]["schemas"].as_object().into_iter().flatten() {
        let about = prose(text(&schema["description"]));
        let _ = write!(out, "<article id=\"type-{name}\"><h3>{name}</h3><p>{about}</p>");
        fields(schema, &mut out);
        out.push_str("</article>");
    }
    out.push_str("</section>");
    out
}

fn fields(schema: &Value, out: &mut String) {
    if let Some(properties) = schema["properties"].as_object() {
        return table(schema, properties, out);
    }
    let Some(parts) = schema["oneOf"].as_array() else {
        let _ = write!(out, "<p>{}</p>", name(schema));
        return;
    };
    out.push_str("<table>");
    for part in parts {
        let about = prose(text(&part["description"]));
        match part["properties"].as_object().and_then(|properties| properties.iter().next()) {
            Some((field, inner)) => {
                let _ = write!(
                    out,
                    "<tr><td><code>{field}</code></td><td>{}</td><td>{about}</td></tr>",
                    inline(inner)
                );
            }
            None => {
                let _ = write!(out, "<tr><td></td><td>{}</td><td>{about}</td></tr>", name(part));
            }
        }
    }
    out.push_str("</table>");
}

/// A schema that has no name: its fields in one line.
fn inline(schema: &Value) -> String {
    match schema["properties"].as_object() {
        Some(properties) => {
            let fields =
                properties.iter().map(|(field, inner)| format!("<code>{field}</code> {}", name(inner)));
            format!("{{ {} }}", fields.collect::<Vec<_>>().join(", "))
        }
        None => name(schema),
    }
}

fn table(schema: &Value, properties: &Map<String, Value>, out: &mut String) {
    let required: Vec<&str> =
        schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    out.push_str("<table>");
    for (field, inner) in properties {
        let mark =
            if required.contains(&field.as_str()) { "" } else { " <span class=\"where\">optional</span>" };
        let about = prose(text(&inner["description"]));
        let _ = write!(
            out,
            "<tr><td><code>{field}</code>{mark}</td><td>{}</td><td>{about}</td></tr>",
            name(inner)
        );
    }
    out.push_str("</table>");
}

/// A value that fits the schema, from its examples and defaults.
pub(super) fn example(document: &Value, schema: &Value) -> Value {
    if let Some(name) = reference(schema) {
        return example(document, &document["components"]["schemas"][name]);
    }
    let given = [&schema["examples"][0], &schema["example"], &schema["default"], &schema["enum"][0]];
    if let Some(given) = given.into_iter().find(|given| !given.is_null()) {
        return given.clone();
    }
    for parts in [&schema["oneOf"], &schema["anyOf"], &schema["allOf"]] {
        let mut parts = parts.as_array().into_iter().flatten().filter(|part| part["type"] != "null");
        if let Some(part) = parts.next() {
            return example(document, part);
        }
    }
    match kind(schema) {
        "object" => {
            let properties = schema["properties"].as_object().into_iter().flatten();
            properties
                .map(|(field, inner)| (field.clone(), example(document, inner)))
                .collect::<Map<_, _>>()
                .into()
        }
        "array" => json!([example(document, &schema["items"])]),
        "number" => json!(0.6),
        "integer" => json!(1),
        "boolean" => json!(false),
        _ => json!("…"),
    }
}
