//! The OpenAPI document as a page for people: plain HTML without a script, made once at the start.
mod html;
mod schema;

use crate::problem::Kind;
use html::{escape, prose};
use serde_json::Value;
use std::fmt::Write as _;

/// The page's style sheet.
pub(crate) const STYLE: &str = include_str!("page/style.css");
/// What the page may do: show itself in its own style, and nothing else.
pub(crate) const POLICY: &str =
    "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const METHODS: [&str; 4] = ["get", "put", "post", "delete"];

/// The whole page.
pub(crate) fn render(document: &utoipa::openapi::OpenApi) -> String {
    // In the order of the routes, which is one for reading.
    let order: Vec<&String> = document.paths.paths.keys().collect();
    let document = serde_json::to_value(document).expect("a document is plain data");
    let title = escape(text(&document["info"]["title"]));
    let (mut side, mut main) = (String::new(), String::new());
    for tag in document["tags"].as_array().into_iter().flatten() {
        let name = text(&tag["name"]);
        let id = name.to_lowercase();
        let _ = write!(side, "<h2><a href=\"#{id}\">{name}</a></h2><ul>");
        let _ =
            write!(main, "<section id=\"{id}\"><h2>{name}</h2><p>{}</p>", prose(text(&tag["description"])));
        for (path, method, operation) in
            operations(&document, &order).filter(|(_, _, found)| found["tags"][0] == tag["name"])
        {
            let anchor = anchor(method, path);
            let summary = escape(text(&operation["summary"]));
            let _ = write!(
                side,
                "<li><a href=\"#{anchor}\"><b class=\"{method}\">{method}</b>{summary}</a></li>"
            );
            main.push_str(&one(&document, path, method, operation));
        }
        side.push_str("</ul>");
        main.push_str("</section>");
    }
    side.push_str("<h2><a href=\"#problems\">Problems</a></h2><h2><a href=\"#types\">Types</a></h2>");
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <link rel=\"stylesheet\" href=\"/v1/docs/style.css\"></head><body>\
         <nav><a class=\"brand\" href=\"#top\">{title}</a>{side}</nav>\
         <main id=\"top\"><header><h1>{title}</h1><p class=\"version\">Version {version} · OpenAPI {openapi} · \
         <a href=\"/v1/openapi.json\">openapi.json</a></p><p>{about}</p></header>\
         {main}{problems}{types}</main></body></html>",
        version = escape(text(&document["info"]["version"])),
        openapi = escape(text(&document["openapi"])),
        about = prose(text(&document["info"]["description"])),
        problems = problems(),
        types = schema::all(&document),
    )
}

fn operations<'a>(
    document: &'a Value,
    order: &'a [&String],
) -> impl Iterator<Item = (&'a str, &'static str, &'a Value)> {
    order.iter().flat_map(|path| {
        let item = &document["paths"][path.as_str()];
        METHODS.into_iter().filter_map(move |method| Some((path.as_str(), method, item.get(method)?)))
    })
}

fn one(document: &Value, path: &str, method: &str, operation: &Value) -> String {
    let mut out = format!(
        "<article id=\"{}\"><h3>{}</h3><p class=\"route\"><b class=\"{method}\">{method}</b><code>{}</code></p><p>{}</p>",
        anchor(method, path),
        escape(text(&operation["summary"])),
        escape(path).replace('{', "<i>{").replace('}', "}</i>"),
        prose(text(&operation["description"])),
    );
    parameters(operation, &mut out);
    if let Some(content) = operation["requestBody"]["content"].as_object() {
        out.push_str("<h4>Request body</h4>");
        for (kind, media) in content {
            let _ = write!(out, "<p><code>{}</code> {}</p>", escape(kind), schema::name(&media["schema"]));
        }
        if let Some(media) = content.get("application/json") {
            let example = schema::example(document, &media["schema"]);
            let example = serde_json::to_string_pretty(&example).unwrap_or_default();
            let _ = write!(out, "<pre>{}</pre>", escape(&example));
        }
    }
    answers(operation, &mut out);
    out.push_str("</article>");
    out
}

