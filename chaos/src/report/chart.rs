//! One region over time: latency and lag on logarithmic scales, and how calls ended.

use std::fmt::Write;

use super::html::escape;
use super::{Report, Second};

/// The pictures' width, in their own units.
pub const WIDTH: f64 = 1000.0;
/// Room for names and scales.
pub const LEFT: f64 = 96.0;
/// Room behind the last second.
pub const RIGHT: f64 = 14.0;

const LATENCY: Scale = Scale { least_ms: 1.0, most_ms: 10_000.0, top: 22.0, height: 120.0 };
const BARS: (f64, f64) = (150.0, 30.0);
const LAG: Scale = Scale { least_ms: 10.0, most_ms: 100_000.0, top: 190.0, height: 64.0 };
const HEIGHT: f64 = 276.0;
/// A fault that lasts for more than this share of the run is no background to anything.
const BAND_MAX: f64 = 0.8;

/// A logarithmic scale from bottom to top.
struct Scale {
    least_ms: f64,
    most_ms: f64,
    top: f64,
    height: f64,
}

impl Scale {
    fn y(&self, ms: f64) -> f64 {
        let share =
            (ms.clamp(self.least_ms, self.most_ms) / self.least_ms).log10() / (self.most_ms / self.least_ms).log10();
        self.top + self.height * (1.0 - share)
    }

    fn lines(&self, svg: &mut String) {
        let mut ms = self.least_ms;
        while ms <= self.most_ms {
            let y = self.y(ms);
            let _ = writeln!(
                svg,
                "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
                 <text class=\"scale\" x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                WIDTH - RIGHT,
                LEFT - 6.0,
                y + 3.5,
                show_ms(ms)
            );
            ms *= 10.0;
        }
    }
}

/// The time that the pictures show, from the run's beginning.
pub struct Span {
    ns: u64,
}

impl Span {
    /// Of a report: until its last call, or until all nodes agreed.
    pub fn of(report: &Report) -> Self {
        let seconds = report.regions.values().filter_map(|seconds| seconds.last()).map(|last| last.second + 1).max();
        let calls_ns = seconds.unwrap_or(1) * 1_000_000_000;
        let ends = [report.ended_ns, report.healed_ns, report.converged_ns];
        Self { ns: ends.into_iter().flatten().chain([calls_ns]).max().unwrap_or(calls_ns).max(1) }
    }

    /// Where a time stands.
    pub fn x(&self, at_ns: u64) -> f64 {
        LEFT + (WIDTH - LEFT - RIGHT) * (at_ns as f64 / self.ns as f64).min(1.0)
    }

    /// Marks of seconds.
    pub fn seconds(&self, svg: &mut String, top: f64, bottom: f64, named: bool) {
        let all = self.ns / 1_000_000_000;
        let step = [1, 2, 5, 10, 20, 30, 60, 120, 300, 600].into_iter().find(|step| all / step <= 14).unwrap_or(1_800);
        for second in (0..=all).step_by(usize::try_from(step).unwrap_or(1)) {
            let x = self.x(second * 1_000_000_000);
            let _ =
                write!(svg, "<line class=\"grid\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{top:.1}\" y2=\"{bottom:.1}\"/>");
            if named {
                let y = bottom + 13.0;
                let _ = write!(
                    svg,
                    "<text class=\"scale\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"middle\">{second} s</text>"
                );
            }
            svg.push('\n');
        }
    }

    /// When everything was healed and when all agreed.
    pub fn moments(&self, svg: &mut String, report: &Report, top: f64, bottom: f64) {
        for (name, at_ns) in [("heal", report.healed_ns), ("agreed", report.converged_ns)] {
            let Some(at_ns) = at_ns else { continue };
            let x = self.x(at_ns);
            let _ =
                write!(svg, "<line class=\"{name}\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{top:.1}\" y2=\"{bottom:.1}\">");
            let _ = writeln!(svg, "<title>{name}</title></line>");
        }
    }
}

