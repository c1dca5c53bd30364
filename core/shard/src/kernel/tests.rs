//! Every kernel that runs here against the naive matrix.
use super::*;
use crate::naive;
use proptest::prelude::*;

/// Applies the same matrix with each kernel to shards that begin `shift` bytes behind a boundary, and looks that
/// nothing beside the outputs was written.
#[track_caller]
fn every_kernel_gives(rows: &naive::Matrix, inputs: &[Vec<u8>], shift: usize) {
    let expected = naive::apply(rows, inputs);
    let len = inputs[0].len();
    let shifted: Vec<Vec<u8>> = inputs.iter().map(|input| [&vec![0; shift][..], input].concat()).collect();
    let inputs: Vec<&[u8]> = shifted.iter().map(|input| &input[shift..]).collect();
    for kernel in Kernel::available() {
        let rows = Rows::new(kernel, inputs.len(), &rows.concat());
        for stores in [Stores::Cached, Stores::Streaming] {
            let mut buffers = vec![vec![0xEE; 64 + shift + len + 9]; expected.len()];
            // Equally far behind a boundary in each: only such outputs are streamed.
            let begin = |buffer: &Vec<u8>| buffer.as_ptr().align_offset(64) + shift;
            let mut outputs: Vec<&mut [u8]> = (buffers.iter_mut())
                .map(|buffer| {
                    let begin = begin(buffer);
                    &mut buffer[begin..begin + len]
                })
                .collect();
            rows.apply(&inputs, &mut outputs, stores);
            for (buffer, expected) in buffers.iter().zip(&expected) {
                let (before, output) = buffer.split_at(begin(buffer));
                let (output, behind) = output.split_at(len);
                assert!(output == expected, "{kernel:?}, {stores:?}, {len} bytes");
                let untouched = before.iter().chain(behind);
                assert!(untouched.copied().all(|byte| byte == 0xEE), "{kernel:?} wrote beside its output");
            }
        }
    }
}

fn matrix(rows: usize, columns: usize, seed: u8) -> naive::Matrix {
    let cell = |row: usize, column: usize| (row * 31 + column * 7 + usize::from(seed)) as u8;
    (0..rows).map(|row| (0..columns).map(|column| cell(row, column)).collect()).collect()
}

fn bytes(len: usize, seed: usize) -> Vec<u8> {
    (0..len).map(|at| (at * 131 + seed * 89 + (at >> 8)) as u8).collect()
}

#[test]
fn every_length() {
    for len in 0..=400 {
        let inputs: Vec<Vec<u8>> = (0..3).map(|input| bytes(len, input)).collect();
        every_kernel_gives(&matrix(1 + len % 9, 3, len as u8), &inputs, len % 3);
    }
}

#[test]
fn every_alignment() {
    for shift in 0..=64 {
        let inputs: Vec<Vec<u8>> = (0..4).map(|input| bytes(517, input)).collect();
        every_kernel_gives(&matrix(2, 4, 200), &inputs, shift);
    }
}

#[test]
fn every_coefficient() {
    let coefficients: naive::Matrix = (0..=255).map(|by| vec![by]).collect();
    every_kernel_gives(&coefficients, &[(0..=255).collect()], 0);
}

/// Longer than a strip, in more groups than one.
#[test]
fn several_strips() {
    let inputs: Vec<Vec<u8>> = (0..40).map(|input| bytes(9001, input)).collect();
    every_kernel_gives(&matrix(19, 40, 3), &inputs, 5);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_matrix_on_any_bytes(
        (rows, inputs) in (1..6usize, 1..20usize, 1..700usize).prop_flat_map(|(columns, rows, len)| (
            prop::collection::vec(prop::collection::vec(any::<u8>(), columns), rows),
            prop::collection::vec(prop::collection::vec(any::<u8>(), len), columns),
        )),
        shift in 0..64usize,
    ) {
        every_kernel_gives(&rows, &inputs, shift);
    }
}
