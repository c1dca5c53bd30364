//! SHA-512 (FIPS 180-4) of eight messages of one length side by side.
use super::lanes::{Lanes, Row, splat, transpose};
use core::arch::x86_64::*;

const BLOCK_LEN: usize = 128;

/// The first 64 bits of the fractional parts of the first eight primes' square roots.
const START: [u64; 8] = [
    0x6a09_e667_f3bc_c908,
    0xbb67_ae85_84ca_a73b,
    0x3c6e_f372_fe94_f82b,
    0xa54f_f53a_5f1d_36f1,
    0x510e_527f_ade6_82d1,
    0x9b05_688c_2b3e_6c1f,
    0x1f83_d9ab_fb41_bd6b,
    0x5be0_cd19_137e_2179,
];

/// The first 64 bits of the fractional parts of the first eighty primes' cube roots.
const ROUNDS: [u64; 80] = [
    0x428a_2f98_d728_ae22,
    0x7137_4491_23ef_65cd,
    0xb5c0_fbcf_ec4d_3b2f,
    0xe9b5_dba5_8189_dbbc,
    0x3956_c25b_f348_b538,
    0x59f1_11f1_b605_d019,
    0x923f_82a4_af19_4f9b,
    0xab1c_5ed5_da6d_8118,
    0xd807_aa98_a303_0242,
    0x1283_5b01_4570_6fbe,
    0x2431_85be_4ee4_b28c,
    0x550c_7dc3_d5ff_b4e2,
    0x72be_5d74_f27b_896f,
    0x80de_b1fe_3b16_96b1,
    0x9bdc_06a7_25c7_1235,
    0xc19b_f174_cf69_2694,
    0xe49b_69c1_9ef1_4ad2,
    0xefbe_4786_384f_25e3,
    0x0fc1_9dc6_8b8c_d5b5,
    0x240c_a1cc_77ac_9c65,
    0x2de9_2c6f_592b_0275,
    0x4a74_84aa_6ea6_e483,
    0x5cb0_a9dc_bd41_fbd4,
    0x76f9_88da_8311_53b5,
    0x983e_5152_ee66_dfab,
    0xa831_c66d_2db4_3210,
    0xb003_27c8_98fb_213f,
    0xbf59_7fc7_beef_0ee4,
    0xc6e0_0bf3_3da8_8fc2,
    0xd5a7_9147_930a_a725,
    0x06ca_6351_e003_826f,
    0x1429_2967_0a0e_6e70,
    0x27b7_0a85_46d2_2ffc,
    0x2e1b_2138_5c26_c926,
    0x4d2c_6dfc_5ac4_2aed,
    0x5338_0d13_9d95_b3df,
    0x650a_7354_8baf_63de,
    0x766a_0abb_3c77_b2a8,
    0x81c2_c92e_47ed_aee6,
    0x9272_2c85_1482_353b,
    0xa2bf_e8a1_4cf1_0364,
    0xa81a_664b_bc42_3001,
    0xc24b_8b70_d0f8_9791,
    0xc76c_51a3_0654_be30,
    0xd192_e819_d6ef_5218,
    0xd699_0624_5565_a910,
    0xf40e_3585_5771_202a,
    0x106a_a070_32bb_d1b8,
    0x19a4_c116_b8d2_d0c8,
    0x1e37_6c08_5141_ab53,
    0x2748_774c_df8e_eb99,
    0x34b0_bcb5_e19b_48a8,
    0x391c_0cb3_c5c9_5a63,
    0x4ed8_aa4a_e341_8acb,
    0x5b9c_ca4f_7763_e373,
    0x682e_6ff3_d6b2_b8a3,
    0x748f_82ee_5def_b2fc,
    0x78a5_636f_4317_2f60,
    0x84c8_7814_a1f0_ab72,
    0x8cc7_0208_1a64_39ec,
    0x90be_fffa_2363_1e28,
    0xa450_6ceb_de82_bde9,
    0xbef9_a3f7_b2c6_7915,
    0xc671_78f2_e372_532b,
    0xca27_3ece_ea26_619c,
    0xd186_b8c7_21c0_c207,
    0xeada_7dd6_cde0_eb1e,
    0xf57d_4f7f_ee6e_d178,
    0x06f0_67aa_7217_6fba,
    0x0a63_7dc5_a2c8_98a6,
    0x113f_9804_bef9_0dae,
    0x1b71_0b35_131c_471b,
    0x28db_77f5_2304_7d84,
    0x32ca_ab7b_40c7_2493,
    0x3c9e_be0a_15c9_bebc,
    0x431d_67c4_9c10_0d4c,
    0x4cc5_d4be_cb3e_42b6,
    0x597f_299c_fc65_7e2a,
    0x5fcb_6fab_3ad6_faec,
    0x6c44_198c_4a47_5817,
];

