//! The code as textbooks have it, for tests to compare with: matrices, inverted by elimination, byte by byte.
use crate::field::product;

pub(crate) type Matrix = Vec<Vec<u8>>;

fn power(base: u8, exponent: usize) -> u8 {
    (0..exponent).fold(1, |value, _| product(value, base))
}

fn times(a: &Matrix, b: &Matrix) -> Matrix {
    let cell =
        |row: &[u8], column: usize| (0..b.len()).fold(0, |sum, at| sum ^ product(row[at], b[at][column]));
    a.iter().map(|row| (0..b[0].len()).map(|column| cell(row, column)).collect()).collect()
}

fn inverse(matrix: &Matrix) -> Matrix {
    let n = matrix.len();
    let mut left = matrix.clone();
    let mut right: Matrix =
        (0..n).map(|row| (0..n).map(|column| u8::from(row == column)).collect()).collect();
    for column in 0..n {
        let pivot = (column..n).find(|row| left[*row][column] != 0).expect("the matrix is regular");
        left.swap(column, pivot);
        right.swap(column, pivot);
        let inverse = (1..=255).find(|x| product(*x, left[column][column]) == 1).expect("a field");
        for cell in left[column].iter_mut().chain(&mut right[column]) {
            *cell = product(*cell, inverse);
        }
        for row in (0..n).filter(|row| *row != column) {
            let factor = left[row][column];
            for at in 0..n {
                left[row][at] ^= product(factor, left[column][at]);
                right[row][at] ^= product(factor, right[column][at]);
            }
        }
    }
    right
}

/// k + m rows: the identity, then the parity's.
pub(crate) fn generator(k: usize, m: usize) -> Matrix {
    let point = |row: usize| u8::try_from(row).expect("at most 256 shards");
    let vandermonde: Matrix =
        (0..k + m).map(|row| (0..k).map(|column| power(point(row), column)).collect()).collect();
    let top = inverse(&vandermonde[..k].to_vec());
    times(&vandermonde, &top)
}

/// How the `wanted` shards are made of the `sources`.
pub(crate) fn decoding_rows(k: usize, m: usize, sources: &[u8], wanted: &[u8]) -> Matrix {
    let all = generator(k, m);
    let rows =
        |points: &[u8]| points.iter().map(|point| all[usize::from(*point)].clone()).collect::<Matrix>();
    times(&rows(wanted), &inverse(&rows(sources)))
}

/// `rows` applied to `inputs`, byte by byte.
pub(crate) fn apply(rows: &Matrix, inputs: &[Vec<u8>]) -> Vec<Vec<u8>> {
    times(rows, &inputs.to_vec())
}
