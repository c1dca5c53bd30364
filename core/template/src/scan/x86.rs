//! The plain kernel, compiled for wider registers. The crate's only unsafe code: calls of functions whose instructions
//! not every processor has.
#![allow(
    unsafe_code,
    reason = "such a call is unsafe; that the processor was asked before is the caller's to know"
)]
use super::{Line, ProbeLines, plain};

/// Proof that this processor has AVX-512 F and BW: only [`Avx512::detect`] makes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Avx512(());

impl Avx512 {
    pub(super) fn detect() -> Option<Self> {
        let has = is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw");
        has.then_some(Self(()))
    }

    pub(super) fn inner_products(self, rows: &[Line], probe: &ProbeLines, out: &mut [i64]) {
        // SAFETY: `self` exists, so `detect` has seen every feature that the function was compiled for.
        unsafe { avx512(rows, probe, out) }
    }
}

#[target_feature(enable = "avx512f,avx512bw")]
fn avx512(rows: &[Line], probe: &ProbeLines, out: &mut [i64]) {
    plain(rows, probe, out);
}

/// Proof that this processor has AVX2: only [`Avx2::detect`] makes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Avx2(());

impl Avx2 {
    pub(super) fn detect() -> Option<Self> {
        is_x86_feature_detected!("avx2").then_some(Self(()))
    }

    pub(super) fn inner_products(self, rows: &[Line], probe: &ProbeLines, out: &mut [i64]) {
        // SAFETY: `self` exists, so `detect` has seen the feature that the function was compiled for.
        unsafe { avx2(rows, probe, out) }
    }
}

#[target_feature(enable = "avx2")]
fn avx2(rows: &[Line], probe: &ProbeLines, out: &mut [i64]) {
    plain(rows, probe, out);
}
