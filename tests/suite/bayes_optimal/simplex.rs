//! Vectors of small counts, one for each server, numbered densely in order of their sum.

/// More servers than any small case has.
pub const MOST_SERVERS: usize = 4;

/// Counts of one kind, per server; unused places are 0.
pub type Vector = [u16; MOST_SERVERS];

/// All vectors of `servers` counts whose sum is at most `most`.
#[derive(Debug)]
pub struct Simplex {
    vectors: Vec<Vector>,
    /// The number of the vector with a given code; the code reads the counts as digits.
    ranks: Vec<u32>,
    /// For each place, what a count of 1 there adds to the code.
    digits: [usize; MOST_SERVERS],
    /// For each sum, the first vector with it; one entry more at the end.
    first: Vec<usize>,
}

impl Simplex {
    pub fn new(servers: usize, most: usize) -> Self {
        let base = most + 1;
        let mut digits = [0; MOST_SERVERS];
        for (place, digit) in digits.iter_mut().take(servers).enumerate() {
            *digit = base.pow(place as u32);
        }
        let mut simplex = Self {
            vectors: Vec::new(),
            ranks: vec![u32::MAX; base.pow(servers as u32)],
            digits,
            first: Vec::new(),
        };
        for sum in 0..=most {
            simplex.first.push(simplex.vectors.len());
            simplex.add(&mut [0; MOST_SERVERS], servers, sum);
        }
        simplex.first.push(simplex.vectors.len());
        simplex
    }

    /// Adds all vectors that fill the last `places` places of `vector` with a given sum.
    fn add(&mut self, vector: &mut Vector, places: usize, sum: usize) {
        if places == 1 {
            vector[0] = sum as u16;
            let code = self.code(vector);
            self.ranks[code] = self.vectors.len() as u32;
            self.vectors.push(*vector);
            return;
        }
        for count in 0..=sum {
            vector[places - 1] = count as u16;
            self.add(vector, places - 1, sum - count);
        }
    }

    fn code(&self, vector: &Vector) -> usize {
        vector.iter().zip(&self.digits).map(|(count, digit)| usize::from(*count) * digit).sum()
    }

    #[inline]
    pub fn rank(&self, vector: &Vector) -> usize {
        self.ranks[self.code(vector)] as usize
    }

    #[inline]
    pub fn vector(&self, rank: usize) -> &Vector {
        &self.vectors[rank]
    }

    /// Vectors there are whose sum is at most `sum`.
    pub fn up_to(&self, sum: usize) -> usize {
        self.first[sum + 1]
    }

    /// The numbers of all vectors whose sum is in `low..=high`.
    pub fn range(&self, low: usize, high: usize) -> std::ops::Range<usize> {
        self.first[low]..self.first[high + 1]
    }
}

#[test]
fn every_vector_has_a_number_of_its_own_and_comes_back() {
    let simplex = Simplex::new(3, 7);
    // C(7 + 3, 3) vectors.
    assert_eq!(simplex.up_to(7), 120);
    for rank in 0..120 {
        assert_eq!(simplex.rank(simplex.vector(rank)), rank);
    }
    let sums = |low, high| simplex.range(low, high).map(|r| simplex.vector(r).iter().sum::<u16>());
    assert!(sums(3, 4).all(|sum| sum == 3 || sum == 4));
    assert_eq!(sums(3, 4).count(), 10 + 15);
}
