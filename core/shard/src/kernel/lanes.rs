//! The loop of all kernels.
//!
//! A group of rows is summed up in registers: each input's bytes are loaded once for all of them, each output's are
//! stored once. Where there are more rows than registers, groups take turns on a strip of the inputs that stays in the
//! cache.
use super::Stores;

/// A kind of registers and what they do. Whoever has a value of it may use them: only a check of the processor makes
/// one.
pub(super) trait Lanes: Copy {
    /// Bytes of a block: what is worked on at a time.
    const STEP: usize;
    /// Where the first block should begin, so that blocks are cache lines one after the other and none lies in two. It must begin
    /// there for blocks to be streamed: half a line that waits for its other half is written twice. 0: nothing is streamed.
    const ALIGN: usize;
    /// Rows that fit the registers, 1 to 8.
    const ROWS_MAX: usize;
    /// `STEP` bytes in registers.
    type Block: Copy;
    /// A block, prepared to be multiplied several times.
    type Split: Copy;
    /// A coefficient.
    type Table;

    /// A block of zeros.
    fn zero(self) -> Self::Block;
    /// The block that begins at `at`. Panics if it does not end inside.
    fn load(self, from: &[u8], at: usize) -> Self::Block;
    /// Puts a block to where `at` says. Panics if it does not end inside.
    fn store(self, block: Self::Block, to: &mut [u8], at: usize);
    /// As `store`, past the cache, to an address that is a multiple of `ALIGN`. Panics if it is not one.
    fn stream(self, block: Self::Block, to: &mut [u8], at: usize);
    /// Ends a series of streamed stores.
    fn fence(self);
    /// Prepares a block.
    fn split(self, block: Self::Block) -> Self::Split;
    /// `sum` plus the block times the coefficient.
    fn add_product(self, sum: Self::Block, split: Self::Split, table: &Self::Table) -> Self::Block;
}

/// What is to be computed.
pub(super) struct Job<'a, 'b, 'c> {
    /// How many rows each group has.
    pub(super) groups: &'a [usize],
    pub(super) inputs: &'a [&'b [u8]],
    pub(super) outputs: &'a mut [&'c mut [u8]],
    pub(super) stores: Stores,
}

/// Bytes of all inputs together that a strip may have: they stay in a cache of the second level.
const STRIP_BYTES: usize = 128 << 10;

/// [`Lanes::ROWS_MAX`] of a value.
pub(super) fn rows_max<L: Lanes>(_: L) -> usize {
    L::ROWS_MAX
}

/// Does a job. Always inlined, so that it is compiled for the registers of the function that calls it.
#[inline(always)]
pub(super) fn run<L: Lanes>(lanes: L, tables: &[L::Table], job: Job<'_, '_, '_>) {
    let Job { groups, inputs, outputs, stores } = job;
    let len = outputs.first().map_or(0, |output| output.len());
    if len < L::STEP {
        return short(lanes, tables, Job { groups, inputs, outputs, stores });
    }
    // Blocks begin at a boundary in every output, if that can be. The bytes before it and those behind the last whole block
    // are written by blocks that overlap others: they are computed twice, to the same values.
    let (from, streaming) = match same_misalignment::<L>(outputs) {
        Some(head) if head.next_multiple_of(L::STEP) <= len => (head, stores == Stores::Streaming),
        _ => (0, false),
    };
    let blocks = (len - from) / L::STEP;
    let to = from + blocks * L::STEP;
    let strip = if groups.len() > 1 {
        (STRIP_BYTES / inputs.len()).next_multiple_of(L::STEP)
    } else {
        (to - from).max(L::STEP)
    };
    let mut at = from;
    while at < to {
        let end = (at + strip).min(to);
        each_group(lanes, tables, groups, inputs, outputs, at, end, streaming);
        at = end;
    }
    if streaming {
        lanes.fence();
    }
    if from > 0 {
        each_group(lanes, tables, groups, inputs, outputs, 0, from.next_multiple_of(L::STEP), false);
    }
    if to < len {
        each_group(lanes, tables, groups, inputs, outputs, len - L::STEP, len, false);
    }
}

/// How many bytes lie before the first boundary, if it is as many in each output and there is one.
#[inline(always)]
fn same_misalignment<L: Lanes>(outputs: &[&mut [u8]]) -> Option<usize> {
    if L::ALIGN == 0 {
        return None;
    }
    let head = |output: &[u8]| output.as_ptr().addr().wrapping_neg() % L::ALIGN;
    let first = head(outputs.first()?);
    outputs.iter().all(|output| head(output) == first).then_some(first)
}

