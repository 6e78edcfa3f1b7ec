//! The parameters that all strategies of the family have: how they watch health.

use super::health::HealthRule;
use crate::strategy::declared::{Parameter, Range};

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
    pub(super) const DEFAULT: Self = Self {
        half_life: 10.0,
        recovery_s: 10.0,
        health_threshold: 0.5,
        relative_threshold: false,
        slow_factor: 3.0,
        exclude_tried: true,
    };

    /// The rule by which health changes.
    pub fn rule(&self) -> HealthRule {
        HealthRule::new(self.half_life, self.recovery_s, self.slow_factor)
    }
}

pub(super) const HALF_LIFE: Parameter = Parameter {
    key: "half_life",
    meaning: "outcomes after which half of the older evidence on a server's health is gone",
    range: Range::number(0.1, 1e6, (2.0, 100.0)),
};

pub(super) const RECOVERY_S: Parameter = Parameter {
    key: "recovery_s",
    meaning: "seconds in which half of what is held against a server fades",
    range: Range::number(1e-3, 1e9, (1.0, 1000.0)),
};

pub(super) const HEALTH_THRESHOLD: Parameter = Parameter {
    key: "health_threshold",
    meaning: "health below which a server is left out while another passes",
    range: Range::number(0.0, 1.0, (0.0, 1.0)),
};

pub(super) const RELATIVE_THRESHOLD: Parameter = Parameter {
    key: "relative_threshold",
    meaning: "the threshold is a share of the health of the healthiest server",
    range: Range::Switch,
};

pub(super) const SLOW_FACTOR: Parameter = Parameter {
    key: "slow_factor",
    meaning: "a success slower than so many times the usual latency counts less",
    range: Range::number(1.0, 1e6, (1.0, 10.0)),
};

pub(super) const EXCLUDE_TRIED: Parameter = Parameter {
    key: "exclude_tried",
    meaning: "avoid servers that the request has tried, while another passes",
    range: Range::Switch,
};

/// A strategy's parameters: its own, then those of [`Watch`]. Gives the struct, its defaults, what
/// it declares (`PARAMETERS`) and the common part (`watch`).
macro_rules! mesh_spec {
    ($(#[$doc:meta])* $name:ident {
        $($(#[$field_doc:meta])* $key:ident: $type:ty = $default:expr, $meaning:expr, $range:expr;)*
    }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct $name {
            $($(#[$field_doc])* pub $key: $type,)*
            /// Outcomes after which half of the older evidence is gone (default 10).
            pub half_life: f64,
            /// Seconds in which half of what is held against a server fades (default 10).
            pub recovery_s: f64,
            /// Health below which a server is left out, 0 to 1 (default 0.5).
            pub health_threshold: f64,
            /// The threshold is a share of the healthiest's health (default false).
            pub relative_threshold: bool,
            /// A success slower than so many times the usual latency counts less (default 3).
            pub slow_factor: f64,
            /// Avoid servers that the request has tried (default true).
            pub exclude_tried: bool,
        }

        impl Default for $name {
            fn default() -> Self {
                let watch = $crate::strategy::mesh::spec::Watch::DEFAULT;
                Self {
                    $($key: $default,)*
                    half_life: watch.half_life,
                    recovery_s: watch.recovery_s,
                    health_threshold: watch.health_threshold,
                    relative_threshold: watch.relative_threshold,
                    slow_factor: watch.slow_factor,
                    exclude_tried: watch.exclude_tried,
                }
            }
        }

        impl $name {
            const PARAMETERS: &'static [$crate::strategy::declared::Parameter] = &[
                $($crate::strategy::declared::Parameter {
                    key: stringify!($key),
                    meaning: $meaning,
                    range: $range,
                },)*
                $crate::strategy::mesh::spec::HALF_LIFE,
                $crate::strategy::mesh::spec::RECOVERY_S,
                $crate::strategy::mesh::spec::HEALTH_THRESHOLD,
                $crate::strategy::mesh::spec::RELATIVE_THRESHOLD,
                $crate::strategy::mesh::spec::SLOW_FACTOR,
                $crate::strategy::mesh::spec::EXCLUDE_TRIED,
            ];

            /// How it watches health.
            pub fn watch(&self) -> $crate::strategy::mesh::spec::Watch {
                $crate::strategy::mesh::spec::Watch {
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

pub(super) use mesh_spec;
