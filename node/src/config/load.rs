//! Reading a configuration from its layers.

use std::path::{Path, PathBuf};

use figment::error::Kind;
use figment::providers::{Format, Toml};
use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider, Source};

use super::Config;
use super::nearest::nearest;

const DEFAULTS: &str = r#"
[node]
data_dir = "data"
[cluster]
genesis_file = "genesis.json"
seeds = []
forks_released = []
unasked = "wait"
mdns = false
gossip = true
[tls]
ca_file = "ca.crt"
certificate_file = "tls.crt"
key_file = "tls.key"
log_key_file = "log.key"
[listen]
http = "127.0.0.1:7420"
libp2p = "0.0.0.0:7421"
raft = "0.0.0.0:7422"
[http]
hosts = []
certificate_file = "https.crt"
key_file = "https.key"
[advertise]
http = ""
libp2p = []
raft = ""
[limits]
value_max = "16MiB"
disk_reserve = "64MiB"
[storage]
cache = "8MiB"
memtable = "16MiB"
derived_flush = "1s"
delta_rows = 4096
segment = "64MiB"
[log]
format = "text"
filter = "info,openraft=warn,fjall=warn,lsm_tree=warn,libp2p_mdns=warn"
file = ""
file_bytes = "64MiB"
file_age = "24h"
files_kept = 7
"#;

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file cannot be read.
    #[error("cannot read the configuration file {}: {error}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// The directory of shared files has none for this node.
    #[error("{} has no file for this node; it could have {expected}", directory.display())]
    NothingShared {
        /// The directory.
        directory: PathBuf,
        /// The files that are looked for.
        expected: String,
    },
    /// A flag that sets nothing.
    #[error("`{0}` sets nothing: use section.field=value")]
    Flag(String),
    /// A key that nobody knows.
    #[error("unknown key `{key}` in {place}{}", hint(.nearest))]
    UnknownKey {
        /// Section and field.
        key: String,
        /// Where it stands.
        place: String,
        /// The known key that was probably meant.
        nearest: Option<String>,
    },
    /// A key without which there is no node.
    #[error("`{key}` is not set: set it in a file or as {variable}")]
    Missing {
        /// Section and field.
        key: String,
        /// The environment variable that sets it.
        variable: String,
    },
    /// A value that cannot be.
    #[error("`{key}` in {place}: {what}")]
    Value {
        /// Section and field.
        key: String,
        /// Where it stands.
        place: String,
        /// What is wrong.
        what: String,
    },
}

fn hint(nearest: &Option<String>) -> String {
    nearest.as_ref().map(|name| format!("; did you mean `{name}`?")).unwrap_or_default()
}

/// A configuration and where its values came from.
#[derive(Debug)]
pub struct Loaded {
    /// The configuration; paths from files are relative to their file's folder and made so here.
    pub config: Config,
    /// Every value with its source, in the order of sections.
    pub values: Vec<Sourced>,
}

/// One value and its source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sourced {
    /// Section and field.
    pub key: String,
    /// The value, as JSON.
    pub value: String,
    /// Where it came from.
    pub source: String,
}

/// Reads the layers: defaults, `files` in order, environment, `flags` (`("node.name", "us-east-1-a")`).
///
/// # Errors
/// [`ConfigError`], which names the key and the place.
pub fn load_from(
    files: &[PathBuf],
    environment: impl IntoIterator<Item = (String, String)>,
    flags: &[(String, String)],
) -> Result<Loaded, ConfigError> {
    let figment = layered(files, environment, flags)?;
    let mut config: Config = figment.extract().map_err(|error| explain(&figment, error))?;
    resolve_paths(&figment, files, &mut config);
    Ok(Loaded { values: sourced(&figment), config })
}

/// The region that these layers name, if they do; nothing else is judged.
///
/// # Errors
/// When a file cannot be read.
pub(super) fn region(
    files: &[PathBuf],
    environment: impl IntoIterator<Item = (String, String)>,
    flags: &[(String, String)],
) -> Result<Option<String>, ConfigError> {
    Ok(layered(files, environment, flags)?.extract_inner("node.region").ok())
}

fn layered(
    files: &[PathBuf],
    environment: impl IntoIterator<Item = (String, String)>,
    flags: &[(String, String)],
) -> Result<Figment, ConfigError> {
    let mut figment = Figment::from(Layer::of_toml("the defaults", DEFAULTS));
    for path in files {
        std::fs::metadata(path).map_err(|error| ConfigError::File { path: path.clone(), error })?;
        figment = figment.merge(Toml::file_exact(path));
    }
    let variables: Vec<(String, Vec<String>, String)> = environment.into_iter().filter_map(variable).collect();
    for (name, parts, value) in variables.iter().filter(|(_, parts, _)| parts.len() == 2) {
        figment = figment.merge(Layer::of_value(format!("the variable {name}"), &parts.join("."), value));
    }
    let region =
        figment.extract_inner::<String>("node.region").map(|region| region.replace('-', "_")).unwrap_or_default();
    for (name, parts, value) in variables.iter().filter(|(_, parts, _)| parts.len() == 3 && parts[0] == region) {
        figment = figment.merge(Layer::of_value(format!("the variable {name}"), &parts[1..].join("."), value));
    }
    for (key, value) in flags {
        figment = figment.merge(Layer::of_value("a flag (--set)".to_owned(), key, value));
    }
    Ok(figment)
}

/// `TRINE_SECTION__FIELD` as its lower-case parts. Names without `__` belong to the command line, not to a node.
fn variable((name, value): (String, String)) -> Option<(String, Vec<String>, String)> {
    let rest = name.strip_prefix("TRINE_")?;
    let parts: Vec<String> = rest.split("__").map(str::to_ascii_lowercase).collect();
    (parts.len() > 1).then_some((name, parts, value))
}

