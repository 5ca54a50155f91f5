//! A report as one page that needs nothing else: no script, no font, no picture from elsewhere; readable in light and dark.

use std::fmt::Write;

use super::chart;
use super::timeline;
use super::words::bytes_of;
use super::{Report, Simulated, Verdict};
use crate::history::{Call, Outcome};
use crate::plan::ArenaKind;
use crate::units::show_time;

/// The page's style.
const STYLE: &str = include_str!("report.css");
/// The longest text of a call that is shown, in characters.
const CALL_CHARS_MAX: usize = 400;

impl Report {
    /// The report as a page.
    #[must_use]
    pub fn to_html(&self) -> String {
        let mut page = String::new();
        let title = format!("{}, seed {}", self.plan.name, self.seed);
        let _ = write!(
            page,
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width\">\n<meta name=\"color-scheme\" content=\"light dark\">\n\
             <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n",
            title = escape(&title)
        );
        self.head(&mut page);
        self.first_failure(&mut page);
        page.push_str(
            "<h2>Over time</h2>\n<p class=\"legend\">Calls that were done, by the second in which they began: ",
        );
        page.push_str("<span class=\"key p50\">median</span> <span class=\"key p99\">99th percentile</span> ");
        page.push_str("<span class=\"key max\">longest</span>. Bars: calls ");
        page.push_str("<span class=\"key ok\">done</span> <span class=\"key failed\">failed</span> ");
        page.push_str("<span class=\"key unknown\">of unknown fate</span>. ");
        page.push_str(
            "<span class=\"key lag\">Lag</span>: the age of the oldest write elsewhere that is not seen there. ",
        );
        page.push_str("<span class=\"key heal\">everything healed</span> <span class=\"key agreed\">all nodes agreed</span></p>\n",
        );
        let span = chart::Span::of(self);
        page.push_str(&timeline::faults(self, &span));
        for region in self.plan.topology.region_names() {
            page.push_str(&chart::region(self, &region, &span));
        }
        self.calls_by_kind(&mut page);
        self.verdicts(&mut page);
        self.happenings(&mut page);
        let _ = write!(page, "<h2>The plan</h2>\n<pre>{}</pre>\n</body>\n</html>\n", escape(&self.plan.to_toml()));
        page
    }

    fn head(&self, page: &mut String) {
        let class = match self.verdict {
            Verdict::Held => "held",
            Verdict::Broken => "broken",
            Verdict::CouldNotRun => "nothing",
        };
        let arena = match self.arena {
            ArenaKind::Real => "real processes",
            ArenaKind::Simulated => "simulated",
        };
        let topology = self.plan.topology;
        let _ = write!(
            page,
            "<header><h1>{} <span class=\"verdict {class}\">{}</span></h1>\n<p>{}</p>\n\
             <p class=\"quiet\">{arena}, seed {}, {} regions of {} nodes, {}</p></header>\n<dl class=\"figures\">\n",
            escape(&self.plan.name),
            self.verdict,
            escape(&self.plan.shows),
            escape(&self.seed),
            topology.regions,
            topology.nodes,
            show_time(self.plan.duration),
        );
        let figures = &self.figures;
        let ms = |us: u64| chart::show_ms(us as f64 / 1e3);
        let maybe = |ms: Option<u64>| ms.map_or("never".to_owned(), |ms| chart::show_ms(ms as f64));
        for (name, value) in [
            ("calls done", figures.ok.to_string()),
            ("failed", figures.failed.to_string()),
            ("unknown", figures.unknown.to_string()),
            ("faults", figures.faults.to_string()),
            ("nodes gave up", figures.gave_up.to_string()),
            ("median", ms(figures.p50_us)),
            ("99 %", ms(figures.p99_us)),
            ("longest", ms(figures.max_us)),
            ("answers after heal", maybe(figures.answer_ms)),
            ("agreed after heal", maybe(figures.converge_ms)),
        ] {
            let _ = writeln!(page, "<div><dt>{name}</dt><dd>{value}</dd></div>");
        }
        page.push_str("</dl>\n");
        if let Some(simulated) = &self.simulated {
            network(page, simulated);
        }
    }

