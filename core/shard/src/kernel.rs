//! Sums of products over whole shards, in the widest registers there are.
//!
//! All kernels give the same bytes. They share one loop (`lanes.rs`), which has no unsafe code in it; what differs is
//! how a register is loaded, multiplied and stored.
use crate::field::Nibbles;
use std::fmt;

mod lanes;
mod plain;

#[cfg(target_arch = "aarch64")]
mod neon;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod wasm;
#[cfg(target_arch = "x86_64")]
mod x86;

#[cfg(test)]
mod tests;

/// The instructions that shards are multiplied with. A value that exists runs on this machine.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Kernel(Kind);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    #[cfg(target_arch = "x86_64")]
    Gfni512(x86::Gfni512),
    #[cfg(target_arch = "x86_64")]
    Gfni256(x86::Gfni256),
    #[cfg(target_arch = "x86_64")]
    Avx2(x86::Avx2),
    #[cfg(target_arch = "x86_64")]
    Ssse3(x86::Ssse3),
    #[cfg(target_arch = "aarch64")]
    Neon(neon::Neon),
    #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
    Simd128(wasm::Simd128),
    Plain(plain::Plain),
}

impl Kernel {
    /// Those that run on this machine, the quickest first. The last one runs on every machine.
    pub fn available() -> Vec<Self> {
        let mut kinds = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            kinds.extend(x86::Gfni512::detect().map(Kind::Gfni512));
            kinds.extend(x86::Gfni256::detect().map(Kind::Gfni256));
            kinds.extend(x86::Avx2::detect().map(Kind::Avx2));
            kinds.extend(x86::Ssse3::detect().map(Kind::Ssse3));
        }
        #[cfg(target_arch = "aarch64")]
        kinds.extend(neon::Neon::detect().map(Kind::Neon));
        #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
        kinds.push(Kind::Simd128(wasm::Simd128));
        kinds.push(Kind::Plain(plain::Plain));
        kinds.into_iter().map(Self).collect()
    }

    /// The quickest that runs on this machine.
    pub fn best() -> Self {
        Self::available().first().copied().unwrap_or(Self(Kind::Plain(plain::Plain)))
    }

    /// A short name, for figures and logs.
    pub fn name(self) -> &'static str {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Kind::Gfni512(_) => "gfni-avx512",
            #[cfg(target_arch = "x86_64")]
            Kind::Gfni256(_) => "gfni-avx2",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2(_) => "avx2",
            #[cfg(target_arch = "x86_64")]
            Kind::Ssse3(_) => "ssse3",
            #[cfg(target_arch = "aarch64")]
            Kind::Neon(_) => "neon",
            #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
            Kind::Simd128(_) => "simd128",
            Kind::Plain(_) => "plain",
        }
    }

    /// How many rows are summed up in registers at once.
    fn rows_max(self) -> usize {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Kind::Gfni512(lanes) => lanes::rows_max(lanes),
            #[cfg(target_arch = "x86_64")]
            Kind::Gfni256(lanes) => lanes::rows_max(lanes),
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2(lanes) => lanes::rows_max(lanes),
            #[cfg(target_arch = "x86_64")]
            Kind::Ssse3(lanes) => lanes::rows_max(lanes),
            #[cfg(target_arch = "aarch64")]
            Kind::Neon(lanes) => lanes::rows_max(lanes),
            #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
            Kind::Simd128(lanes) => lanes::rows_max(lanes),
            Kind::Plain(lanes) => lanes::rows_max(lanes),
        }
    }

    /// The coefficients as this kernel's instructions want them.
    fn tables(self, coefficients: &[u8]) -> Tables {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Kind::Gfni512(_) | Kind::Gfni256(_) => Tables::Matrices(
                coefficients.iter().map(|by| crate::field::MATRICES[usize::from(*by)]).collect(),
            ),
            Kind::Plain(_) => Tables::Bytes(coefficients.to_vec()),
            #[cfg(any(
                target_arch = "x86_64",
                target_arch = "aarch64",
                all(target_arch = "wasm32", target_feature = "simd128")
            ))]
            _ => Tables::Nibbles(
                coefficients.iter().map(|by| crate::field::NIBBLES[usize::from(*by)]).collect(),
            ),
        }
    }
}

