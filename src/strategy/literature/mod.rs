//! References from the literature, as their papers define them.
//!
//! They know nothing of free attempts: every attempt is a pull, no server is left out because the
//! request has tried it, and a 429 counts as a failure. Where a paper leaves a constant open, the
//! file says what stands here and why.

mod bayes_ucb;
mod discounted_thompson;
mod epsilon_greedy;
mod greedy;
mod irs_fh;
mod kl_ucb;
mod p2c_peak_ewma;
mod retry_budget;
mod round_robin;
mod sliding_window_ucb;

pub use bayes_ucb::BayesUcbSpec;
pub use discounted_thompson::DiscountedThompsonSpec;
pub use epsilon_greedy::EpsilonGreedySpec;
pub use greedy::GreedySpec;
pub use irs_fh::IrsFhSpec;
pub use kl_ucb::KlUcbSpec;
pub use p2c_peak_ewma::P2cPeakEwmaSpec;
pub use retry_budget::RetryBudgetSpec;
pub use round_robin::RoundRobinSpec;
pub use sliding_window_ucb::SlidingWindowUcbSpec;