/// Values of one source that is no file.
struct Layer {
    source: String,
    values: Dict,
}

impl Layer {
    fn of_toml(source: &str, text: &str) -> Self {
        let values = Toml::string(text).data().ok().and_then(|mut profiles| profiles.remove(&Profile::Default));
        Self { source: source.to_owned(), values: values.expect("the defaults are TOML") }
    }

    fn of_value(source: String, key: &str, text: &str) -> Self {
        let value = typed(key, text);
        let (section, field) = key.split_once('.').unwrap_or((key, ""));
        let inner = Dict::from([(field.to_owned(), value)]);
        Self { source, values: Dict::from([(section.to_owned(), inner.into())]) }
    }
}

/// A text from outside a file, as the field wants it and not as it looks: a node may be called `1234`, and a directory `007`
/// or `true`. What a field is, its default shows; those without one are texts. What does not fit stays a text, and is refused
/// with the field's own words.
fn typed(key: &str, text: &str) -> Value {
    let defaults = Layer::of_toml("the defaults", DEFAULTS).values;
    let default = key.split_once('.').and_then(|(section, field)| defaults.get(section)?.as_dict()?.get(field));
    match default {
        Some(Value::Bool(..)) => text.trim().parse::<bool>().map_or_else(|_| text.into(), Value::from),
        Some(Value::Num(..)) => text.trim().parse::<u64>().map_or_else(|_| text.into(), Value::from),
        Some(Value::Array(..)) => Value::from(items(text)),
        _ => text.into(),
    }
}

/// The texts of a list: `[a, "b"]`, or without the brackets.
fn items(text: &str) -> Vec<String> {
    let text = text.trim();
    let inner = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let bare = |item: &str| {
        let item = item.trim();
        let quoted = ['"', '\''].into_iter().find_map(|quote| item.strip_prefix(quote)?.strip_suffix(quote));
        quoted.unwrap_or(item).to_owned()
    };
    inner.split(',').map(bare).filter(|item| !item.is_empty()).collect()
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.source.clone()).interpolater(|_, keys| keys.join("."))
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Map::from([(Profile::Default, self.values.clone())]))
    }
}

/// The first of figment's errors in our words.
fn explain(figment: &Figment, errors: figment::Error) -> ConfigError {
    let error = errors.into_iter().next().expect("an error has at least one part");
    let path = error.path.join(".");
    let place = error.metadata.as_ref().map_or_else(|| "the configuration".to_owned(), place_of);
    match error.kind {
        Kind::UnknownField(field, known) => {
            let section = path.strip_suffix(&field).unwrap_or(&path).trim_end_matches('.');
            let join = |name: &str| if section.is_empty() { name.to_owned() } else { format!("{section}.{name}") };
            let place = figment.find_metadata(&join(&field)).map_or(place, place_of);
            ConfigError::UnknownKey {
                key: join(&field),
                place,
                nearest: nearest(&field, known.iter().copied()).map(join),
            }
        }
        Kind::MissingField(field) => {
            let key = if path.is_empty() || path.ends_with(field.as_ref()) {
                path.clone()
            } else {
                format!("{path}.{field}")
            };
            let key = if key.is_empty() { field.into_owned() } else { key };
            let variable = format!("TRINE_{}", key.replace('.', "__").to_ascii_uppercase());
            ConfigError::Missing { key, variable }
        }
        kind => ConfigError::Value { key: path, place, what: kind.to_string() },
    }
}

fn place_of(metadata: &Metadata) -> String {
    match &metadata.source {
        Some(Source::File(path)) => path.display().to_string(),
        _ => metadata.name.to_string(),
    }
}

/// A path of a file's is relative to that file's folder; one of the defaults to the last file's, the node's own.
fn resolve_paths(figment: &Figment, files: &[PathBuf], config: &mut Config) {
    let own = files.last().and_then(|file| file.parent()).map(Path::to_path_buf);
    let base_of = |key: &str| match figment.find_metadata(key) {
        Some(metadata) => match &metadata.source {
            Some(Source::File(path)) => path.parent().map(Path::to_path_buf),
            _ if metadata.name == "the defaults" => own.clone(),
            _ => None,
        },
        None => None,
    };
    let paths = [
        ("node.data_dir", &mut config.node.data_dir),
        ("cluster.genesis_file", &mut config.cluster.genesis_file),
        ("tls.ca_file", &mut config.tls.ca_file),
        ("tls.certificate_file", &mut config.tls.certificate_file),
        ("tls.key_file", &mut config.tls.key_file),
        ("tls.log_key_file", &mut config.tls.log_key_file),
        ("log.file", &mut config.log.file),
        ("http.certificate_file", &mut config.http.certificate_file),
        ("http.key_file", &mut config.http.key_file),
    ];
    for (key, path) in paths.into_iter().filter(|(_, path)| !path.as_os_str().is_empty()) {
        if let Some(base) = base_of(key) {
            *path = base.join(&path);
        }
    }
}

fn sourced(figment: &Figment) -> Vec<Sourced> {
    let sections = figment.extract::<std::collections::BTreeMap<String, Dict>>().unwrap_or_default();
    let keys = sections
        .iter()
        .flat_map(|(section, fields)| fields.iter().map(move |(field, value)| (format!("{section}.{field}"), value)));
    keys.map(|(key, value)| Sourced {
        value: serde_json::to_string(value).unwrap_or_default(),
        source: figment.find_metadata(&key).map(place_of).unwrap_or_default(),
        key,
    })
    .collect()
}
