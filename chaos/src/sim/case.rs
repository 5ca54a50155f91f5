//! A case: a plan and a seed that once broke something, small enough to be read, kept to be run for ever.
//!
//! Cases stand in `chaos/cases`; a test replays each. `found` says what broke, and under which deliberate defect, where
//! it was one: then the case shows that the checkers see that defect, and holds in the product as it is.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::plan::{Plan, PlanError};
use crate::sim::{Outcome, run_plan};

/// A case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// What was found, by the checker named first.
    pub found: String,
    /// The deliberate defect under which it was; none: it was a real one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mutant: Option<String>,
    /// The seed.
    pub seed: u64,
    /// The plan.
    pub plan: Plan,
}

impl Case {
    /// Reads a case's file.
    ///
    /// # Errors
    /// When it cannot be read or is no case.
    pub fn read(path: &Path) -> Result<Self, PlanError> {
        let text = std::fs::read_to_string(path).map_err(|error| PlanError::File { path: path.to_owned(), error })?;
        let case: Self = toml::from_str(&text).map_err(Box::new)?;
        case.plan.validate()?;
        Ok(case)
    }

    /// The case as TOML.
    ///
    /// # Panics
    /// Never: a case has no value that TOML lacks.
    #[must_use]
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("a case is TOML")
    }

    /// A name for its file: the plan's, the checker's, or the defect's.
    #[must_use]
    pub fn file_name(&self) -> String {
        let checker = self.found.split(':').next().unwrap_or_default();
        let what = self.mutant.as_deref().unwrap_or(checker);
        format!("{what}-{}.toml", self.plan.name)
    }

    /// Runs it.
    #[must_use]
    pub fn run(&self) -> Outcome {
        run_plan(self.seed, self.plan.clone()).outcome
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Topology;

    #[test]
    fn a_case_reads_as_it_is_written() {
        for (seed, mutant) in [(1, None), (2, Some("join-resurrects".to_owned()))] {
            let plan = Plan::mixed(seed, Topology::default());
            let case = Case { found: "sets: an element is lost".to_owned(), mutant, seed, plan };
            assert_eq!(toml::from_str::<Case>(&case.to_toml()).expect("a case"), case);
        }
    }
}
