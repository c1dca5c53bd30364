use super::{Chip, Connection};
use terachat_vault::{CounterError, RollbackCounter, Secret, VaultId, derive_key};
use tss_esapi::attributes::{NvIndexAttributes, NvIndexAttributesBuilder};
use tss_esapi::constants::response_code::Tss2ResponseCodeKind;
use tss_esapi::constants::{NvIndexType, SessionType};
use tss_esapi::handles::{NvIndexHandle, NvIndexTpmHandle, ObjectHandle, TpmHandle};
use tss_esapi::interface_types::algorithm::HashingAlgorithm;
use tss_esapi::interface_types::resource_handles::{NvAuth, Provision};
use tss_esapi::interface_types::session_handles::AuthSession;
use tss_esapi::structures::{Auth, MaxNvBuffer, NvPublicBuilder};
use tss_esapi::{Context, Error};

/// The owner's part of the indexes (TCG *Registry of Reserved TPM 2.0 Handles*): 2^22 of them.
const FIRST_INDEX: u32 = 0x0180_0000;
const INDEX_BITS: u32 = 0x003f_ffff;
const COUNTER_LEN: u16 = 8;

/// An NV counter of a TPM: it starts above every counter that the chip ever had, only goes up, and keeps its value when
/// the power fails.
///
/// It is not an *orderly* counter. Those spare the chip by counting in its working memory, and jump ahead after a power
/// cut; the jump could not be told from checkpoints that are missing. So each advance writes to the chip's memory: advance once
/// a checkpoint, not once an event. At 10^5 writes, the least that chips are built for, one checkpoint a minute lasts 69
/// days of uninterrupted work, one in ten minutes nearly two years, one an hour eleven.
///
/// The counter answers only to a secret, which the vault keeps and which is never sent in clear. The chip's owner can delete it,
/// and then it is missing, which is told; a new one cannot be set to an old value.
pub struct TpmCounter {
    connection: Connection,
    index: u32,
    auth: Secret<32>,
}

impl TpmCounter {
    /// Makes the vault's counter in the TPM behind `tcti`. `secret` is random and kept in the vault. Writes twice. A
    /// counter that a crash left half made is made anew.
    ///
    /// # Errors
    /// [`CounterError`], also when the vault has one already.
    pub fn create(tcti: &str, vault: &VaultId, secret: &Secret<32>) -> Result<Self, CounterError> {
        let counter = Self::at(tcti, vault, secret)?;
        let is_taken = |error: &Error| kind(error) == Some(Tss2ResponseCodeKind::NvDefined);
        let mut made = counter.define();
        if made.as_ref().is_err_and(is_taken) && counter.is_half_made()? {
            Self::remove(tcti, vault)?;
            made = counter.define();
        }
        made.map_err(|error| match kind(&error) {
            Some(Tss2ResponseCodeKind::NvDefined) => {
                failed("the chip has a counter for this vault already; open that one")
            }
            Some(Tss2ResponseCodeKind::NvSpace) => {
                failed("the chip has no room for another counter; remove one that is unused")
            }
            _ => said(&error),
        })?;
        Ok(counter)
    }

    /// The counter that [`TpmCounter::create`] made.
    ///
    /// # Errors
    /// [`CounterError`] when it is not there, or what is there is no such counter.
    pub fn open(tcti: &str, vault: &VaultId, secret: &Secret<32>) -> Result<Self, CounterError> {
        let mut counter = Self::at(tcti, vault, secret)?;
        counter.read()?;
        Ok(counter)
    }

    /// Deletes the vault's counter. Heads that it guarded are not judged fresh again, by any counter.
    ///
    /// # Errors
    /// [`CounterError`]; the counter is still there, or never was.
    pub fn remove(tcti: &str, vault: &VaultId) -> Result<(), CounterError> {
        let counter = Self::at(tcti, vault, &Secret::take(&mut [0; 32]))?;
        let (mut chip, handle) = counter.find()?;
        let session = chip.session(SessionType::Hmac).map_err(|error| said(&error))?;
        let remove = |context: &mut Context| context.nv_undefine_space(Provision::Owner, handle);
        chip.context.execute_with_session(Some(session), remove).map_err(|error| said(&error))
    }

    pub(super) fn at(tcti: &str, vault: &VaultId, secret: &Secret<32>) -> Result<Self, CounterError> {
        let connection = Connection::parse(tcti).map_err(|reason| CounterError { reason })?;
        let name = derive_key("terachat 2026-11 tpm counter index", &Secret::take(&mut [0; 32]), &[&vault.0]);
        let name: [u8; 4] = std::array::from_fn(|at| name.expose_secret()[at]);
        let mut auth = derive_key("terachat 2026-11 tpm counter auth", secret, &[&vault.0]);
        auth = Secret::generate(|bytes| {
            bytes.copy_from_slice(auth.expose_secret());
            // A chip cuts zeros off the end of an authorization.
            bytes[31] |= 1;
        });
        Ok(Self { connection, index: FIRST_INDEX | (u32::from_le_bytes(name) & INDEX_BITS), auth })
    }

