//! `--data`: the folder that a command works on, and the storage in it.

use crate::config::{Backend, Config, Sources};
use crate::storage::{SqliteStorage, Storage};

use super::console::Failure;

#[derive(Debug, clap::Args)]
pub(super) struct DataFolder {
    /// The folder for everything that is kept; made where it is missing [default: ./data]
    #[arg(long, value_name = "DIR")]
    data: Option<String>,
}

impl DataFolder {
    /// `sources` with what the command line says.
    pub(super) fn add_to(self, mut sources: Sources) -> Sources {
        sources.flags.extend(self.data.map(|data| ("storage.data".to_owned(), data)));
        sources
    }
}

/// Says no where there is no data folder, so that looking at a mistyped one doesn't make it.
pub(super) fn must_exist(config: &Config) -> Result<(), Failure> {
    let folder = &config.storage.data;
    if folder.is_dir() {
        return Ok(());
    }
    Err(Failure::new(
        format!("failed to open the data folder {}: there is none", folder.display()),
        "`serve` makes it when it starts for the first time; say where it is with `--data`, or `storage.data` in the \
         configuration",
    ))
}

/// Opens what the configuration names; the service may be running on it.
pub(super) async fn open(config: &Config) -> anyhow::Result<impl Storage> {
    match config.storage.backend {
        Backend::Sqlite => Ok(SqliteStorage::open(&config.storage.data).await?),
    }
}
