use super::record::TokenRecord;
use super::{ID_LEN, NewToken, SECRET_LEN, TokenInfo, id_of, text_of};
use crate::rate::Bucket;
use crate::scopes::{EVERYWHERE, Scopes};
use crate::{hex, reserved};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;
use terachat_vault::{Secret, SecretBytes};
use terachat_vault_store::{
    Access, COLLECTION_NAME_LEN_MAX, CollectionOptions, Content, Error, ListOptions, PutOptions, Session,
    TemplateVault, Verb,
};
use zeroize::Zeroize;

/// Where tokens are kept: in the vault itself.
const COLLECTION: &str = ".tokens";
/// The record with the key of the tokens' hashes. No token's name, which begins with a letter or digit.
const KEY: &str = ".hash-key";
/// The name in the audit log for what the server does on its own.
const SERVER: &str = "vault:server";
const NAME_LEN_MAX: usize = 64;
/// Longest life of a token: 10 years.
pub const TOKEN_AGE_MAX: Duration = Duration::from_secs(3653 * 24 * 3600);
/// Longest time for which a rotated token is taken beside its successor: 30 days.
pub const ROTATION_GRACE_MAX: Duration = Duration::from_secs(30 * 24 * 3600);

/// Why a token was not made, rotated or revoked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// The caller's: a name that is not 1 to 64 letters, digits, dots, dashes and underscores.
    #[error(
        "a token's name is 1 to 64 letters, digits, dots, dashes and underscores, a letter or digit first; choose another"
    )]
    Name,
    /// The caller's: there is one of this name.
    #[error("there is a token of this name already; rotate it, revoke it, or choose another name")]
    Exists,
    /// The caller's: there is none of this name.
    #[error("there is no token of this name; list them")]
    Absent,
    /// The caller's: a life that is over at once or beyond [`TOKEN_AGE_MAX`].
    #[error("a token lives 1 second to 10 years; choose another time")]
    Age,
    /// The caller's: a time of grace beyond [`ROTATION_GRACE_MAX`].
    #[error("a rotated token is taken for at most 30 days more; choose a shorter time")]
    Grace,
    /// The caller's: a collection in the scopes that can never be.
    #[error("the scopes name a collection that cannot exist; mend its name, or use `*` for all")]
    Collection,
    /// The machine's: no randomness.
    #[error("the system gives no random bytes; nothing was made")]
    Entropy,
    /// The store's: what is kept of a token cannot be read.
    #[error("what the vault keeps of a token cannot be read; restore a backup, or use a newer version")]
    Record,
    /// The vault's.
    #[error(transparent)]
    Vault(#[from] Error),
}

/// The tokens of a vault, kept in the vault itself: sealed, and as keyed hashes only.
pub struct TokenStore {
    vault: TemplateVault,
    key: Secret<32>,
    table: RwLock<Arc<Table>>,
    /// Held while a change is on its way to the disk.
    change: Mutex<()>,
}

/// One token that is in use, for as long as requests need it.
pub(crate) struct Holder {
    pub(crate) info: TokenInfo,
    pub(crate) session: Session,
    /// For the vault's own collections: nothing is granted, so that they look as if they did not exist.
    pub(crate) nowhere: Session,
    pub(crate) bucket: Bucket,
    hash: blake3::Hash,
    previous: Option<(String, blake3::Hash)>,
}

#[derive(Default)]
struct Table {
    /// By id, those of replaced tokens too.
    by_id: HashMap<String, Arc<Holder>>,
    by_name: std::collections::BTreeMap<String, Arc<Holder>>,
}

impl Table {
    fn with(&self, holder: &Arc<Holder>) -> Self {
        let mut next = self.without(&holder.info.name);
        next.by_id.insert(holder.info.id.clone(), holder.clone());
        if let Some((id, _)) = &holder.previous {
            next.by_id.insert(id.clone(), holder.clone());
        }
        next.by_name.insert(holder.info.name.clone(), holder.clone());
        next
    }

    fn without(&self, name: &str) -> Self {
        let kept = |holder: &Arc<Holder>| holder.info.name != name;
        Self {
            by_id: self
                .by_id
                .iter()
                .filter(|(_, h)| kept(h))
                .map(|(id, h)| (id.clone(), h.clone()))
                .collect(),
            by_name: self
                .by_name
                .iter()
                .filter(|(_, h)| kept(h))
                .map(|(n, h)| (n.clone(), h.clone()))
                .collect(),
        }
    }
}