    /// What broke first: by the earliest call that a violation names, or the first violation.
    fn first_failure(&self, page: &mut String) {
        let all = self.checks.iter().flat_map(|check| check.violations.iter().map(move |what| (check, what)));
        let began = |what: &str| {
            let named = super::numbers(what);
            self.calls.iter().filter(|call| named.contains(&call.id)).map(|call| call.invoked_ns).min()
        };
        let Some((check, what)) = all.min_by_key(|(_, what)| began(what).unwrap_or(u64::MAX)) else { return };
        let _ = write!(
            page,
            "<section class=\"failure\"><h2>What failed first</h2>\n<p><b>{}</b> demands: {}.</p>\n<pre>{}</pre>\n",
            escape(&check.check),
            escape(&check.statement),
            escape(what)
        );
        let named = super::numbers(what);
        let calls: Vec<&Call> = self.calls.iter().filter(|call| named.contains(&call.id)).collect();
        if !calls.is_empty() {
            page.push_str("<table><tr><th>call</th><th>began</th><th>took</th><th>node</th><th>key</th><th>asked</th><th>came to</th></tr>\n");
            calls.iter().for_each(|call| row(page, call));
            page.push_str("</table>\n");
        }
        page.push_str("</section>\n");
    }

    fn calls_by_kind(&self, page: &mut String) {
        page.push_str(
            "<h2>Calls</h2>\n<table><tr><th>asked</th><th>done</th><th>failed</th><th>unknown</th><th>median</th>\
             <th>99 %</th><th>longest</th></tr>\n",
        );
        let ms = |us: u64| chart::show_ms(us as f64 / 1e3);
        for (name, kind) in &self.kinds {
            let [p50, p99, max] = [kind.p50_us, kind.p99_us, kind.max_us].map(ms);
            let _ = writeln!(
                page,
                "<tr><td>{name}</td><td>{}</td><td>{}</td><td>{}</td><td>{p50}</td><td>{p99}</td><td>{max}</td></tr>",
                kind.ok, kind.failed, kind.unknown
            );
        }
        page.push_str("</table>\n");
    }

    fn verdicts(&self, page: &mut String) {
        page.push_str("<h2>Verdict</h2>\n<table><tr><th>check</th><th>verdict</th><th>demands</th></tr>\n");
        for check in &self.checks {
            let (class, verdict) = match check.violations.len() {
                0 => ("held", "held".to_owned()),
                count => ("broken", format!("broken, {count} times")),
            };
            let _ = write!(
                page,
                "<tr><td>{}</td><td class=\"{class}\">{verdict}</td><td>{}",
                escape(&check.check),
                escape(&check.statement)
            );
            for what in &check.violations {
                let _ = write!(page, "<pre>{}</pre>", escape(what));
            }
            page.push_str("</td></tr>\n");
        }
        page.push_str("</table>\n");
    }

    fn happenings(&self, page: &mut String) {
        page.push_str(
            "<h2>What happened</h2>\n<table><tr><th>from</th><th>until</th><th>what</th><th>whom</th><th></th></tr>\n",
        );
        let at = |ns: u64| format!("{:.1} s", ns as f64 / 1e9);
        let mut rows: Vec<(u64, String)> = Vec::new();
        for fault in &self.faults {
            let until = fault.until_ns.map_or("the heal".to_owned(), at);
            let targets = escape(&fault.targets.join(" "));
            let row = format!(
                "<tr><td>{}</td><td>{until}</td><td>{}</td><td>{targets}</td><td>{}</td></tr>\n",
                at(fault.from_ns),
                escape(&fault.kind),
                escape(&fault.detail)
            );
            rows.push((fault.from_ns, row));
        }
        for event in &self.events {
            let row = format!(
                "<tr class=\"event\"><td>{}</td><td></td><td>{:?}</td><td>{}</td><td>{}</td></tr>\n",
                at(event.at_ns),
                event.what,
                escape(&event.node),
                escape(&event.words)
            );
            rows.push((event.at_ns, row));
        }
        for (name, ns) in [
            ("clients ended", self.ended_ns),
            ("everything was healed", self.healed_ns),
            ("all nodes held the same", self.converged_ns),
        ] {
            if let Some(ns) = ns {
                rows.push((ns, format!("<tr><td>{}</td><td></td><td colspan=\"3\">{name}</td></tr>\n", at(ns))));
            }
        }
        rows.sort_by_key(|(at_ns, _)| *at_ns);
        rows.iter().for_each(|(_, row)| page.push_str(row));
        page.push_str("</table>\n");
    }
}

