use crate::args::RecoveryArgs;
use serde_json::json;
use terachat_vault::SecretBytes;

/// The shares of a recovery key for people to keep, or where they were written to.
pub(crate) fn shares(texts: &[SecretBytes], args: &RecoveryArgs) -> String {
    match &args.out {
        Some(folder) => format!("{} shares in {}\n", args.shares, folder.display()),
        None => shown(texts).join("\n"),
    }
}

/// The same for programs.
pub(crate) fn shares_json(texts: &[SecretBytes], args: &RecoveryArgs) -> String {
    super::json_value(
        &json!({ "threshold": args.threshold, "count": args.shares, "shares": shown(texts), "folder": args.out }),
    )
}

fn shown(texts: &[SecretBytes]) -> Vec<String> {
    texts.iter().map(|share| String::from_utf8_lossy(share.expose_secret()).into_owned()).collect()
}
