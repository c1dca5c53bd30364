use std::collections::VecDeque;

/// Changes that are remembered: whoever asks less often looks at everything again.
const LEN_MAX: usize = 4096;

/// Which messages of a channel were touched lately, by position, in the order in which it happened.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    /// Rises whenever everything may have changed.
    generation: u64,
    /// How many were forgotten of this generation.
    forgotten: u64,
    touched: VecDeque<u32>,
}

/// Up to where a journal was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    generation: u64,
    read: u64,
}

impl Journal {
    /// The message at this position is new, or has changed.
    pub(crate) fn touch(&mut self, at: u32) {
        if self.touched.len() == LEN_MAX {
            self.touched.pop_front();
            self.forgotten += 1;
        }
        self.touched.push_back(at);
    }

    /// Everything may have changed.
    pub(crate) fn begin_anew(&mut self) {
        *self = Self { generation: self.generation + 1, ..Self::default() };
    }

    /// Up to here it was read now.
    pub(crate) fn mark(&self) -> Mark {
        Mark { generation: self.generation, read: self.forgotten + self.touched.len() as u64 }
    }

    /// What was touched since; `None` if that is no longer known, so that everything may have been.
    pub(crate) fn since(&self, mark: Mark) -> Option<impl Iterator<Item = u32> + '_> {
        let read = mark.read.checked_sub(self.forgotten).filter(|_| mark.generation == self.generation)?;
        Some(self.touched.range(usize::try_from(read).ok()?.min(self.touched.len())..).copied())
    }
}
