use arbitrary::Arbitrary;

/// How honest bytes are spoiled in a few places, or in none: random bytes would take long to resemble them.
#[derive(Arbitrary, Debug)]
pub struct Spoiled {
    flips: Vec<(u16, u8)>,
    cut: Option<u16>,
    more: Vec<u8>,
}

impl Spoiled {
    /// A few flips are as good as many.
    const FLIPS_MAX: usize = 8;

    /// A copy of `honest`, spoiled.
    pub fn apply(&self, honest: &[u8]) -> Vec<u8> {
        let mut bytes = honest.to_vec();
        if let Some(len) = self.cut {
            bytes.truncate(usize::from(len));
        }
        bytes.extend(&self.more);
        for (at, with) in self.flips.iter().take(Self::FLIPS_MAX) {
            if let Some(byte) = bytes.get_mut(usize::from(*at)) {
                *byte ^= with;
            }
        }
        bytes
    }
}