fn parameters(operation: &Value, out: &mut String) {
    let Some(parameters) = operation["parameters"].as_array() else { return };
    out.push_str("<h4>Parameters</h4><table>");
    for parameter in parameters {
        let about =
            format!("{} {}", text(&parameter["description"]), text(&parameter["schema"]["description"]));
        let _ = write!(
            out,
            "<tr><td><code>{}</code></td><td class=\"where\">{}{}</td><td>{} {}</td></tr>",
            escape(text(&parameter["name"])),
            text(&parameter["in"]),
            if parameter["required"] == true { ", required" } else { "" },
            schema::name(&parameter["schema"]),
            prose(about.trim()),
        );
    }
    out.push_str("</table>");
}

fn answers(operation: &Value, out: &mut String) {
    let Some(responses) = operation["responses"].as_object() else { return };
    let is_good = |status: &str| status.starts_with(['2', '3']);
    out.push_str("<h4>Answers</h4><table>");
    for (status, response) in responses.iter().filter(|(status, _)| is_good(status)) {
        let kinds =
            response["content"].as_object().into_iter().flatten().map(|(kind, media)| {
                format!("<code>{}</code> {}", escape(kind), schema::name(&media["schema"]))
            });
        let kinds: Vec<String> = kinds.collect();
        let _ = write!(
            out,
            "<tr><td><b class=\"good\">{status}</b></td><td>{}</td><td>{}</td></tr>",
            prose(text(&response["description"])),
            kinds.join("<br>"),
        );
    }
    out.push_str("</table><p class=\"bad\">Problems: ");
    for (status, response) in responses.iter().filter(|(status, _)| !is_good(status)) {
        let _ = write!(out, "<abbr title=\"{}\">{status}</abbr> ", escape(text(&response["description"])));
    }
    out.push_str("</p>");
}

/// Every kind of problem, where its `type` leads to.
fn problems() -> String {
    let mut out = String::from(
        "<section id=\"problems\"><h2>Problems</h2><p>Every error is a problem document (RFC 9457): \
         <code>type</code>, <code>title</code>, <code>status</code>, <code>detail</code>, and <code>next</code>, \
         which says what to do.</p><table>",
    );
    for facts in Kind::ALL.map(Kind::facts) {
        let _ = write!(
            out,
            "<tr id=\"problem-{slug}\"><td><b class=\"status\">{status}</b></td><td><code>{slug}</code></td><td>{title}. \
             <span class=\"next\">Next: {next}.</span></td></tr>",
            slug = facts.slug,
            status = facts.status.as_u16(),
            title = prose(facts.title),
            next = prose(facts.next),
        );
    }
    out.push_str("</table></section>");
    out
}

fn anchor(method: &str, path: &str) -> String {
    let plain = path.trim_start_matches("/v1").replace(['{', '}'], "").replace('/', "-");
    format!("{method}{plain}")
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    #[test]
    fn every_link_inside_the_page_leads_somewhere() {
        let (_, page) = crate::routes::documents();
        let ids: BTreeSet<_> =
            page.split(" id=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        let links: BTreeSet<_> =
            page.split("href=\"#").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        assert!(links.len() > 40, "{links:?}");
        assert_eq!(links.difference(&ids).collect::<Vec<_>>(), Vec::<&&str>::new());
        assert!(ids.contains("problem-not-found"));
    }

    #[test]
    fn the_page_carries_no_script_and_nothing_from_elsewhere() {
        let (_, page) = crate::routes::documents();
        let foreign = ["<script", "javascript:", "http://", "https://", " style=", " onload"];
        assert_eq!(foreign.into_iter().find(|word| page.contains(word)), None);
        assert!(!super::STYLE.contains("url(") && !super::STYLE.contains("@import"));
    }
}