impl fmt::Debug for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Coefficients in a kernel's form.
#[derive(Debug, Clone)]
#[cfg_attr(
    not(target_arch = "x86_64"),
    allow(dead_code, reason = "not every architecture has registers for it")
)]
enum Tables {
    Matrices(Vec<u64>),
    Nibbles(Vec<Nibbles>),
    Bytes(Vec<u8>),
    /// One input, and each output is that: all that a code of one data shard does.
    Copies,
}

/// Whether what is written goes through the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stores {
    /// It does: it is small, or read again soon.
    Cached,
    /// Past it to the memory, where the processor can. It saves reading what is about to be overwritten.
    Streaming,
}

/// A matrix ready to be applied to shards: so many rows of as many coefficients as there are inputs.
#[derive(Debug, Clone)]
pub(crate) struct Rows {
    kernel: Kernel,
    inputs: usize,
    /// How many rows each group has that is summed up at once.
    groups: Vec<usize>,
    /// Group by group, in it input by input, for that the group's rows.
    tables: Tables,
}

impl Rows {
    /// Takes `coefficients` row by row. There is at least one input.
    pub(crate) fn new(kernel: Kernel, inputs: usize, coefficients: &[u8]) -> Self {
        let rows = coefficients.len() / inputs;
        if inputs == 1 && coefficients.iter().all(|by| *by == 1) {
            return Self { kernel, inputs, groups: vec![rows], tables: Tables::Copies };
        }
        // As even as can be: the inputs are read once for each group.
        let groups_len = rows.div_ceil(kernel.rows_max());
        let groups: Vec<usize> =
            (0..groups_len).map(|at| rows * (at + 1) / groups_len - rows * at / groups_len).collect();
        let mut in_order = Vec::with_capacity(coefficients.len());
        let mut first = 0;
        for rows in &groups {
            for input in 0..inputs {
                in_order.extend((first..first + rows).map(|row| coefficients[row * inputs + input]));
            }
            first += rows;
        }
        let tables = kernel.tables(&in_order);
        Self { kernel, inputs, groups, tables }
    }

    /// Overwrites each output by the sum of the inputs times its row's coefficients. There are as many inputs and
    /// outputs as the matrix has columns and rows, and all are of one length.
    pub(crate) fn apply(&self, inputs: &[&[u8]], outputs: &mut [&mut [u8]], stores: Stores) {
        assert_eq!(inputs.len(), self.inputs, "an input for each column");
        assert_eq!(outputs.len(), self.groups.iter().sum::<usize>(), "an output for each row");
        let Some(len) = outputs.first().map(|output| output.len()) else { return };
        assert!(inputs.iter().all(|input| input.len() == len), "inputs of one length");
        assert!(outputs.iter().all(|output| output.len() == len), "outputs of that length");
        let job = lanes::Job { groups: &self.groups, inputs, outputs, stores };
        match (self.kernel.0, &self.tables) {
            (_, Tables::Copies) => {
                job.outputs.iter_mut().for_each(|output| output.copy_from_slice(job.inputs[0]));
            }
            #[cfg(target_arch = "x86_64")]
            (Kind::Gfni512(lanes), Tables::Matrices(tables)) => lanes.run(tables, job),
            #[cfg(target_arch = "x86_64")]
            (Kind::Gfni256(lanes), Tables::Matrices(tables)) => lanes.run(tables, job),
            #[cfg(target_arch = "x86_64")]
            (Kind::Avx2(lanes), Tables::Nibbles(tables)) => lanes.run(tables, job),
            #[cfg(target_arch = "x86_64")]
            (Kind::Ssse3(lanes), Tables::Nibbles(tables)) => lanes.run(tables, job),
            #[cfg(target_arch = "aarch64")]
            (Kind::Neon(lanes), Tables::Nibbles(tables)) => lanes.run(tables, job),
            #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
            (Kind::Simd128(lanes), Tables::Nibbles(tables)) => lanes.run(tables, job),
            (Kind::Plain(lanes), Tables::Bytes(tables)) => lanes::run(lanes, tables, job),
            _ => unreachable!("`tables` makes a kernel's own form"),
        }
    }
}