/// The digests.
#[target_feature(enable = "avx512ifma,avx512dq,avx512bw")]
pub(super) fn sha512<const LEN: usize>(messages: [&[u8; LEN]; 8]) -> [[u8; 64]; 8] {
    let mut state = START.map(|word| splat(word));
    for start in (0..=LEN + 16).step_by(BLOCK_LEN) {
        let mut blocks = [[0; BLOCK_LEN]; 8];
        for (block, message) in blocks.iter_mut().zip(messages) {
            *block = padded_block(message, start);
        }
        compress(&mut state, &blocks);
    }
    let mut digests = [[0; 64]; 8];
    for (digest, words) in digests.iter_mut().zip(transpose(state)) {
        for (bytes, word) in digest.as_chunks_mut::<8>().0.iter_mut().zip(Row::store(words).0) {
            *bytes = word.to_be_bytes();
        }
    }
    digests
}

/// The block of the padded message that begins at `start`: the message, a bit, zeros, and its length in bits.
fn padded_block(message: &[u8], start: usize) -> [u8; BLOCK_LEN] {
    let mut block = [0; BLOCK_LEN];
    let rest = message.get(start..).unwrap_or_default();
    let taken = rest.len().min(BLOCK_LEN);
    block[..taken].copy_from_slice(&rest[..taken]);
    if taken < BLOCK_LEN && start <= message.len() {
        block[taken] = 0x80;
    }
    if start + BLOCK_LEN >= message.len() + 17 {
        block[BLOCK_LEN - 8..].copy_from_slice(&(message.len() as u64 * 8).to_be_bytes());
    }
    block
}

#[target_feature(enable = "avx512ifma,avx512dq,avx512bw")]
fn compress(state: &mut [Lanes; 8], blocks: &[[u8; BLOCK_LEN]; 8]) {
    let mut words = [_mm512_setzero_si512(); 16];
    for half in 0..2 {
        let mut rows = [_mm512_setzero_si512(); 8];
        for (row, block) in rows.iter_mut().zip(blocks) {
            let mut numbers = Row::ZERO;
            for (number, bytes) in numbers.0.iter_mut().zip(&block.as_chunks::<8>().0[half * 8..]) {
                *number = u64::from_be_bytes(*bytes);
            }
            *row = numbers.load();
        }
        words[half * 8..half * 8 + 8].copy_from_slice(&transpose(rows));
    }
    let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = *state;
    for (sixteen, constants) in ROUNDS.as_chunks::<16>().0.iter().enumerate() {
        if sixteen > 0 {
            for at in 0..16 {
                words[at] = add4(
                    words[at],
                    small1(words[(at + 14) % 16]),
                    words[(at + 9) % 16],
                    small0(words[(at + 1) % 16]),
                );
            }
        }
        for (word, constant) in words.iter().zip(constants) {
            let first = _mm512_add_epi64(add4(h, big1(e), choice(e, f, g), splat(*constant)), *word);
            let second = _mm512_add_epi64(big0(a), majority(a, b, c));
            (h, g, f, e) = (g, f, e, _mm512_add_epi64(d, first));
            (d, c, b, a) = (c, b, a, _mm512_add_epi64(first, second));
        }
    }
    for (word, new) in state.iter_mut().zip([a, b, c, d, e, f, g, h]) {
        *word = _mm512_add_epi64(*word, new);
    }
}

