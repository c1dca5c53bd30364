//! What all benchmarks share: clocks, statistics, and figures with their ratios and aims.
pub mod measure;
pub mod report;
