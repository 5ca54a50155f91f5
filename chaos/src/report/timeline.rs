//! The faults over time, each a bar with its name, no two upon each other.

use std::fmt::Write;

use super::Report;
use super::chart::{LEFT, RIGHT, Span, WIDTH};
use super::html::escape;
use crate::check::Did;

const LANE: f64 = 18.0;
const TOP: f64 = 6.0;
const CHAR: f64 = 6.1;
/// The least width of a bar.
const BAR_MIN: f64 = 3.0;

/// The picture.
pub fn faults(report: &Report, span: &Span) -> String {
    let mut lanes: Vec<f64> = Vec::new();
    let mut bars = String::new();
    for fault in &report.faults {
        let until_ns = fault.until_ns.or(report.healed_ns).unwrap_or(fault.from_ns);
        let (from, until) = (span.x(fault.from_ns), span.x(until_ns));
        let width = (until - from).max(BAR_MIN);
        let label = label(report, &fault.kind, &fault.targets);
        let text = CHAR * label.chars().count() as f64 + 8.0;
        // Inside the bar where it fits, behind it where there is room, before it at the end.
        let (at, anchor, begin, end) = if text < width {
            (from + 4.0, "start", from, from + width)
        } else if from + width + text < WIDTH - RIGHT {
            (from + width + 4.0, "start", from, from + width + text)
        } else {
            (from - 4.0, "end", from - text, from + width)
        };
        let lane = lanes.iter().position(|taken| *taken <= begin).unwrap_or(lanes.len());
        match lanes.get_mut(lane) {
            Some(taken) => *taken = end + 4.0,
            None => lanes.push(end + 4.0),
        }
        let y = TOP + LANE * lane as f64;
        let title = format!("{} {} {}", fault.kind, fault.targets.join(" "), fault.detail);
        let _ = writeln!(
            bars,
            "<g><title>{}</title><rect class=\"fault {}\" x=\"{from:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"14\" \
             rx=\"2\"/><text x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{}</text></g>",
            escape(&title),
            group(&fault.kind),
            y + 11.0,
            escape(&label)
        );
    }
    let height = TOP + LANE * lanes.len().max(1) as f64 + 22.0;
    let mut svg = format!("<svg viewBox=\"0 0 {WIDTH} {height:.0}\" role=\"img\" aria-label=\"faults\">\n");
    let _ = writeln!(svg, "<text class=\"name\" x=\"{:.0}\" y=\"17\" text-anchor=\"end\">faults</text>", LEFT - 8.0);
    span.seconds(&mut svg, TOP, height - 18.0, true);
    span.moments(&mut svg, report, TOP, height - 18.0);
    svg.push_str(&bars);
    for event in report.events.iter().filter(|event| event.what != Did::Tell) {
        let _ = writeln!(
            svg,
            "<g><title>{}</title><text class=\"gave-up\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">✕</text></g>",
            escape(&format!("{} {:?}: {}", event.node, event.what, event.words)),
            span.x(event.at_ns),
            height - 20.0
        );
    }
    svg.push_str("</svg>\n");
    svg
}

fn label(report: &Report, kind: &str, targets: &[String]) -> String {
    match targets {
        all if all.len() > 1 && all == report.plan.topology.node_names() => format!("{kind} all nodes"),
        [one] => format!("{kind} {one}"),
        [] => kind.to_owned(),
        [first, ..] => format!("{kind} {first} and {} more", targets.len() - 1),
    }
}

/// What is hurt: its colour.
fn group(kind: &str) -> &'static str {
    match kind {
        "split" | "link" => "network",
        "skew" | "jump" | "drift" => "clock",
        "join" | "leave" | "replace" | "elect" | "proposals" => "members",
        kind if kind.starts_with("disk") => "disk",
        _ => "process",
    }
}