/// A region's picture.
pub fn region(report: &Report, region: &str, span: &Span) -> String {
    let none = Vec::new();
    let seconds = report.regions.get(region).unwrap_or(&none);
    let mut svg = format!("<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">\n", escape(region));
    let bottom = LAG.top + LAG.height;
    bands(&mut svg, report, span, bottom);
    for (text, class, y) in
        [(region, "name", 13.0), ("latency", "quiet", 85.0), ("calls", "quiet", 169.0), ("lag", "quiet", 225.0)]
    {
        let _ = writeln!(svg, "<text class=\"{class}\" x=\"2\" y=\"{y}\">{}</text>", escape(text));
    }
    LATENCY.lines(&mut svg);
    LAG.lines(&mut svg);
    span.seconds(&mut svg, LATENCY.top, bottom, true);
    span.moments(&mut svg, report, LATENCY.top, bottom);
    bars(&mut svg, seconds, span);
    let middle = |second: &Second| span.x(second.second * 1_000_000_000 + 500_000_000);
    for second in seconds.iter().filter(|second| second.calls.ok > 0) {
        let (x, y) = (middle(second), LATENCY.y(second.calls.max_us as f64 / 1e3));
        let _ = writeln!(svg, "<circle class=\"max\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"1.6\"/>");
    }
    let of = |value: fn(&Second) -> u64| {
        let point = move |second: &Second| {
            (second.calls.ok > 0).then(|| (middle(second), LATENCY.y(value(second) as f64 / 1e3)))
        };
        seconds.iter().map(point).collect::<Vec<_>>()
    };
    line(&mut svg, "p99", &of(|second| second.calls.p99_us));
    line(&mut svg, "p50", &of(|second| second.calls.p50_us));
    let lags = report.lags.get(region).into_iter().flatten();
    let lag = lags.map(|lag| Some((span.x(lag.at_ns), LAG.y(lag.behind_ns? as f64 / 1e6))));
    line(&mut svg, "lag", &lag.collect::<Vec<_>>());
    svg.push_str("</svg>\n");
    svg
}

/// Where anything goes wrong, behind everything else.
fn bands(svg: &mut String, report: &Report, span: &Span, bottom: f64) {
    for fault in &report.faults {
        let (from, until) =
            (span.x(fault.from_ns), span.x(fault.until_ns.or(report.healed_ns).unwrap_or(fault.from_ns)));
        if until - from > BAND_MAX * (WIDTH - LEFT - RIGHT) {
            continue;
        }
        let (width, height) = ((until - from).max(1.0), bottom - LATENCY.top);
        let _ = writeln!(
            svg,
            "<rect class=\"band\" x=\"{from:.1}\" y=\"{}\" width=\"{width:.1}\" height=\"{height}\"/>",
            LATENCY.top
        );
    }
}

/// How calls ended, a bar a second.
fn bars(svg: &mut String, seconds: &[Second], span: &Span) {
    let all = |second: &Second| second.calls.ok + second.calls.failed + second.calls.unknown;
    let most = seconds.iter().map(all).max().unwrap_or_default().max(1) as f64;
    for second in seconds.iter().filter(|second| all(second) > 0) {
        let (from, until) = (span.x(second.second * 1_000_000_000), span.x((second.second + 1) * 1_000_000_000));
        let _ = write!(
            svg,
            "<g><title>second {}: {} done, {} failed, {} unknown; {} / {} / {}</title>",
            second.second,
            second.calls.ok,
            second.calls.failed,
            second.calls.unknown,
            show_ms(second.calls.p50_us as f64 / 1e3),
            show_ms(second.calls.p99_us as f64 / 1e3),
            show_ms(second.calls.max_us as f64 / 1e3)
        );
        let mut y = BARS.0 + BARS.1;
        for (class, count) in
            [("ok", second.calls.ok), ("failed", second.calls.failed), ("unknown", second.calls.unknown)]
        {
            let height = BARS.1 * count as f64 / most;
            y -= height;
            if count > 0 {
                let width = (until - from - 1.0).max(0.5);
                let _ = write!(
                    svg,
                    "<rect class=\"{class}\" x=\"{from:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\"/>"
                );
            }
        }
        svg.push_str("</g>\n");
    }
}

/// A line through the points; it breaks where there is none.
fn line(svg: &mut String, class: &str, points: &[Option<(f64, f64)>]) {
    let mut path = String::new();
    let mut pen = 'M';
    for point in points {
        match point {
            Some((x, y)) => {
                let _ = write!(path, "{pen}{x:.1} {y:.1}");
                pen = 'L';
            }
            None => pen = 'M',
        }
    }
    if !path.is_empty() {
        let _ = writeln!(svg, "<path class=\"line {class}\" d=\"{path}\"/>");
    }
}

/// Milliseconds for people.
pub fn show_ms(ms: f64) -> String {
    match ms {
        ms if ms < 10.0 && ms.fract() > 0.05 => format!("{ms:.1} ms"),
        ms if ms < 1_000.0 => format!("{ms:.0} ms"),
        ms if ms < 10_000.0 && (ms / 1e3).fract() > 0.05 => format!("{:.1} s", ms / 1e3),
        _ => format!("{:.0} s", ms / 1e3),
    }
}