/// Less than a block: once more with room behind it.
#[inline(always)]
fn short<L: Lanes>(lanes: L, tables: &[L::Table], job: Job<'_, '_, '_>) {
    let Some(len) = job.outputs.first().map(|output| output.len()).filter(|len| *len > 0) else { return };
    let padded: Vec<u8> = (job.inputs.iter())
        .flat_map(|input| input.iter().copied().chain(std::iter::repeat_n(0, L::STEP - len)))
        .collect();
    let mut sums = vec![0; job.outputs.len() * L::STEP];
    let inputs: Vec<&[u8]> = padded.chunks_exact(L::STEP).collect();
    let mut outputs: Vec<&mut [u8]> = sums.chunks_exact_mut(L::STEP).collect();
    each_group(lanes, tables, job.groups, &inputs, &mut outputs, 0, L::STEP, false);
    for (output, sum) in job.outputs.iter_mut().zip(outputs) {
        output.copy_from_slice(&sum[..len]);
    }
}

/// All groups on the bytes `from` to `to`, a whole number of blocks.
#[inline(always)]
#[allow(clippy::too_many_arguments, reason = "a struct of them would live in memory, not in registers")]
fn each_group<L: Lanes>(
    lanes: L,
    tables: &[L::Table],
    groups: &[usize],
    inputs: &[&[u8]],
    outputs: &mut [&mut [u8]],
    from: usize,
    to: usize,
    streaming: bool,
) {
    let (mut tables, mut outputs) = (tables, outputs);
    for rows in groups {
        let (own, others) = tables.split_at(rows * inputs.len());
        let (sums, later) = outputs.split_at_mut(*rows);
        match rows {
            1 => blocks::<L, 1>(lanes, own, inputs, sums, from, to, streaming),
            2 if L::ROWS_MAX >= 2 => blocks::<L, 2>(lanes, own, inputs, sums, from, to, streaming),
            3 if L::ROWS_MAX >= 3 => blocks::<L, 3>(lanes, own, inputs, sums, from, to, streaming),
            4 if L::ROWS_MAX >= 4 => blocks::<L, 4>(lanes, own, inputs, sums, from, to, streaming),
            5 if L::ROWS_MAX >= 5 => blocks::<L, 5>(lanes, own, inputs, sums, from, to, streaming),
            6 if L::ROWS_MAX >= 6 => blocks::<L, 6>(lanes, own, inputs, sums, from, to, streaming),
            7 if L::ROWS_MAX >= 7 => blocks::<L, 7>(lanes, own, inputs, sums, from, to, streaming),
            8 if L::ROWS_MAX >= 8 => blocks::<L, 8>(lanes, own, inputs, sums, from, to, streaming),
            _ => unreachable!("a group has 1 to ROWS_MAX rows"),
        }
        (tables, outputs) = (others, later);
    }
}

/// One group of `R` rows on the bytes `from` to `to`.
///
/// Counted loops and no iterators: these are functions that would be compiled for no more than every processor has, and
/// the sums would live in memory.
#[inline(always)]
fn blocks<L: Lanes, const R: usize>(
    lanes: L,
    tables: &[L::Table],
    inputs: &[&[u8]],
    outputs: &mut [&mut [u8]],
    from: usize,
    to: usize,
    streaming: bool,
) {
    let (tables, _) = tables.as_chunks::<R>();
    let inputs = &inputs[..tables.len()];
    let (outputs, _) = outputs.as_chunks_mut::<R>();
    let outputs = &mut outputs[0];
    let mut at = from;
    while at < to {
        let mut sums = [lanes.zero(); R];
        let mut input = 0;
        while input < inputs.len() {
            let split = lanes.split(lanes.load(inputs[input], at));
            let tables = &tables[input];
            let mut row = 0;
            while row < R {
                sums[row] = lanes.add_product(sums[row], split, &tables[row]);
                row += 1;
            }
            input += 1;
        }
        let mut row = 0;
        while row < R {
            if streaming {
                lanes.stream(sums[row], outputs[row], at);
            } else {
                lanes.store(sums[row], outputs[row], at);
            }
            row += 1;
        }
        at += L::STEP;
    }
}
