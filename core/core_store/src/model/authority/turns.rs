use super::bits::Bits;

/// In which order removals and demotions are decided. Each has a number; `threatens` says which others it may make void.
pub(super) struct Turns {
    threatens: Vec<Bits>,
    /// By precedence, the first holds against the others.
    precedence: Vec<usize>,
    undecided: Bits,
}

impl Turns {
    /// `precedence` names all of them, in that order.
    pub(super) fn new(threatens: Vec<Bits>, precedence: Vec<usize>) -> Self {
        let mut places = vec![0; precedence.len()];
        precedence.iter().enumerate().for_each(|(place, at)| places[*at] = place);
        let len = threatens.len();
        Self { threatens, precedence: places, undecided: Bits::range(len, 0..len) }
    }

    /// Takes out one that is void: it threatens nobody.
    pub(super) fn drop_void(&mut self, at: usize) {
        self.undecided.remove(at);
    }

    /// Those that are not decided.
    pub(super) fn undecided(&self) -> impl Iterator<Item = usize> {
        self.undecided.iter()
    }

    /// Those that hold next, none of which threatens another: all that nobody undecided threatens; where there is none, of
    /// each ring that is threatened from nowhere but itself the first by precedence. Empty when all are decided.
    pub(super) fn next(&mut self) -> Vec<usize> {
        let mut free = self.undecided.clone();
        self.undecided.iter().for_each(|at| free.subtract(&self.threatens[at]));
        let mut next: Vec<usize> = if free.is_empty() { self.of_rings() } else { free.iter().collect() };
        next.sort_unstable_by_key(|at| self.precedence[*at]);
        next.iter().for_each(|at| self.undecided.remove(*at));
        next
    }

    /// The first of each ring that is threatened by itself only.
    fn of_rings(&self) -> Vec<usize> {
        let mut covered = Bits::none(self.threatens.len());
        let left = self.left_in_turn();
        let mut found = Vec::new();
        // Whom a search leaves last, nobody reaches but its own ring (Kosaraju).
        for at in left.iter().rev().copied() {
            if !covered.contains(at) {
                let ring = self.above(at, &left);
                found.extend(ring.iter().min_by_key(|at| self.precedence[*at]));
                self.cover(ring, &mut covered);
            }
        }
        found
    }

    /// The undecided in the order in which a search in depth is done with them.
    fn left_in_turn(&self) -> Vec<usize> {
        let (mut fresh, mut done) = (self.undecided.clone(), Vec::new());
        for root in self.undecided.iter() {
            if !fresh.contains(root) {
                continue;
            }
            fresh.remove(root);
            let mut way = vec![root];
            while let Some(at) = way.last().copied() {
                match self.threatens[at].first_in(&fresh) {
                    Some(next) => {
                        fresh.remove(next);
                        way.push(next);
                    }
                    None => done.extend(way.pop()),
                }
            }
        }
        done
    }

    /// Everything undecided from which threats lead to `at`, itself included.
    fn above(&self, at: usize, left: &[usize]) -> Bits {
        let mut above = Bits::none(self.threatens.len());
        above.insert(at);
        loop {
            let mut grew = false;
            // In this order one round finds nearly all, and mostly all.
            for other in left.iter().copied() {
                if !above.contains(other) && self.threatens[other].meets(&above) {
                    above.insert(other);
                    grew = true;
                }
            }
            if !grew {
                return above;
            }
        }
    }

    /// Adds to `covered` a ring and everything that threats lead to from it.
    fn cover(&self, ring: Bits, covered: &mut Bits) {
        let mut way: Vec<usize> = ring.iter().collect();
        covered.union(&ring);
        while let Some(at) = way.pop() {
            let mut fresh = self.threatens[at].intersection(&self.undecided);
            fresh.subtract(covered);
            way.extend(fresh.iter());
            covered.union(&fresh);
        }
    }
}
