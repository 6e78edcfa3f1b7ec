//! The parameters that all strategies of the family have: how they watch health.

use super::health::HealthRule;

/// How health is watched, and what follows for the choice.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Watch {
    /// Outcomes after which half of the older evidence is gone; above 0.
    pub half_life: f64,
    /// Seconds in which half of what is held against a server fades; above 0.
    pub recovery_s: f64,
    /// Health below which a server is left out, 0 to 1.
    pub health_threshold: f64,
    /// Whether the threshold is a share of the health of the healthiest.
    pub relative_threshold: bool,
    /// A success slower than so many times the usual latency counts less; at least 1.
    pub slow_factor: f64,
    /// Avoid servers that the request has tried.
    pub exclude_tried: bool,
}

impl Watch {
    /// The rule by which health changes.
    pub fn rule(&self) -> HealthRule {
        HealthRule::new(self.half_life, self.recovery_s, self.slow_factor)
    }
}

/// `declared!` for this family: to a strategy's own
/// parameters come those of [`Watch`], and `watch` for these.
macro_rules! mesh_declared {
    (
        name: $name:literal,
        idea: $idea:literal,
        build: |$self:tt, $fleet:tt, $rng:tt| $build:expr,
        pub struct $spec:ident { $($own:tt)* }
    ) => {
        $crate::strategy::declared::declared! {
            name: $name, group: Mesh,
            idea: $idea,
            build: |$self, $fleet, $rng| $build,
            pub struct $spec {
                $($own)*
                /// outcomes after which half of the older evidence on a server's health is gone
                half_life: f64 = 10.0, Range::number(0.1, 1e6, (2.0, 100.0));
                /// seconds in which half of what is held against a server fades
                recovery_s: f64 = 10.0, Range::number(1e-3, 1e9, (1.0, 1000.0));
                /// health below which a server is left out while another passes
                health_threshold: f64 = 0.5, Range::number(0.0, 1.0, (0.0, 1.0));
                /// the threshold is a share of the health of the healthiest server
                relative_threshold: bool = false, Range::Switch;
                /// a success slower than so many times the usual latency counts less
                slow_factor: f64 = 3.0, Range::number(1.0, 1e6, (1.0, 10.0));
                /// avoid servers that the request has tried, while another passes
                exclude_tried: bool = true, Range::Switch;
            }
        }

        impl $spec {
            /// How it watches health.
            pub fn watch(&self) -> $crate::strategy::mesh::Watch {
                $crate::strategy::mesh::Watch {
                    half_life: self.half_life,
                    recovery_s: self.recovery_s,
                    health_threshold: self.health_threshold,
                    relative_threshold: self.relative_threshold,
                    slow_factor: self.slow_factor,
                    exclude_tried: self.exclude_tried,
                }
            }
        }
    };
}

pub(super) use mesh_declared;
