use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Traces go to stderr where `RUST_LOG` asks for them (`debug`, or `terachat_net=trace,info`), and nowhere else.
pub(crate) fn start() {
    let Some(wanted) = std::env::var("RUST_LOG").ok().filter(|wanted| !wanted.is_empty()) else { return };
    match wanted.parse::<Targets>() {
        Ok(targets) => {
            let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(false);
            tracing_subscriber::registry().with(layer.with_filter(targets)).init();
        }
        Err(error) => eprintln!("RUST_LOG is passed over: {error}"),
    }
}
