//! The codes of the problems that compiling a policy finds.

/// The settings of a policy do not fit.
pub const SETTINGS: &str = "E106";
/// There is no such policy.
pub const UNKNOWN_POLICY: &str = "E107";
/// A secret is not where the configuration says.
pub const SECRET: &str = "E110";
/// A policy that does nothing.
pub const WITHOUT_EFFECT: &str = "W110";

/// Every code with what `moongate explain CODE` says about it.
pub const CODES: &[(&str, &str)] = &[
    (
        SETTINGS,
        "The settings of a policy or plugin do not fit its schema. `moongate policies NAME` shows what a policy takes.",
    ),
    (UNKNOWN_POLICY, "There is no policy or plugin of that name. `moongate policies` lists the policies."),
    (
        SECRET,
        "A configuration names its secrets, `env:NAME` or `file:PATH`, and the gateway looks them up when it loads the \
         configuration. This one is not there, cannot be read, or is empty. The variable must be set for the gateway's own \
         process; a file's path is relative to the project's folder.",
    ),
    (WITHOUT_EFFECT, "The policy refuses nobody with these settings. Complete them, or remove the policy."),
];
