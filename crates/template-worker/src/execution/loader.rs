//! From a template as it is stored to one that can run.

use std::sync::Arc;

use khronos::{Bundle, Program};

use super::{CompileFailure, Compiler, LoadedTemplate};
use crate::host::discord::BotUser;
use crate::template::TemplateInfo;

/// Compiles templates, and gives them what they need beside. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Loader {
    compiler: Compiler,
    bot: BotUser,
}

impl Loader {
    /// Templates of a service whose bot is `bot`.
    pub fn new(compiler: Compiler, bot: BotUser) -> Self {
        Self { compiler, bot }
    }

    /// Makes a template ready to run, with the program of its files where that is `known`. In the first seconds of the service it
    /// waits for what Discord says of the bot.
    ///
    /// # Errors
    /// See [`CompileFailure`].
    pub async fn load(
        &self,
        info: Arc<TemplateInfo>,
        bundle: Arc<Bundle>,
        known: Option<Program>,
    ) -> Result<LoadedTemplate, CompileFailure> {
        let program = match known {
            Some(program) => program,
            None => self.compiler.compile(Some(info.guild), bundle).await?,
        };
        Ok(LoadedTemplate { info, program, current_user: self.bot.known().await })
    }
}
