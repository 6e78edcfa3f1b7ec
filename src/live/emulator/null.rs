//! A server of which everything is known: it measures the path to it.

use crate::world::Model;

/// One server on port 4000 in the model. It answers after exactly 1 ms, fails every second attempt
/// on average, so that retries are measured too, and never refuses.
#[must_use]
pub fn null_model() -> Model {
    Model { name: "null".to_owned(), ..Model::of_rates(&[0.5]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_a_model_like_others() {
        null_model().validate().unwrap();
    }
}