    fn define(&self) -> Result<(), Error> {
        let mut chip = self.connection.open()?;
        let (handle, session) = self.reserve(&mut chip)?;
        // The first increment gives it its starting value; before, it cannot be read.
        chip.context.tr_set_auth(handle.into(), self.auth()?)?;
        let increment = |context: &mut Context| context.nv_increment(NvAuth::NvIndex(handle), handle);
        chip.context.execute_with_session(Some(session), increment)
    }

    pub(super) fn reserve(&self, chip: &mut Chip) -> Result<(NvIndexHandle, AuthSession), Error> {
        let public = NvPublicBuilder::new()
            .with_nv_index(NvIndexTpmHandle::new(self.index)?)
            .with_index_name_algorithm(HashingAlgorithm::Sha256)
            .with_index_attributes(NvIndexAttributes(attributes()?))
            .with_data_area_size(usize::from(COUNTER_LEN))
            .build()?;
        let (session, auth) = (chip.session(SessionType::Hmac)?, self.auth()?);
        let define = |context: &mut Context| context.nv_define_space(Provision::Owner, Some(auth), public);
        Ok((chip.context.execute_with_session(Some(session), define)?, session))
    }

    fn find(&self) -> Result<(Chip, NvIndexHandle), CounterError> {
        let mut chip = self.connection.open().map_err(|error| said(&error))?;
        let index = NvIndexTpmHandle::new(self.index).map_err(|error| said(&error))?;
        let found = chip.context.tr_from_tpm_public(TpmHandle::NvIndex(index)).map_err(|error| match kind(&error) {
            Some(Tss2ResponseCodeKind::Handle | Tss2ResponseCodeKind::Value) => {
                failed("the chip has no counter for this vault: it is another chip, or its owner deleted the counter")
            }
            _ => said(&error),
        })?;
        Ok((chip, found.into()))
    }

    /// Works on the counter in a session that its secret authorizes, if it is one of ours.
    fn with<T>(
        &self,
        work: impl FnOnce(&mut Context, NvIndexHandle) -> Result<T, Error>,
    ) -> Result<T, CounterError> {
        let (mut chip, handle) = self.find()?;
        if look(&mut chip, handle)? != attributes().map_err(|error| said(&error))? | WRITTEN {
            return Err(failed(&format!(
                "the chip's index {:#010x} is not a counter that terachat made to its end",
                self.index
            )));
        }
        let authorized =
            self.auth().and_then(|auth| chip.context.tr_set_auth(ObjectHandle::from(handle), auth));
        let session =
            authorized.and_then(|()| chip.session(SessionType::Hmac)).map_err(|error| said(&error))?;
        let done = chip.context.execute_with_session(Some(session), |context| work(context, handle));
        done.map_err(|error| match kind(&error) {
            Some(Tss2ResponseCodeKind::AuthFail | Tss2ResponseCodeKind::BadAuth) => failed(
                "the counter was made anew by someone else, or for another vault: it does not know this vault's secret",
            ),
            _ => said(&error),
        })
    }

    /// Whether the index is one of ours that was never incremented.
    fn is_half_made(&self) -> Result<bool, CounterError> {
        let (mut chip, handle) = self.find()?;
        Ok(look(&mut chip, handle)? == attributes().map_err(|error| said(&error))?)
    }

    fn auth(&self) -> Result<Auth, Error> {
        Auth::try_from(&self.auth.expose_secret()[..])
    }
}

impl RollbackCounter for TpmCounter {
    fn read(&mut self) -> Result<u64, CounterError> {
        number(&self.with(value)?)
    }

    fn advance(&mut self) -> Result<u64, CounterError> {
        number(&self.with(|context, handle| {
            context.nv_increment(NvAuth::NvIndex(handle), handle)?;
            value(context, handle)
        })?)
    }
}

fn value(context: &mut Context, handle: NvIndexHandle) -> Result<MaxNvBuffer, Error> {
    context.nv_read(NvAuth::NvIndex(handle), handle, COUNTER_LEN, 0)
}

fn number(value: &MaxNvBuffer) -> Result<u64, CounterError> {
    let bytes = value
        .value()
        .try_into()
        .map_err(|_| failed("the chip gave another length than a counter's 8 bytes"))?;
    Ok(u64::from_be_bytes(bytes))
}

/// The index's attributes; 0, which no index has, for one of another size.
fn look(chip: &mut Chip, handle: NvIndexHandle) -> Result<u32, CounterError> {
    let (public, _) = chip.context.nv_read_public(handle).map_err(|error| said(&error))?;
    let has_size = public.data_size() == usize::from(COUNTER_LEN);
    Ok(if has_size { public.attributes().0 } else { 0 })
}

/// The chip sets this once the counter was incremented.
const WRITTEN: u32 = 1 << 29;

fn attributes() -> Result<u32, Error> {
    let attributes = NvIndexAttributesBuilder::new()
        .with_nv_index_type(NvIndexType::Counter)
        .with_auth_read(true)
        .with_auth_write(true)
        .with_no_da(true)
        .build()?;
    Ok(attributes.0)
}

fn kind(error: &Error) -> Option<Tss2ResponseCodeKind> {
    match error {
        Error::Tss2Error(code) => code.kind(),
        Error::WrapperError(_) => None,
    }
}

fn said(error: &Error) -> CounterError {
    failed(&format!("{error}; is there a TPM, and may this user open it (group tss)?"))
}

fn failed(reason: &str) -> CounterError {
    CounterError { reason: reason.to_owned() }
}
