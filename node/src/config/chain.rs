//! Which files a node's configuration is put together from, and in which order.

use std::path::PathBuf;

use clap::Args;

use super::load::{ConfigError, Loaded, load_from, region};

/// The layers beside a node's own files.
#[derive(Debug, Clone, Default, Args)]
pub struct Layers {
    /// Where the files are that many nodes share: global.toml, REGION.toml, REGION/ENVIRONMENT.toml
    #[arg(long, value_name = "DIR", env = "TRINE_SHARED")]
    pub shared: Option<PathBuf>,
    /// Which environment it is, such as production
    #[arg(long, value_name = "NAME", env = "TRINE_ENVIRONMENT", requires = "shared")]
    pub environment: Option<String>,
    /// Override a value: section.field=value
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}

impl Layers {
    /// Puts the configuration together from these, the node's own `files`, and this process's environment.
    ///
    /// # Errors
    /// [`ConfigError`], which names the key and the layer.
    pub fn load(&self, files: &[PathBuf]) -> Result<Loaded, ConfigError> {
        let variables = std::env::vars_os();
        self.load_from(
            files,
            variables.filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))),
        )
    }

    /// As [`Self::load`] with the environment as an argument.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn load_from(
        &self,
        files: &[PathBuf],
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Loaded, ConfigError> {
        let variables: Vec<(String, String)> = variables.into_iter().collect();
        let flags = self.flags()?;
        let mut all = self.shared_files(region(files, variables.clone(), &flags)?.as_deref())?;
        all.extend_from_slice(files);
        load_from(&all, variables, &flags)
    }

    fn flags(&self) -> Result<Vec<(String, String)>, ConfigError> {
        let split = |flag: &String| {
            let (key, value) = flag.split_once('=').filter(|(key, _)| key.contains('.'))?;
            Some((key.trim().to_owned(), value.trim().to_owned()))
        };
        self.set.iter().map(|flag| split(flag).ok_or_else(|| ConfigError::Flag(flag.clone()))).collect()
    }

    /// The shared files that are there. One that was asked for by name must be.
    fn shared_files(&self, region: Option<&str>) -> Result<Vec<PathBuf>, ConfigError> {
        let Some(directory) = &self.shared else { return Ok(Vec::new()) };
        let mut names = vec!["global.toml".to_owned()];
        names.extend(region.map(|region| format!("{region}.toml")));
        let environment = self.environment.as_ref().zip(region);
        let environment = environment.map(|(environment, region)| format!("{region}/{environment}.toml"));
        let paths = names.iter().chain(&environment).map(|name| directory.join(name));
        let there: Vec<PathBuf> = paths
            .filter(|path| path.is_file() || environment.as_ref().is_some_and(|name| path.ends_with(name)))
            .collect();
        if there.is_empty() {
            let expected = names.join(", ");
            return Err(ConfigError::NothingShared { directory: directory.clone(), expected });
        }
        Ok(there)
    }
}