#[inline]
#[target_feature(enable = "avx512ifma,avx512dq,avx512bw")]
fn add4(a: Lanes, b: Lanes, c: Lanes, d: Lanes) -> Lanes {
    _mm512_add_epi64(_mm512_add_epi64(a, b), _mm512_add_epi64(c, d))
}

#[inline]
#[target_feature(enable = "avx512ifma,avx512dq,avx512bw")]
fn xor3(a: Lanes, b: Lanes, c: Lanes) -> Lanes {
    _mm512_ternarylogic_epi64::<0b1001_0110>(a, b, c)
}

#[inline]
#[target_feature(enable = "avx512ifma,avx512dq,avx512bw")]
fn choice(e: Lanes, f: Lanes, g: Lanes) -> Lanes {
    _mm512_ternarylogic_epi64::<0b1100_1010>(e, f, g)
}

#[inline]
#[target_feature(enable = "avx512ifma,avx512dq,avx512bw")]
fn majority(a: Lanes, b: Lanes, c: Lanes) -> Lanes {
    _mm512_ternarylogic_epi64::<0b1110_1000>(a, b, c)
}

#[inline]
#[target_feature(enable = "avx512ifma,avx512dq,avx512bw")]
fn big0(a: Lanes) -> Lanes {
    xor3(_mm512_ror_epi64::<28>(a), _mm512_ror_epi64::<34>(a), _mm512_ror_epi64::<39>(a))
}

#[inline]
#[target_feature(enable = "avx512ifma,avx512dq,avx512bw")]
fn big1(e: Lanes) -> Lanes {
    xor3(_mm512_ror_epi64::<14>(e), _mm512_ror_epi64::<18>(e), _mm512_ror_epi64::<41>(e))
}

#[inline]
#[target_feature(enable = "avx512ifma,avx512dq,avx512bw")]
fn small0(word: Lanes) -> Lanes {
    xor3(_mm512_ror_epi64::<1>(word), _mm512_ror_epi64::<8>(word), _mm512_srli_epi64::<7>(word))
}

#[inline]
#[target_feature(enable = "avx512ifma,avx512dq,avx512bw")]
fn small1(word: Lanes) -> Lanes {
    xor3(_mm512_ror_epi64::<19>(word), _mm512_ror_epi64::<61>(word), _mm512_srli_epi64::<6>(word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::Digest;

    #[target_feature(enable = "avx512ifma,avx512dq,avx512bw")]
    fn check<const LEN: usize>() {
        let messages: [[u8; LEN]; 8] =
            std::array::from_fn(|lane| std::array::from_fn(|at| (at * 31 + lane * 57 + at / 7) as u8));
        let expected = messages.map(|message| <[u8; 64]>::from(sha2::Sha512::digest(message)));
        assert_eq!(sha512(messages.each_ref()), expected, "of {LEN} bytes");
    }

    vector_test! {
        /// Lengths around those at which the padding takes another block.
        fn digests_are_those_of_sha2() {
            check::<0>();
            check::<1>();
            check::<63>();
            check::<64>();
            check::<110>();
            check::<111>();
            check::<112>();
            check::<113>();
            check::<127>();
            check::<128>();
            check::<129>();
            check::<228>();
            check::<239>();
            check::<240>();
            check::<255>();
            check::<256>();
            check::<1000>();
        }

        /// FIPS 180-4's example.
        fn abc_has_the_published_digest() {
            let digest = sha512([b"abc"; 8])[5];
            assert_eq!(digest[..8], [0xdd, 0xaf, 0x35, 0xa1, 0x93, 0x61, 0x7a, 0xba]);
            assert_eq!(digest[56..], [0x2a, 0x9a, 0xc9, 0x4f, 0xa5, 0x4c, 0xa4, 0x9f]);
        }
    }
}
