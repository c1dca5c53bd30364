use super::EventBlock;
use crate::Error;
use crate::blocks::Stored;
use crate::wire::{Reader, put};

/// In which blocks the stored events of each chain are, so that one of them is found without reading those before it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::store) struct Runs {
    /// Where each chain's runs end in the list of all.
    ends: Vec<u32>,
    runs: Vec<Run>,
}

/// Events of one chain in one block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) block: u32,
    /// The number of the last of them.
    pub(super) last: u32,
}

impl Runs {
    /// The runs of a chain, ascending by block and by number.
    pub(super) fn of(&self, chain: u32) -> &[Run] {
        let chain = chain as usize;
        let Some(end) = self.ends.get(chain) else { return &[] };
        let from = chain.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.runs[from as usize..*end as usize]
    }

    /// The same without blocks from `from` on, and with others there, for so many chains.
    pub(in crate::store) fn with<'a>(
        &self,
        from: u32,
        chains: usize,
        blocks: impl Iterator<Item = &'a EventBlock>,
    ) -> Self {
        let mut new: Vec<Vec<Run>> = vec![Vec::new(); chains];
        for (block, events) in (from..).zip(blocks) {
            for (chain, last) in events.chains() {
                new[chain as usize].push(Run { block, last });
            }
        }
        let mut all = Self::default();
        for (chain, new) in (0..).zip(new) {
            let old = self.of(chain);
            all.runs.extend_from_slice(&old[..old.partition_point(|run| run.block < from)]);
            all.runs.extend(new);
            all.ends.push(u32::try_from(all.runs.len()).expect("no more runs than events"));
        }
        all
    }
}

impl Stored for Runs {
    /// How many chains and blocks there are.
    type Context = (u32, u32);

    fn pack(&self, out: &mut Vec<u8>) {
        for chain in 0..self.ends.len() {
            let runs = self.of(u32::try_from(chain).expect("no more chains than events"));
            put(out, runs.len() as u64);
            let (mut block, mut last) = (0, 0);
            for run in runs {
                put(out, u64::from(run.block - block));
                put(out, u64::from(run.last - last));
                (block, last) = (run.block, run.last);
            }
        }
    }

    fn unpack(bytes: &[u8], (chains, blocks): (u32, u32)) -> Result<Self, Error> {
        let mut reader = Reader::new(bytes);
        let mut all = Self { ends: Vec::with_capacity(chains as usize), runs: Vec::new() };
        for _ in 0..chains {
            let (mut block, mut last) = (0, 0u32);
            for _ in 0..reader.count(blocks as usize)? {
                block += reader.index((blocks - block) as usize)?;
                let count = u32::try_from(reader.number()?).ok().and_then(|count| last.checked_add(count));
                last = count.ok_or(Error::Malformed("a chain's length"))?;
                all.runs.push(Run { block, last });
            }
            all.ends.push(u32::try_from(all.runs.len()).map_err(|_| Error::Malformed("too many runs"))?);
        }
        reader.end()?;
        Ok(all)
    }

    fn blank((chains, _): (u32, u32)) -> Self {
        Self { ends: vec![0; chains as usize], runs: Vec::new() }
    }
}