fn network(page: &mut String, simulated: &Simulated) {
    page.push_str(
        "<table><tr><th>messages</th><th>count</th><th>bytes</th><th>a write</th><th>bytes a write</th></tr>\n",
    );
    for (name, traffic) in [("within regions", simulated.inside), ("between regions", simulated.between)] {
        let (count, bytes) = (simulated.per_write(traffic.messages), simulated.per_write(traffic.bytes));
        let _ = writeln!(
            page,
            "<tr><td>{name}</td><td>{}</td><td>{}</td><td>{count:.1}</td><td>{}</td></tr>",
            traffic.messages,
            bytes_of(traffic.bytes),
            bytes_of(bytes as u64)
        );
    }
    let memory =
        simulated.resident_bytes_per_node.map(|bytes| format!(", {} of memory for each node", bytes_of(bytes)));
    let _ = writeln!(
        page,
        "</table>\n<p class=\"quiet\">{:.1} s simulated in {:.1} s, {} events, {} a second{}</p>",
        simulated.simulated_ms as f64 / 1e3,
        simulated.took_ms as f64 / 1e3,
        simulated.events,
        simulated.events_per_s(),
        memory.unwrap_or_default()
    );
    for left_out in &simulated.left_out {
        let _ = writeln!(page, "<p class=\"quiet\">left out: {}</p>", escape(left_out));
    }
}

fn row(page: &mut String, call: &Call) {
    let took = call.returned_ns.map_or("never ended".to_owned(), |returned| {
        chart::show_ms(returned.saturating_sub(call.invoked_ns) as f64 / 1e6)
    });
    let came = match &call.outcome {
        Outcome::Ok(seen) => serde_json::to_string(seen).unwrap_or_default(),
        Outcome::Fail(why) => format!("failed: {why}"),
        Outcome::Unknown(why) => format!("unknown: {why}"),
    };
    let asked = serde_json::to_string(&call.action).unwrap_or_default();
    let _ = writeln!(
        page,
        "<tr><td>{}</td><td>{:.3} s</td><td>{took}</td><td>{}</td><td>{}</td><td><code>{}</code></td><td><code>{}</code></td></tr>",
        call.id,
        call.invoked_ns as f64 / 1e9,
        escape(call.node.as_deref().unwrap_or("?")),
        escape(&call.key),
        escape(&cut(&asked)),
        escape(&cut(&came)),
    );
}

fn cut(text: &str) -> String {
    if text.chars().count() <= CALL_CHARS_MAX {
        return text.to_owned();
    }
    text.chars().take(CALL_CHARS_MAX).chain(" …".chars()).collect()
}

/// Text that says nothing to a browser.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::check::story::Story;
    use crate::check::{Happened, judge};
    use crate::history::Edit;
    use crate::plan::{ArenaKind, Plan};
    use crate::report::{Lag, Report};

    #[test]
    fn a_page_needs_nothing_else_and_says_what_failed_first() {
        let mut story = Story::default();
        story.edit("c<1>", Edit::Set("a".to_owned())).during(0, 5_000_000).ok();
        story.evidence.healed_ns = Some(2_000_000_000);
        story.edit("c<1>", Edit::Increment(1)).during(40_000_000_000, 40_000_001_000).fail();
        let (kind, targets) = ("split".to_owned(), vec!["eu-west-1".to_owned()]);
        story.evidence.faults.push(Happened { kind, targets, from_ns: 1, until_ns: None, detail: String::new() });
        let evidence = story.told();
        let plan = Plan::quiet("small", "A \"small\" run.", Duration::from_secs(60));
        let lags: Vec<Lag> = [(0, Some(1_000_000)), (500_000_000, None), (900_000_000, Some(0))]
            .map(|(at_ns, behind_ns)| Lag { region: "us-east-1".to_owned(), at_ns, behind_ns })
            .to_vec();
        let found = judge(&evidence, &[]);
        let page = Report::new((&plan, 7, ArenaKind::Real), &evidence, &lags, &found).to_html();
        for outside in ["http://", "https://", "src=", "<script", "@import", "url("] {
            assert!(!page.contains(outside), "{outside}");
        }
        assert!(page.contains("What failed first") && page.contains("<b>liveness</b>"), "{page}");
        assert!(page.contains("c&lt;1&gt;") && !page.contains("c<1>"), "text is text");
        assert!(!page.contains("NaN") && !page.contains("inf"), "{page}");
    }
}
