//! Where a run's report stands: a directory of its own, and a line among all runs of the report directory.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::Report;
use super::runs::Line;
use crate::check::Evidence;
use crate::history::Form;
use crate::plan::ArenaKind;

impl Report {
    /// Writes `report.json`, `report.html`, the history as JSON lines and in Jepsen's form, where `whole` what nodes held as
    /// well, and the run's line. Where.
    ///
    /// # Errors
    /// When something cannot be written.
    pub fn write(&self, directory: &Path, evidence: &Evidence, whole: bool) -> anyhow::Result<PathBuf> {
        let place = directory.join(match self.arena {
            ArenaKind::Real => format!("{}-{}", self.plan.name, self.seed),
            ArenaKind::Simulated => format!("{}-{}-simulated", self.plan.name, self.seed),
        });
        std::fs::create_dir_all(&place).with_context(|| format!("make {}", place.display()))?;
        serde_json::to_writer(create(&place.join("report.json"))?, self)?;
        std::fs::write(place.join("report.html"), self.to_html()).context("write report.html")?;
        evidence.history.write_json(&mut create(&place.join("history.jsonl"))?)?;
        evidence.history.write_edn(Form::Plain, &mut create(&place.join("history.edn"))?)?;
        if whole {
            serde_json::to_writer(create(&place.join("held.json"))?, evidence)?;
        }
        Line::from(self).append(directory)?;
        Ok(place)
    }
}

fn create(path: &Path) -> anyhow::Result<BufWriter<File>> {
    Ok(BufWriter::new(File::create(path).with_context(|| format!("write {}", path.display()))?))
}
