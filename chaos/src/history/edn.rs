//! Histories in Jepsen's form, so that others can judge them: an `:invoke` and its `:ok`, `:fail` or `:info` a call.
//!
//! ```edn
//! {:index 0, :time 1000, :process 0, :type :invoke, :f :append, :value ["shared-1" "v-7"]}
//! {:index 1, :time 2000, :process 0, :type :ok, :f :append, :value ["shared-1" "v-7"]}
//! ```
//!
//! Three forms. [`Form::Plain`] has every call, its value as `[key value]`. [`Form::ListAppend`] has the ledger's as
//! transactions of one operation, as Elle's list-append wants them; a key's records count in the order of one region's
//! ledger, so only that region's are taken. [`Form::SetFull`] has one set's adds and reads, for Jepsen's set-full.
//!
//! A Jepsen process does one thing at a time, and none after an `:info`. Our clients may have several calls under
//! way, so each call is given to the first process that is free; one whose call's fate is unknown is never free again.

use std::fmt::Write as _;
use std::io::Write;

use crate::history::{Action, Call, Edit, History, Outcome, Shown, View};

/// What is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form<'a> {
    /// Everything.
    Plain,
    /// The ledger of this region, as `:txn`s for Elle.
    ListAppend(&'a str),
    /// The set under this key.
    SetFull(&'a str),
}

impl History {
    /// Writes the history as EDN, one operation a line.
    ///
    /// # Errors
    /// When writing fails.
    pub fn write_edn(&self, form: Form<'_>, out: &mut impl Write) -> std::io::Result<()> {
        let mut events: Vec<(u64, bool, usize, &'static str, String, String)> = Vec::new();
        // Per process: when it is free again.
        let mut free: Vec<u64> = Vec::new();
        for call in &self.calls {
            let Some((f, asked, told)) = words(form, call) else { continue };
            let process = free.iter().position(|at| *at <= call.invoked_ns).unwrap_or(free.len());
            if process == free.len() {
                free.push(0);
            }
            let kind = match call.outcome {
                Outcome::Ok(_) => ":ok",
                Outcome::Fail(_) => ":fail",
                Outcome::Unknown(_) => ":info",
            };
            free[process] = call.returned_ns.filter(|_| kind != ":info").unwrap_or(u64::MAX);
            events.push((call.invoked_ns, true, process, ":invoke", f.to_owned(), asked));
            if let Some(returned_ns) = call.returned_ns {
                events.push((returned_ns, false, process, kind, f.to_owned(), told));
            }
        }
        // What ended at a time comes before what began then, or a process would do two things at once.
        events.sort_by_key(|(time, begins, ..)| (*time, *begins));
        for (index, (time, _, process, kind, f, value)) in events.iter().enumerate() {
            writeln!(
                out,
                "{{:index {index}, :time {time}, :process {process}, :type {kind}, :f :{f}, :value {value}}}"
            )?;
        }
        out.flush()
    }
}

/// The function's name and its value when asked and when told.
fn words(form: Form<'_>, call: &Call) -> Option<(&'static str, String, String)> {
    match form {
        Form::Plain => Some(plain(call)),
        Form::ListAppend(region) => list_append(region, call),
        Form::SetFull(key) => set_full(key, call),
    }
}

fn plain(call: &Call) -> (&'static str, String, String) {
    let pair = |value: String| format!("[{} {value}]", quote(&call.key));
    match &call.action {
        Action::Append { value, .. } => {
            let told = call.ok().and_then(|seen| seen.record.as_ref()).map_or_else(
                || pair(quote(value)),
                |record| format!("[{} {} {} {}]", quote(&call.key), quote(value), quote(&record.region), record.index),
            );
            ("append", pair(quote(value)), told)
        }
        Action::Edit(edit) => {
            let (f, value) = edit_words(edit);
            (f, pair(value.clone()), pair(value))
        }
        Action::Latest | Action::Versions | Action::Read => {
            let shown = call.ok().and_then(|seen| seen.shown.as_ref()).map_or_else(|| "nil".to_owned(), shown_words);
            ("read", pair("nil".to_owned()), pair(shown))
        }
    }
}

fn edit_words(edit: &Edit) -> (&'static str, String) {
    match edit {
        Edit::Increment(by) => ("increment", by.to_string()),
        Edit::Set(value) => ("write", quote(value)),
        Edit::Put(value) => ("put", quote(value)),
        Edit::Add(element) => ("add", quote(element)),
        Edit::Remove(element) => ("remove", quote(element)),
        Edit::Field(name, edit) => {
            let (f, value) = edit_words(edit);
            ("field", format!("[{} :{f} {value}]", quote(name)))
        }
        Edit::RemoveField(name) => ("remove-field", quote(name)),
        Edit::Delete => ("delete", "nil".to_owned()),
    }
}

fn shown_words(shown: &Shown) -> String {
    match shown {
        Shown::Nothing => "nil".to_owned(),
        Shown::Records { records, .. } => list(records.iter().map(|version| quote(&version.value))),
        Shown::Object(views) => match &views[..] {
            [view] => view_words(view),
            views => list(views.iter().map(view_words)),
        },
    }
}

fn view_words(view: &View) -> String {
    match view {
        View::Counter(total) => total.to_string(),
        View::Register(value) => quote(value),
        View::MultiValue(values) | View::Set(values) => {
            format!("#{{{}}}", join(values.iter().map(|value| quote(value))))
        }
        View::Map(fields) => {
            let field = |(name, views): (&String, &Vec<View>)| {
                format!("{} {}", quote(name), list(views.iter().map(view_words)))
            };
            format!("{{{}}}", join(fields.iter().map(field)))
        }
    }
}

fn list_append(region: &str, call: &Call) -> Option<(&'static str, String, String)> {
    if call.region != region {
        return None;
    }
    match &call.action {
        Action::Append { value, .. } => {
            let text = format!("[[:append {} {}]]", quote(&call.key), quote(value));
            Some(("txn", text.clone(), text))
        }
        Action::Versions => {
            let asked = format!("[[:r {} nil]]", quote(&call.key));
            let told = match call.ok().and_then(|seen| seen.shown.as_ref()) {
                Some(Shown::Records { records, .. }) => {
                    let own = records.iter().filter(|version| version.region == region);
                    format!("[[:r {} {}]]", quote(&call.key), list(own.map(|version| quote(&version.value))))
                }
                Some(_) => format!("[[:r {} []]]", quote(&call.key)),
                None => asked.clone(),
            };
            Some(("txn", asked, told))
        }
        _ => None,
    }
}

fn set_full(key: &str, call: &Call) -> Option<(&'static str, String, String)> {
    if call.key != key {
        return None;
    }
    match &call.action {
        Action::Edit(Edit::Add(element)) => Some(("add", quote(element), quote(element))),
        Action::Read => {
            let told = match call.ok().and_then(|seen| seen.shown.as_ref()) {
                None => "nil".to_owned(),
                Some(Shown::Nothing) => "#{}".to_owned(),
                Some(shown) => shown_words(shown),
            };
            Some(("read", "nil".to_owned(), told))
        }
        _ => None,
    }
}

fn list(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", join(items))
}

fn join(items: impl Iterator<Item = String>) -> String {
    items.collect::<Vec<_>>().join(" ")
}

/// A string as EDN writes it.
fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            c if c.is_control() => drop(write!(quoted, "\\u{:04x}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
