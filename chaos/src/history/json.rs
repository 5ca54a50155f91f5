//! Histories as JSON lines: one call a line, in the order in which the calls began.

use std::io::{BufRead, Write};

use anyhow::Context;

use crate::history::{Call, History};

impl History {
    /// Writes one line a call.
    ///
    /// # Errors
    /// When writing fails.
    pub fn write_json(&self, out: &mut impl Write) -> anyhow::Result<()> {
        for call in &self.calls {
            serde_json::to_writer(&mut *out, call)?;
            out.write_all(b"\n")?;
        }
        out.flush()?;
        Ok(())
    }

    /// Reads what [`Self::write_json`] wrote. Empty lines are passed over.
    ///
    /// # Errors
    /// When a line is no call, with its number.
    pub fn read_json(input: impl BufRead) -> anyhow::Result<Self> {
        let mut calls: Vec<Call> = Vec::new();
        for (number, line) in input.lines().enumerate() {
            let line = line?;
            if !line.trim().is_empty() {
                calls.push(serde_json::from_str(&line).with_context(|| format!("line {}", number + 1))?);
            }
        }
        Ok(Self::new(calls))
    }
}
