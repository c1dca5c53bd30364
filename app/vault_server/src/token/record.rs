use crate::scopes::Scopes;
use serde::{Deserialize, Serialize};

/// What is known of a token besides its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct TokenInfo {
    /// Its name: what the audit log calls its holder.
    #[schema(examples("door-controller-7"))]
    pub name: String,
    /// The 16 hexadecimal digits after `tcvault_` in the token.
    #[schema(examples("5f1d0c7a93be2684"))]
    pub id: String,
    /// What it may do.
    pub scopes: Scopes,
    /// When it was made or last rotated, in milliseconds since 1970.
    pub created_ms: u64,
    /// When it ends, in milliseconds since 1970.
    pub expires_ms: u64,
    /// Until when the token that it replaced is taken too, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_until_ms: Option<u64>,
}

/// What the vault keeps of a token, sealed. The secret is not in it.
#[derive(Serialize, Deserialize)]
pub(super) struct TokenRecord {
    #[serde(flatten)]
    pub(super) info: TokenInfo,
    /// Keyed hash of the token's text, as hexadecimal digits.
    pub(super) hash: String,
    /// Id and hash of the token that it replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) previous: Option<(String, String)>,
}
