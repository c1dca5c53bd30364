use super::cluster::Cluster;
use super::device::Device;
use super::log::Log;
use super::promise::Promise;
use crate::args::DemoArgs;
use crate::failure::{Failure, Result};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use terachat_client::api::SpaceStatus;

const NAMES: [&str; 16] = [
    "Ada", "Boris", "Chen", "Dalia", "Emeka", "Freya", "Goro", "Hana", "Ines", "Jonas", "Kofi", "Leila",
    "Mateo", "Nadia", "Omar", "Petra",
];
const SAMPLE: &str = include_str!("sample.jsonl");

/// Everything the acts share.
pub(super) struct Stage {
    pub(super) devices: Vec<Device>,
    pub(super) log: Log,
    pub(super) folder: PathBuf,
    /// The organisation's storage, once it is there, and its nodes that were killed.
    pub(super) cluster: Option<Cluster>,
    pub(super) killed: Vec<u64>,
    pub(super) verdicts: BTreeMap<Promise, Result<(), String>>,
    /// How long any single wait may take.
    pub(super) patience: Duration,
    _temporary: Option<tempfile::TempDir>,
}

impl Stage {
    /// A folder with a passphrase and the log; no profiles yet.
    pub(super) fn set(args: &DemoArgs) -> Result<Self> {
        let (folder, temporary) = folder(args.keep.as_deref())?;
        let write = |name: &str, text: &str| {
            let path = folder.join(name);
            std::fs::write(&path, text).map_err(|error| Failure::file("write", &path, &error)).map(|()| path)
        };
        let passphrase = write("passphrase", "a demonstration, nothing to hide\n")?;
        let file = match &args.import {
            Some(file) => file.clone(),
            None => write("sample.jsonl", SAMPLE)?,
        };
        let log = Log::read(&file)?;
        let patience = Duration::from_secs(60 + log.records.len() as u64 / 500);
        let names = NAMES.iter().take(args.devices.into());
        let devices =
            names.map(|name| Device::new(name, &folder, &passphrase, patience)).collect::<Result<_>>()?;
        Ok(Self {
            devices,
            log,
            folder,
            cluster: None,
            killed: Vec::new(),
            verdicts: BTreeMap::new(),
            patience,
            _temporary: temporary,
        })
    }

    /// Who founds the space.
    pub(super) fn founder(&self) -> &Device {
        &self.devices[0]
    }

    /// Who imports, and is killed meanwhile.
    pub(super) fn importer(&self) -> usize {
        1
    }

    /// Who is offline for a while.
    pub(super) fn absent(&self) -> usize {
        if self.devices.len() > 3 { 2 } else { 1 }
    }

    /// Who is removed in the end.
    pub(super) fn removed(&self) -> usize {
        self.devices.len() - 1
    }

    /// Those who stay to the end.
    pub(super) fn remaining(&self) -> &[Device] {
        &self.devices[..self.removed()]
    }

    /// Notes whether a promise held. Once broken it stays so.
    pub(super) fn check(&mut self, promise: Promise, held: bool, why: impl FnOnce() -> String) {
        let verdict = self.verdicts.entry(promise).or_insert(Ok(()));
        if !held && verdict.is_ok() {
            *verdict = Err(why());
        }
    }

    /// Starts `listen` on a device, connected to all that listen already.
    pub(super) fn listen(&mut self, index: usize) -> Result<()> {
        let peers: Vec<String> = self.devices.iter().filter_map(Device::addr).collect();
        self.devices[index].listen(&peers)
    }

    /// Waits until the first `count` devices have the same state and it is as wanted; gives that state.
    pub(super) fn converge(
        &self,
        count: usize,
        wanted: impl Fn(&SpaceStatus) -> bool,
    ) -> Result<SpaceStatus> {
        let deadline = Instant::now() + self.patience;
        loop {
            let spaces = self.devices[..count].iter().map(Device::space).collect::<Result<Vec<_>>>()?;
            if let Some(Some(first)) = spaces.first()
                && spaces.iter().flatten().count() == count
                && spaces.iter().flatten().all(|space| same(first, space) && wanted(space))
            {
                return Ok(first.clone());
            }
            if Instant::now() >= deadline {
                let seen: Vec<String> = spaces.iter().map(|space| summary(space.as_ref())).collect();
                let what = format_args!("the devices did not come to agree: {}", seen.join("; "));
                return Err(Failure::new(what, "look into the folder kept with --keep DIR"));
            }
            // A status is asked for over the socket; asking without pause would slow down what is waited for.
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Ends every process.
    pub(super) fn end(&mut self) {
        self.devices.iter_mut().for_each(|device| device.listener = None);
        self.cluster = None;
    }
}

/// The same state, in the space and in each of its channels.
fn same(a: &SpaceStatus, b: &SpaceStatus) -> bool {
    let channels = |space: &SpaceStatus| -> Vec<(String, String)> {
        space.channels.iter().map(|channel| (channel.id.clone(), channel.state_hash.clone())).collect()
    };
    a.state_hash == b.state_hash && channels(a) == channels(b)
}

fn summary(space: Option<&SpaceStatus>) -> String {
    let Some(space) = space else { return "no space yet".to_owned() };
    let channels: Vec<String> =
        space.channels.iter().map(|channel| format!("{} {}", channel.name, channel.messages)).collect();
    let hash = crate::render::short(&space.state_hash);
    format!(
        "{} members, {}, {} waiting, {hash}",
        space.members.len(),
        channels.join(", "),
        space.waiting.len()
    )
}

fn folder(keep: Option<&Path>) -> Result<(PathBuf, Option<tempfile::TempDir>)> {
    match keep {
        Some(folder) => {
            std::fs::create_dir_all(folder).map_err(|error| Failure::file("make", folder, &error))?;
            if std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some()) {
                let what = format_args!("{} is not empty", folder.display());
                return Err(Failure::new(what, "name a new folder with --keep"));
            }
            Ok((folder.to_owned(), None))
        }
        None => {
            let temporary = tempfile::Builder::new().prefix("terachat-demo-").tempdir();
            let temporary = temporary
                .map_err(|error| Failure::file("make a folder in", &std::env::temp_dir(), &error))?;
            Ok((temporary.path().to_owned(), Some(temporary)))
        }
    }
}