impl TokenStore {
    /// The tokens of this vault; makes their collection if there is none.
    ///
    /// # Errors
    /// [`TokenError::Vault`], [`TokenError::Record`], [`TokenError::Entropy`].
    pub fn open(vault: &TemplateVault) -> Result<Self, TokenError> {
        if !vault.collections().iter().any(|collection| collection.name == COLLECTION) {
            // One version each: a replaced hash is erased, not kept.
            let options = CollectionOptions { versions_max: 1, ..CollectionOptions::default() };
            vault.create_collection(SERVER, COLLECTION, &options)?;
        }
        let session = session(vault, SERVER)?;
        let key = match session.get(COLLECTION, KEY) {
            Ok(record) => stored_key(&record.content)?,
            Err(Error::NotFound) => new_key(&session)?,
            Err(error) => return Err(error.into()),
        };
        let store = Self { vault: vault.clone(), key, table: RwLock::default(), change: Mutex::default() };
        store.load(&session)?;
        Ok(store)
    }

    fn load(&self, session: &Session) -> Result<(), TokenError> {
        let mut table = Table::default();
        let mut options = ListOptions { limit: 1000, ..ListOptions::default() };
        loop {
            let page = session.list(COLLECTION, &options)?;
            for info in page.records.iter().filter(|info| info.id != KEY) {
                match session.get(COLLECTION, &info.id) {
                    Ok(record) => {
                        let record =
                            record.content.bytes().and_then(|bytes| serde_json::from_slice(bytes).ok());
                        let holder = self.holder(record.ok_or(TokenError::Record)?, Bucket::new())?;
                        table = table.with(&Arc::new(holder));
                    }
                    // Expired a moment ago.
                    Err(Error::NotFound) => {}
                    // This token is no longer taken; the others are no worse for it.
                    Err(error @ Error::Damaged { .. }) => tracing::error!(%error, "a token is damaged"),
                    Err(error) => return Err(error.into()),
                }
            }
            options.cursor = page.next;
            if options.cursor.is_none() {
                break;
            }
        }
        self.replace(table);
        Ok(())
    }

    /// Makes a token with a life of `age`, at the wish of `actor`.
    ///
    /// # Errors
    /// [`TokenError`]; nothing was made then, but for [`TokenError::Vault`] with a failed write.
    pub fn create(
        &self,
        actor: &str,
        name: &str,
        scopes: Scopes,
        age: Duration,
    ) -> Result<NewToken, TokenError> {
        check_name(name)?;
        check_scopes(&scopes)?;
        let _change = self.changing();
        if self.find(name).is_some() {
            return Err(TokenError::Exists);
        }
        self.issue(actor, name, scopes, age, None)
    }

    /// All tokens that have not ended, by name.
    pub fn list(&self) -> Vec<TokenInfo> {
        let now = self.vault.now_ms();
        let table = self.table();
        table
            .by_name
            .values()
            .filter(|holder| now < holder.info.expires_ms)
            .map(|holder| holder.info.clone())
            .collect()
    }

    /// One token by its name, if it has not ended.
    pub fn find(&self, name: &str) -> Option<TokenInfo> {
        let now = self.vault.now_ms();
        self.table()
            .by_name
            .get(name)
            .filter(|holder| now < holder.info.expires_ms)
            .map(|holder| holder.info.clone())
    }

