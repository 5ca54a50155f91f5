//! A report for somebody at a terminal, who wants to know what this would do to his cluster.

use std::fmt::Write;
use std::time::Duration;

use comfy_table::{CellAlignment, Table};

use super::runs::millis;
use super::simulated::{Simulated, Traffic};
use super::{Calls, Checked, Report};
use crate::plan::ArenaKind;
use crate::units::show_time;

/// The most faults, and the most happenings, that are told one by one.
const TOLD_MAX: usize = 20;
/// The most targets of a fault that are named.
const TARGETS_MAX: usize = 3;

impl Report {
    /// The report as text.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        self.tell_world(&mut text);
        self.tell_faults(&mut text);
        self.tell_calls(&mut text);
        if let Some(simulated) = &self.simulated {
            let _ = writeln!(text, "\n{}", traffic(simulated));
        }
        self.tell_times(&mut text);
        let _ = writeln!(text, "\n{}", verdicts(&self.checks));
        for checked in &self.checks {
            for what in &checked.violations {
                let _ = writeln!(text, "VIOLATION  {}: {what}", checked.check);
            }
        }
        for left_out in self.simulated.iter().flat_map(|simulated| &simulated.left_out) {
            let _ = writeln!(text, "LEFT OUT  {left_out}");
        }
        text
    }

    fn tell_world(&self, text: &mut String) {
        let arena = match self.arena {
            ArenaKind::Real => "real processes",
            ArenaKind::Simulated => "simulated",
        };
        let (regions, nodes) = (self.plan.topology.regions, self.plan.topology.nodes);
        let _ = writeln!(text, "plan      {}, {}: {}", self.plan.name, show_time(self.plan.duration), self.plan.shows);
        let _ = writeln!(text, "topology  {regions} regions of {nodes} nodes, {} in all; {arena}", regions * nodes);
        let _ = writeln!(text, "seed      {}", self.seed);
    }

    fn tell_faults(&self, text: &mut String) {
        if self.faults.is_empty() && self.events.is_empty() {
            text.push_str("\nNothing went wrong.\n");
            return;
        }
        let mut table = plain(&["FAULT", "FROM", "UNTIL", "WHOM"]);
        for fault in self.faults.iter().take(TOLD_MAX) {
            let until = fault.until_ns.map_or("the heal".to_owned(), seconds);
            let mut whom = fault.targets.iter().take(TARGETS_MAX).cloned().collect::<Vec<_>>().join(" ");
            if fault.targets.len() > TARGETS_MAX {
                let _ = write!(whom, " and {} more", fault.targets.len() - TARGETS_MAX);
            }
            table.add_row([fault.kind.clone(), seconds(fault.from_ns), until, whom]);
        }
        right(&mut table, 1..3);
        let _ = writeln!(text, "\n{table}");
        more(text, self.faults.len(), "faults");
        for event in self.events.iter().take(TOLD_MAX) {
            let _ = writeln!(text, "{:>8} {} {:?}: {}", seconds(event.at_ns), event.node, event.what, event.words);
        }
        more(text, self.events.len(), "happenings");
    }

    fn tell_calls(&self, text: &mut String) {
        let mut table = plain(&["CALLS", "DONE", "FAILED", "UNKNOWN", "MEDIAN", "99%", "LONGEST"]);
        let mut row = |name: &str, kind: &Calls| {
            let times =
                [kind.p50_us, kind.p99_us, kind.max_us].map(|us| if kind.ok == 0 { "–".into() } else { millis(us) });
            let counts = [kind.ok, kind.failed, kind.unknown].map(|count| count.to_string());
            table.add_row([name.to_owned()].into_iter().chain(counts).chain(times));
        };
        for (name, kind) in &self.kinds {
            row(name, kind);
        }
        let figures = &self.figures;
        let (ok, failed, unknown) = (figures.ok, figures.failed, figures.unknown);
        let (p50_us, p99_us, max_us) = (figures.p50_us, figures.p99_us, figures.max_us);
        row("all", &Calls { ok, failed, unknown, p50_us, p99_us, max_us });
        right(&mut table, 1..7);
        let _ = writeln!(text, "\n{table}");
    }

    fn tell_times(&self, text: &mut String) {
        let after = |ms: Option<u64>| ms.map_or("never".to_owned(), |ms| format!("after {}", millis(1_000 * ms)));
        let _ = writeln!(text, "\nevery region answers     {} of the heal", after(self.figures.answer_ms));
        let _ = writeln!(text, "all nodes hold the same  {} of the heal", after(self.figures.converge_ms));
        if let Some(simulated) = &self.simulated {
            let took = Duration::from_millis(simulated.took_ms).as_secs_f64();
            let world = Duration::from_millis(simulated.simulated_ms).as_secs_f64();
            let (events, rate) = (simulated.events, simulated.events_per_s());
            let _ = writeln!(
                text,
                "simulated                {world:.1} s in {took:.1} s, {events} events, {rate} a second"
            );
            if let Some(bytes) = simulated.resident_bytes_per_node {
                let _ = writeln!(text, "memory                   {} for each node", bytes_of(bytes));
            }
            let _ = writeln!(text, "trace hash               {}", simulated.trace_hash);
        }
    }
}

fn traffic(simulated: &Simulated) -> Table {
    let mut table = plain(&["MESSAGES", "COUNT", "BYTES", "A WRITE", "BYTES A WRITE"]);
    let both = simulated.inside.and(simulated.between);
    for (name, Traffic { messages, bytes }) in
        [("within regions", simulated.inside), ("between regions", simulated.between), ("all", both)]
    {
        let each = bytes_of(simulated.per_write(bytes) as u64);
        let count = format!("{:.1}", simulated.per_write(messages));
        table.add_row([name.to_owned(), messages.to_string(), bytes_of(bytes), count, each]);
    }
    right(&mut table, 1..5);
    table
}

fn verdicts(checks: &[Checked]) -> Table {
    let mut table = plain(&["CHECK", "VERDICT", "DEMANDS"]);
    for checked in checks {
        let verdict = match checked.violations.len() {
            0 => "held".to_owned(),
            count => format!("BROKEN ({count})"),
        };
        table.add_row([&checked.check, &verdict, &checked.statement]);
    }
    table
}

fn plain(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_header(header);
    table
}

fn right(table: &mut Table, columns: std::ops::Range<usize>) {
    for column in columns {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
}

fn more(text: &mut String, all: usize, what: &str) {
    if all > TOLD_MAX {
        let _ = writeln!(text, "and {} more {what}", all - TOLD_MAX);
    }
}

fn seconds(ns: u64) -> String {
    format!("{:.1} s", ns as f64 / 1e9)
}

/// Bytes for people, in powers of 1,024.
#[must_use]
pub fn bytes_of(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    let (mut amount, mut unit) = (bytes as f64, "B");
    for next in UNITS {
        if amount < 1024.0 {
            break;
        }
        (amount, unit) = (amount / 1024.0, next);
    }
    if unit == "B" { format!("{bytes} B") } else { format!("{amount:.1} {unit}") }
}

#[cfg(test)]
mod tests {
    use super::bytes_of;

    #[test]
    fn bytes_have_the_unit_that_they_fill() {
        let shown = [0, 1_023, 1_024, 1_536, 5 << 20, 3 << 30].map(bytes_of);
        assert_eq!(shown, ["0 B", "1023 B", "1.0 KiB", "1.5 KiB", "5.0 MiB", "3.0 GiB"]);
    }
}
