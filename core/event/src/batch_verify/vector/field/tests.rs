use super::super::model::{Model, lanes, numbers};
use super::*;
use proptest::prelude::*;

const LIMB_MAX: u64 = (1 << 52) - 1;

/// A limb as the multiplier takes it, most often one near which a carry, a mask or a product could break.
fn limb() -> impl Strategy<Value = u64> {
    // A plain mapping: a choice of strategies keeps them all, and 160 of those are more than a test's stack.
    (0..8u8, any::<u64>()).prop_map(|(kind, random)| match kind {
        0 => 0,
        1 => LIMB_MAX,
        2 => random % 64,
        3 => MASK - random % 64,
        4 => MASK + random % 64,
        5 => LIMB_MAX - random % 64,
        6 => 1 << (random % 52),
        _ => random & LIMB_MAX,
    })
}

fn eight() -> impl Strategy<Value = [[u64; 5]; 8]> {
    prop::array::uniform8(prop::array::uniform5(limb()))
}

fn models(limbs: &[[u64; 5]; 8]) -> [Model; 8] {
    limbs.map(Model::from_limbs)
}

fn each(left: &[Model; 8], right: &[Model; 8], operation: fn(Model, Model) -> Model) -> [Model; 8] {
    std::array::from_fn(|lane| operation(left[lane], right[lane]))
}

vector_test! {
    fn arithmetic_is_that_of_the_model() {
        proptest!(ProptestConfig::with_cases(300), |(a in eight(), b in eight(), c in eight(), d in eight())| {
            let (ma, mb, mc, md) = (models(&a), models(&b), models(&c), models(&d));
            let (a, b, c, d) = (lanes(&a), lanes(&b), lanes(&c), lanes(&d));
            prop_assert_eq!(numbers(&a.add(&b)), each(&ma, &mb, Model::add));
            prop_assert_eq!(numbers(&a.sub(&b)), each(&ma, &mb, Model::sub));
            prop_assert_eq!(numbers(&a.square().carry()), each(&ma, &ma, Model::mul));
            let (ab, cd) = (each(&ma, &mb, Model::mul), each(&mc, &md, Model::mul));
            prop_assert_eq!(numbers(&a.mul(&b).carry()), ab);
            // The largest sums that the formulas for points make before they carry.
            let (wab, wcd) = (a.mul(&b), c.mul(&d));
            prop_assert_eq!(numbers(&wab.add(&wcd).carry()), each(&ab, &cd, Model::add));
            prop_assert_eq!(numbers(&wab.add(&wab).sub(&wcd).carry()), each(&each(&ab, &ab, Model::add), &cd, Model::sub));
            prop_assert_eq!(numbers(&wab.add(&wab).add(&wcd).carry()), each(&each(&ab, &ab, Model::add), &cd, Model::add));
        });
    }

    fn any_limbs_are_carried() {
        proptest!(|(limbs in prop::array::uniform8(prop::array::uniform5(any::<u64>())))| {
            // The limbs of a product are below 2^61, its sums below 2^63; carrying takes what there is.
            let carried = Wide8(lanes(&limbs).0).carry();
            prop_assert_eq!(numbers(&carried), models(&limbs));
            for row in carried.store() {
                prop_assert!(row.0.iter().all(|limb| *limb < (1 << 51) + (1 << 18)));
            }
        });
        let carried = Wide8(Field8::splat([u64::MAX; 5]).0).carry();
        assert_eq!(numbers(&carried), [Model::from_limbs([u64::MAX; 5]); 8]);
    }

    fn the_largest_products_stay_below_their_bounds() {
        let largest = Field8::splat([LIMB_MAX; 5]);
        for product in [largest.mul(&largest), largest.square()] {
            for (row, p) in Field8(product.0).store().iter().zip(P) {
                assert!(row.0[0] < p << 10, "what `sub` takes");
            }
            assert_eq!(numbers(&product.carry()), [Model::from_limbs([LIMB_MAX; 5]); 8].map(|number| number.mul(number)));
        }
        let zero = Field8::small(0);
        assert_eq!(numbers(&zero.sub(&largest)), [Model::ZERO.sub(Model::from_limbs([LIMB_MAX; 5])); 8]);
    }

    fn there_is_one_canonical_form() {
        proptest!(ProptestConfig::with_cases(1000), |(limbs in eight())| {
            let field = lanes(&limbs);
            let canonical = field.canonical().store();
            for (lane, model) in models(&limbs).into_iter().enumerate() {
                let limbs = canonical.map(|row| row.0[lane]);
                prop_assert!(limbs.iter().all(|limb| *limb <= MASK));
                prop_assert_eq!(Model::from_limbs(limbs), model);
                // Only p itself and the 18 numbers above it could be reduced once more.
                prop_assert!(limbs[1..] != P[1..] || limbs[0] < P[0]);
                prop_assert_eq!(field.odds() >> lane & 1 == 1, model.is_odd());
                prop_assert_eq!(field.zeros() >> lane & 1 == 1, model == Model::ZERO);
            }
        });
    }

    /// 0 in whatever limbs it stands, and its neighbours.
    fn zero_has_many_forms() {
        let [low, high] = [P[0], MASK];
        let zeros = [
            [0; 5],
            // p
            P,
            // 2p
            P.map(|limb| limb * 2),
            // p with what one limb has too much missing in the next one
            [low + (1 << 51), high - 1, high, high, high],
            [low, high, high, high + (1 << 51), high - 1],
            // 2p as 2^255 + (p - 19)
            [low - 19, high, high, high, high + (1 << 51)],
            // p as 2^255 - 19 with every limb but the first borrowed from
            [low + (1 << 51), high + (1 << 51) - 1, high - 1, high, high],
            P,
        ];
        assert_eq!(lanes(&zeros).zeros(), 0xff);
        let mut above = zeros;
        for limbs in &mut above {
            limbs[0] += 1;
        }
        assert_eq!(lanes(&above).zeros(), 0);
        assert_eq!(lanes(&above).odds(), 0xff);
        // 2^255 is 19.
        assert_eq!(Field8::splat([0, 0, 0, 0, 1 << 51]).sub(&Field8::small(19)).zeros(), 0xff);
        assert_eq!(Field8::splat([low - 1, high, high, high, high]).zeros(), 0);
        assert_eq!(Field8::splat(P).odds(), 0);
    }

    fn encodings_are_read_modulo_p() {
        proptest!(|(mut encodings in prop::array::uniform8(prop::array::uniform32(any::<u8>())), ones in 0..8usize)| {
            encodings[ones] = [0xff; 32];
            encodings[(ones + 1) % 8][1..].fill(0xff);
            let field = Field8::from_bytes(&encodings);
            prop_assert_eq!(numbers(&field), encodings.map(Model::from_bytes));
        });
    }

    fn lanes_are_chosen_and_moved() {
        let numbered: [[u64; 5]; 8] = std::array::from_fn(|lane| [lane as u64; 5]);
        let (field, other) = (lanes(&numbered), Field8::splat([99; 5]));
        let chosen = field.select(0b1010_0001, &other).store();
        let moved = field.rotate(3).store();
        for limb in 0..5 {
            assert_eq!(chosen[limb].0, [99, 1, 2, 3, 4, 99, 6, 99]);
            assert_eq!(moved[limb].0, [3, 4, 5, 6, 7, 0, 1, 2]);
        }
    }
}
