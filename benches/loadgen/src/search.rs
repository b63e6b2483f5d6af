//! The search for the highest rate that is held: up by a factor until one is not, then halving what is left.
//!
//! Invariant: `low` was held (or is zero), `high` was not, and every answer brings them closer or moves both up; the
//! search ends after a bounded number of questions.

/// A search under way.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Search {
    low: f64,
    high: f64,
    next: f64,
    factor: f64,
    precision: f64,
    left: u32,
}

impl Search {
    /// Begins at `start`, grows by `factor`, and ends when the two sides are within `precision` of each other, or after
    /// `questions` rates.
    pub(crate) fn new(start: f64, factor: f64, precision: f64, questions: u32) -> Self {
        Self { low: 0.0, high: f64::INFINITY, next: start, factor, precision, left: questions }
    }

    /// The rate to try next; none when the search is over.
    pub(crate) fn next(&self) -> Option<f64> {
        let narrow = self.high.is_finite() && self.high <= self.low * (1.0 + self.precision);
        (self.left > 0 && !narrow).then_some(self.next)
    }

    /// Says whether the rate from [`Self::next`] was held.
    pub(crate) fn answer(&mut self, held: bool) {
        self.left = self.left.saturating_sub(1);
        if held {
            self.low = self.next;
        } else {
            self.high = self.next;
        }
        self.next = if self.high.is_infinite() {
            self.low * self.factor
        } else if self.low == 0.0 {
            self.high / self.factor
        } else {
            f64::midpoint(self.low, self.high)
        };
    }

    /// The highest rate held; 0 if none was.
    pub(crate) fn held(&self) -> f64 {
        self.low
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(capacity: f64, start: f64) -> (f64, u32) {
        let mut search = Search::new(start, 1.5, 0.02, 40);
        let mut questions = 0;
        while let Some(rate) = search.next() {
            search.answer(rate <= capacity);
            questions += 1;
        }
        (search.held(), questions)
    }

    #[test]
    fn it_finds_the_capacity_from_below_and_from_above() {
        for start in [1e3, 9e5, 1e6, 5e6, 1e8] {
            let (held, questions) = run(1e6, start);
            assert!((0.98e6..=1e6).contains(&held), "{start}: {held}");
            assert!(questions < 40, "{start}: {questions}");
        }
    }

    #[test]
    fn it_ends_where_nothing_or_everything_is_held() {
        assert_eq!(run(0.0, 1e6), (0.0, 40));
        assert_eq!(run(f64::INFINITY, 1.0).1, 40);
    }
}
