//! The OpenAPI 3.1 document, from the routes themselves.
use crate::problem::{Document, Kind, MEDIA_TYPE};
use utoipa::PartialSchema;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{
    Components, ContentBuilder, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, Ref, RefOr,
    ResponseBuilder,
};

const ABOUT: &str = "Secrets and biometric templates, sealed at rest, compared inside the vault, erased with proof. \
    Every request but those for health and for this document carries `Authorization: Bearer …`. What a token may not \
    see looks as if it did not exist. Times are in milliseconds since 1970, bytes in JSON are base64 with padding.";

const TAGS: [(&str, &str); 9] = [
    ("Records", "Store, read, list and erase. A record's version is its ETag."),
    ("Versions", "What a record was before."),
    ("Comparison", "Templates are compared inside the vault and need not leave it."),
    ("Collections", "Each has keys of its own."),
    ("Tokens", "Who may do what. The vault keeps keyed hashes of them only."),
    ("Keys", "Rotation without downtime."),
    ("Audit", "Who did what: a chain of signed events."),
    ("Maintenance", "Checks, compaction, backups."),
    ("Health", "For load balancers, dashboards and people."),
];

/// The document before the routes are in it.
pub(crate) fn base() -> OpenApi {
    let license =
        LicenseBuilder::new().name("MIT OR Apache-2.0").identifier(Some("MIT OR Apache-2.0")).build();
    let info = InfoBuilder::new()
        .title("TeraChat vault")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(ABOUT))
        .license(Some(license))
        .build();
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("A token that `terachat vault token create` or `POST /v1/tokens` gave."))
        .build();
    let mut components = Components::new();
    components.add_security_scheme("token", SecurityScheme::Http(bearer));
    components.schemas.insert("Problem".to_owned(), Document::schema());
    let tags = TAGS.map(|(name, about)| TagBuilder::new().name(name).description(Some(about)).build());
    OpenApiBuilder::new()
        .info(info)
        .components(Some(components))
        .tags(Some(tags))
        .security(Some([SecurityRequirement::new("token", [] as [&str; 0])]))
        .build()
}

/// Adds to each operation the problems that all of its kind can answer with.
pub(crate) fn complete(mut document: OpenApi) -> OpenApi {
    for (path, item) in &mut document.paths.paths {
        for operation in operations(item) {
            problems_of(path, operation);
        }
    }
    document
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.put, &mut item.post, &mut item.delete].into_iter().flatten()
}

fn problems_of(path: &str, operation: &mut Operation) {
    let parameters = operation.parameters.as_deref().unwrap_or_default();
    let (has_parameters, has_body) = (!parameters.is_empty(), operation.request_body.is_some());
    let once = parameters
        .iter()
        .any(|parameter| matches!(parameter, RefOr::T(known) if known.name == "Idempotency-Key"));
    let public = operation.security.is_some();
    let of_records = operation
        .tags
        .iter()
        .flatten()
        .any(|tag| ["Records", "Versions", "Comparison"].contains(&tag.as_str()));
    let possible = [
        (has_parameters || has_body, Kind::Malformed),
        (!public, Kind::Unauthorized),
        (!public && !of_records, Kind::Forbidden),
        (path.contains('{'), Kind::NotFound),
        (once, Kind::Conflict),
        (has_body, Kind::TooLarge),
        (has_body, Kind::UnsupportedMediaType),
        (has_parameters || has_body, Kind::Invalid),
        (!public, Kind::RateLimited),
        (!public, Kind::Internal),
        (true, Kind::Overloaded),
    ];
    for (_, kind) in possible.into_iter().filter(|(possible, _)| *possible) {
        let facts = kind.facts();
        let status = facts.status.as_str().to_owned();
        operation.responses.responses.entry(status).or_insert_with(|| problem(facts.title));
    }
}

fn problem(title: &str) -> RefOr<utoipa::openapi::Response> {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    ResponseBuilder::new().description(title).content(MEDIA_TYPE, content).build().into()
}
