//! Compiling away from the VM threads, on a stack that the Luau parser cannot exhaust.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;

use khronos::{Bundle, BytecodeCache, CompileError, Program};
use tokio::sync::{mpsc, oneshot};

use crate::ids::GuildId;
use crate::places::GuildPlaces;

/// Bundles that may wait for the compiler; more callers wait for a place.
const QUEUE: usize = 64;

/// A thread that compiles. Cheap to clone; the thread ends with the last clone.
#[derive(Debug, Clone)]
pub struct Compiler {
    jobs: mpsc::Sender<Job>,
    /// One bundle of a guild at a time, so that none fills the queue.
    places: Arc<GuildPlaces>,
}

#[derive(Debug)]
struct Job {
    bundle: Arc<Bundle>,
    answer: oneshot::Sender<Result<Program, Vec<CompileError>>>,
}

/// Why there is no program.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CompileFailure {
    /// The files that do not compile; at least one.
    #[error("{} of the template's files cannot be compiled", .0.len())]
    Errors(Vec<CompileError>),
    /// The compiler's thread is gone.
    #[error("the compiler is not available")]
    Unavailable,
}

impl Compiler {
    /// Starts the thread, with `stack_bytes` of stack.
    ///
    /// # Errors
    /// When the operating system gives no thread.
    pub fn start(stack_bytes: usize) -> std::io::Result<Self> {
        let (jobs, mut queue) = mpsc::channel::<Job>(QUEUE);
        thread::Builder::new().name("compiler".to_owned()).stack_size(stack_bytes).spawn(move || {
            let cache = BytecodeCache::default();
            while let Some(job) = queue.blocking_recv() {
                // Whoever asked may have given up in line.
                if job.answer.is_closed() {
                    continue;
                }
                // A panic would be a defect of the compiler; it must not take the thread with it. The caller learns
                // of it by its answer being dropped.
                if let Ok(compiled) = catch_unwind(AssertUnwindSafe(|| cache.compile(&job.bundle))) {
                    // An error means that the caller has gone away.
                    let _ = job.answer.send(compiled);
                }
            }
        })?;
        Ok(Self { jobs, places: Arc::new(GuildPlaces::new(1)) })
    }

    /// Compiles every module of a `bundle` of `guild`, if it is any guild's, after those that the guild asked for before. Sources that were compiled before and are still in use cost nothing.
    ///
    /// # Errors
    /// See [`CompileFailure`].
    pub async fn compile(
        &self,
        guild: Option<GuildId>,
        bundle: Arc<Bundle>,
    ) -> Result<Program, CompileFailure> {
        let _place = match guild {
            Some(guild) => Some(self.places.take(guild).await),
            None => None,
        };
        let (answer, wait) = oneshot::channel();
        self.jobs.send(Job { bundle, answer }).await.map_err(|_| CompileFailure::Unavailable)?;
        wait.await.map_err(|_| CompileFailure::Unavailable)?.map_err(CompileFailure::Errors)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bundle(source: String) -> Arc<Bundle> {
        Arc::new(Bundle::new([("init.luau".to_owned(), source)]).unwrap())
    }

    #[tokio::test]
    async fn a_guild_waits_behind_itself_alone() {
        let compiler = Compiler::start(20 << 20).unwrap();
        let [busy, other] = [1, 2].map(|id| GuildId::new(id).unwrap());
        let place = compiler.places.take(busy).await;
        let waiting = tokio::spawn({
            let compiler = compiler.clone();
            async move { compiler.compile(Some(busy), bundle("return 1".to_owned())).await }
        });
        assert!(compiler.compile(Some(other), bundle("return 1".to_owned())).await.is_ok());
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(place);
        assert!(waiting.await.unwrap().is_ok());
    }

    #[tokio::test]
    async fn a_source_that_nests_without_end_is_an_error_and_the_compiler_goes_on() {
        let compiler = Compiler::start(20 << 20).unwrap();
        for deep in ["(", "{", "function() return ", "not ", "- ", "if x then ", "a[", "`{"] {
            let failure =
                compiler.compile(None, bundle(format!("return {}", deep.repeat(50_000)))).await.unwrap_err();
            assert!(matches!(failure, CompileFailure::Errors(_)), "{deep}: {failure:?}");
        }
        let failure = compiler.compile(None, bundle("local x = 1\nlocal = 2".to_owned())).await.unwrap_err();
        let CompileFailure::Errors(errors) = failure else { panic!("{failure:?}") };
        assert_eq!((errors[0].file.as_str(), errors[0].line), ("init.luau", 2));
        assert!(errors[0].message.starts_with("Expected identifier"), "{errors:?}");
        assert!(compiler.compile(None, bundle("return 1".to_owned())).await.is_ok());
    }
}