    /// Ends a token, and the one that it replaced, at once.
    ///
    /// # Errors
    /// [`TokenError::Absent`], [`TokenError::Vault`]: it is refused from then on by this process in any case.
    pub fn revoke(&self, actor: &str, name: &str) -> Result<(), TokenError> {
        let _change = self.changing();
        let table = self.table();
        let holder = table.by_name.get(name).ok_or(TokenError::Absent)?;
        self.replace(table.without(name));
        match session(&self.vault, actor)?.delete(COLLECTION, record_id(&holder.info)) {
            // Expired and erased already.
            Ok(_) | Err(Error::NotFound) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Replaces a token by a new one with the same name and scopes. The old one is taken for `grace` more; the one that
    /// it had replaced itself is not any longer.
    ///
    /// # Errors
    /// [`TokenError::Absent`], [`TokenError::Age`], [`TokenError::Grace`], [`TokenError::Vault`].
    pub fn rotate(
        &self,
        actor: &str,
        name: &str,
        grace: Duration,
        age: Duration,
    ) -> Result<NewToken, TokenError> {
        if grace > ROTATION_GRACE_MAX {
            return Err(TokenError::Grace);
        }
        let _change = self.changing();
        let table = self.table();
        let old = table.by_name.get(name).ok_or(TokenError::Absent)?;
        self.issue(actor, name, old.info.scopes.clone(), age, Some((old, grace)))
    }

    fn issue(
        &self,
        actor: &str,
        name: &str,
        scopes: Scopes,
        age: Duration,
        old: Option<(&Arc<Holder>, Duration)>,
    ) -> Result<NewToken, TokenError> {
        if age < Duration::from_secs(1) || age > TOKEN_AGE_MAX {
            return Err(TokenError::Age);
        }
        let now = self.vault.now_ms();
        let (mut id, mut secret) = ([0; ID_LEN], [0; SECRET_LEN]);
        random(&mut id)?;
        random(&mut secret)?;
        let text = text_of(&id, &secret);
        secret.zeroize();
        let until = |old: &Holder, grace| after(now, grace).min(old.info.expires_ms);
        let info = TokenInfo {
            name: name.to_owned(),
            id: hex::encode(&id),
            scopes,
            created_ms: now,
            expires_ms: after(now, age),
            previous_until_ms: old.map(|(old, grace)| until(old, grace)),
        };
        let previous = old.map(|(old, _)| (old.info.id.clone(), old.hash.to_hex().to_string()));
        let record = TokenRecord { info, hash: self.hash(&text).to_hex().to_string(), previous };
        let session = session(&self.vault, actor)?;
        let bytes = serde_json::to_vec(&record).map_err(|_| TokenError::Record)?;
        let options = PutOptions { keep_until_ms: Some(record.info.expires_ms), ..PutOptions::default() };
        session.put(COLLECTION, record_id(&record.info), SecretBytes::take(bytes).into(), &options)?;
        let holder = Arc::new(self.holder(record, Bucket::new())?);
        self.replace(self.table().with(&holder));
        Ok(NewToken { text, info: holder.info.clone() })
    }

    /// Whose token this is, if it is one and has not ended. The answer takes the same work whatever the text: a token
    /// that is unknown is compared with a hash that nothing has, and hashes are compared in constant time.
    pub(crate) fn authenticate(&self, text: &str) -> Option<Arc<Holder>> {
        let hash = self.hash(text);
        let id = id_of(text).unwrap_or_default();
        let table = self.table();
        let holder = table.by_id.get(id);
        let now = self.vault.now_ms();
        let nothing = blake3::Hash::from_bytes([0; 32]);
        let (known, ends) = match holder {
            Some(holder) => match &holder.previous {
                Some((previous, hash)) if previous == id => {
                    (*hash, holder.info.previous_until_ms.unwrap_or(0))
                }
                _ => (holder.hash, holder.info.expires_ms),
            },
            None => (nothing, 0),
        };
        // `blake3::Hash` compares in constant time.
        let valid = (hash == known) & (now < ends);
        holder.filter(|_| valid).cloned()
    }

    fn hash(&self, text: &str) -> blake3::Hash {
        blake3::keyed_hash(self.key.expose_secret(), text.as_bytes())
    }

    fn holder(&self, record: TokenRecord, bucket: Bucket) -> Result<Holder, TokenError> {
        let hash = |text: &str| blake3::Hash::from_hex(text).map_err(|_| TokenError::Record);
        let access = record.info.scopes.access();
        Ok(Holder {
            session: self.vault.session(&record.info.name, access)?,
            nowhere: self.vault.session(&record.info.name, Access::none())?,
            bucket,
            hash: hash(&record.hash)?,
            previous: match record.previous {
                Some((id, text)) => Some((id, hash(&text)?)),
                None => None,
            },
            info: record.info,
        })
    }

    fn table(&self) -> Arc<Table> {
        self.table.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn replace(&self, table: Table) {
        *self.table.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(table);
    }

    fn changing(&self) -> MutexGuard<'_, ()> {
        self.change.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A token's record goes by its name, so that rotating it is one write.
fn record_id(info: &TokenInfo) -> &str {
    &info.name
}

fn session(vault: &TemplateVault, actor: &str) -> Result<Session, Error> {
    vault.session(actor, Access::none().grant(COLLECTION, &Verb::ALL))
}

fn stored_key(content: &Content) -> Result<Secret<32>, TokenError> {
    let bytes: &[u8; 32] =
        content.bytes().and_then(|bytes| bytes.try_into().ok()).ok_or(TokenError::Record)?;
    Ok(Secret::generate(|key| key.copy_from_slice(bytes)))
}

fn new_key(session: &Session) -> Result<Secret<32>, TokenError> {
    let mut failed = false;
    let key = Secret::generate(|key| failed = random(key).is_err());
    if failed {
        return Err(TokenError::Entropy);
    }
    let copy = SecretBytes::take(key.expose_secret().to_vec());
    session.put(COLLECTION, KEY, copy.into(), &PutOptions::default())?;
    Ok(key)
}

fn random(out: &mut [u8]) -> Result<(), TokenError> {
    getrandom::fill(out).map_err(|_| TokenError::Entropy)
}

fn after(now_ms: u64, time: Duration) -> u64 {
    now_ms.saturating_add(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}

fn check_name(name: &str) -> Result<(), TokenError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let good = (1..=NAME_LEN_MAX).contains(&name.len())
        && name.bytes().all(plain)
        && name.as_bytes()[0].is_ascii_alphanumeric();
    if good { Ok(()) } else { Err(TokenError::Name) }
}

fn check_scopes(scopes: &Scopes) -> Result<(), TokenError> {
    let good = |name: &String| {
        name == EVERYWHERE
            || (!reserved(name)
                && (1..=COLLECTION_NAME_LEN_MAX).contains(&name.len())
                && !name.chars().any(char::is_control))
    };
    if scopes.collections.keys().all(good) { Ok(()) } else { Err(TokenError::Collection) }
}
