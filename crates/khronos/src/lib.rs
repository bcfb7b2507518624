//! One sandboxed Luau VM for scripts that nobody vouches for.
//!
//! Life of a VM: [`KhronosRuntime::new`] -> *New* -> a template gets its [isolate](KhronosRuntime::create_isolate) ->
//! *Ready* -> perhaps *Broken*, with a [reason](BrokenReason) -> [closing](Closing) -> closed. Many VMs share a thread: each runs for a
//! slice at a time, and no script can notice where a slice ended.
//!
//! This crate knows no guild, no HTTP, no database and no process. What a script can do beyond Luau is what its
//! embedder gives it as `ctx`.
//!
//! ```
//! use khronos::{BaseLibrary, Bundle, BytecodeCache, ExecutionLimits, KhronosRuntime, RuntimeOptions, Ticker, Verdict};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let ticker = Ticker::start()?;
//! let runtime = KhronosRuntime::new(RuntimeOptions::new(BaseLibrary::compile()?, ticker.handle()))?;
//!
//! let source = "local event = ... task.wait(0.01) return event.text .. ', world'";
//! let bundle = Bundle::new([("init.luau".to_owned(), source.to_owned())])?;
//! let program = BytecodeCache::default().compile(&bundle).map_err(|errors| errors[0].to_string())?;
//!
//! let isolate = runtime.create_isolate("greet", program)?;
//! let event = runtime.decode_json(r#"{"text": "hello"}"#)?;
//! let ctx = runtime.decode_json("null")?;
//! runtime.start(isolate, "GREET", &event, &ctx, ExecutionLimits::default())?;
//!
//! let completion = loop {
//!     runtime.run_slice();
//!     if let Some(completion) = runtime.take_completions().pop() {
//!         break completion;
//!     }
//! };
//! assert_eq!(completion.verdict, Verdict::Returned("hello, world".into()));
//! # Ok(())
//! # }
//! ```

mod bundle;
mod bytecode;
mod closing;
pub mod declare;
mod error;
mod isolate;
mod library;
mod limits;
mod memory;
mod object;
mod options;
mod require;
mod runtime;
mod sandbox;
mod scheduler;
mod slow_lane;
mod value;

pub use bundle::{
    Bundle, BundleError, ContentHash, ENTRY, MAX_FILES, MAX_PATH_BYTES, MAX_SOURCE_BYTES, Source,
};
pub use bytecode::{BytecodeCache, Program, ProgramImage};
pub use closing::Closing;
pub use error::{BrokenReason, CompileError, RuntimeError, TemplateError, Verdict};
pub use isolate::IsolateId;
pub use library::{blob, modules};
pub use limits::{ExecutionLimits, LimitExceeded, RuntimeLimits};
pub use memory::give_back_free_memory;
pub use object::{HostFunctions, ObjectType, add_metamethod};
pub use options::{LogLevel, LogLine, MAX_LOG_LINE, RuntimeOptions};
pub use runtime::{KhronosRuntime, RuntimeHandle, VmState};
pub use sandbox::{BaseLibrary, GLOBALS, TASK};
pub use scheduler::inbox::Reply;
pub use scheduler::ticker::{Ticker, TickerHandle};
pub use scheduler::{Completion, ExecutionId};
pub use value::encode::Json;
pub use value::json::JsonLimits;
pub use value::time::{Interval, TimeZone, Timestamp};
pub use value::{KhronosValue, ValueError, ValueLimits};
