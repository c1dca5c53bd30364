use super::place::Place;
use crate::args::ServeArgs;
use crate::failure::{Failure, Result};
use crate::printer::Printer;
use crate::render;
use serde_json::json;
use terachat_vault_server::{Rate, ServerConfig, TlsFiles, serve};

/// Serves until it is told to end.
pub(super) fn run(place: &Place, args: ServeArgs, printer: &Printer) -> Result<()> {
    let tls = match (args.tls_cert, args.tls_key) {
        (Some(certificate), Some(key)) => Some(TlsFiles { certificate, key }),
        _ => None,
    };
    let config = ServerConfig {
        tls,
        insecure_plain_http: args.insecure_plain_http,
        open_metrics: args.open_metrics,
        requests_max: usize::try_from(args.requests).unwrap_or(usize::MAX),
        request_time_max: args.request_time,
        drain_time_max: args.drain_time,
        rate: Rate { per_s: args.rate, burst: args.burst },
        ..ServerConfig::new(args.listen)
    };
    // Before the passphrase is asked for.
    config.check().map_err(Failure::from_text)?;
    let vault = place.open()?;
    serve(vault, config, |server| {
        if printer.is_json() {
            // Whoever has closed our output does not want to know, and the server serves others.
            let _ = printer.data(&render::json_value(&json!({"listening": server.url()})));
        } else {
            let url = server.url();
            printer.talk(&format!(
                "Serving {} at {url}; {url}/v1/docs says how to ask.",
                place.folder().display()
            ));
        }
    })
    .map_err(|error| match error {
        terachat_vault_server::Error::Vault(error) => super::failed(&error),
        error => Failure::from_text(error),
    })
}
