//! When to look again at a file that changes: half a second after the first change that was not
//! shown yet.
//!
//! Waiting until a file has been quiet for half a second would show nothing while a proxy writes
//! 20 times a second; drawing at each change would draw half-written states and flicker. Counting
//! from the first change settles a burst and bounds the delay of a steady stream.
//!
//! When not to use it: for events that must not be lost. Only the newest state is seen.

/// Ticks from the first change to the next look: half a second.
const SETTLED_AFTER: u32 = 5;

/// Decides from a file's stamps, one a tick, when to read it.
#[derive(Debug)]
pub(super) struct Settle<S> {
    /// The stamp when it was last read; none before.
    read_at: Option<S>,
    /// Ticks since the first change after that.
    waited: Option<u32>,
}

impl<S: PartialEq> Settle<S> {
    /// Nothing was read yet.
    pub(super) fn new() -> Self {
        Self { read_at: None, waited: None }
    }

    /// Takes the stamp of this tick; true if the file is to be read now. The first time it is.
    pub(super) fn is_due(&mut self, stamp: S) -> bool {
        let due = match (&self.read_at, self.waited) {
            (None, _) => true,
            (Some(_), Some(ticks)) => ticks + 1 >= SETTLED_AFTER,
            (Some(read_at), None) if *read_at == stamp => return false,
            (Some(_), None) => false,
        };
        self.waited = if due { None } else { Some(self.waited.map_or(0, |ticks| ticks + 1)) };
        if due {
            self.read_at = Some(stamp);
        }
        due
    }

    /// It could not be read: try again when half a second has passed, changed or not. (A file
    /// may be completed within the same stamp of a coarse clock.)
    pub(super) fn try_again(&mut self) {
        self.waited = Some(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ticks at which a file with these stamps is read.
    fn reads(stamps: impl IntoIterator<Item = u32>) -> Vec<usize> {
        let mut settle = Settle::new();
        let due = stamps.into_iter().enumerate().filter(|(_, stamp)| settle.is_due(*stamp));
        due.map(|(tick, _)| tick).collect()
    }

    #[test]
    fn a_file_is_read_at_once_and_then_only_after_changes() {
        assert_eq!(reads([7; 30]), [0]);
        assert_eq!(reads([7; 3].into_iter().chain([8; 30])), [0, 8]);
    }

    #[test]
    fn a_constant_stream_of_changes_is_still_shown_every_half_second() {
        assert_eq!(reads(0..23), [0, 6, 12, 18]);
    }

    #[test]
    fn a_burst_is_read_once() {
        assert_eq!(reads([1, 2, 3, 4].into_iter().chain([4; 30])), [0, 6]);
    }

    #[test]
    fn what_could_not_be_read_is_tried_again_though_nothing_changed() {
        let mut settle = Settle::new();
        assert!(settle.is_due(1));
        settle.try_again();
        let due: Vec<bool> = (0..6).map(|_| settle.is_due(1)).collect();
        assert_eq!(due, [false, false, false, false, true, false]);
    }
}
