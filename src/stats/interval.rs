//! A closed interval.

/// A closed interval of the real line; both ends in the unit of what it is about.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Interval {
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

impl Interval {
    /// The interval from `center - half_width` to `center + half_width`.
    #[must_use]
    pub fn around(center: f64, half_width: f64) -> Self {
        Self { low: center - half_width, high: center + half_width }
    }

    /// Whether `x` lies inside, the ends included.
    #[must_use]
    pub fn contains(&self, x: f64) -> bool {
        self.low <= x && x <= self.high
    }

    /// The distance between the ends.
    #[must_use]
    pub fn width(&self) -> f64 {
        self.high - self.low
    }

    /// Half the distance between the ends.
    #[must_use]
    pub fn half_width(&self) -> f64 {
        self.width() / 2.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_knows_its_ends() {
        let interval = Interval { low: -1.0, high: 3.0 };
        assert!(interval.contains(-1.0) && interval.contains(3.0) && !interval.contains(3.1));
        assert_eq!((interval.width(), interval.half_width()), (4.0, 2.0));
        assert_eq!(Interval::around(1.0, 2.0), interval);
    }
}
