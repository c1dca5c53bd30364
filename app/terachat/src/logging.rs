use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Traces go to stderr where `RUST_LOG` asks for them (`debug`, or `terachat_net=trace,info`), and nowhere else: a line each, or with
/// `TERACHAT_LOG_FORMAT=json` a JSON object.
pub(crate) fn start() {
    let Some(wanted) = said("RUST_LOG") else { return };
    let targets = match wanted.parse::<Targets>() {
        Ok(targets) => targets,
        Err(error) => return eprintln!("RUST_LOG is passed over: {error}"),
    };
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(false);
    let registry = tracing_subscriber::registry();
    match said("TERACHAT_LOG_FORMAT").as_deref() {
        Some("json") => registry.with(layer.json().flatten_event(true).with_filter(targets)).init(),
        None | Some("text") => registry.with(layer.with_filter(targets)).init(),
        Some(other) => {
            eprintln!("TERACHAT_LOG_FORMAT is json or text, and not {other}: it is passed over");
            registry.with(layer.with_filter(targets)).init();
        }
    }
}

fn said(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
