//! `serve`: the service, from its first line on stdout to the end of its drain.
//!
//! Owns the order of start and stop. What runs in between is `app`, and `api` in front of it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, anyhow};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::api;
use crate::app::{App, Stopped};
use crate::config::{ADDRESS_FORM, Config, Sources};
use crate::storage::DataLock;

use super::banner::banner;
use super::console::{Console, Exit, Failure};
use super::data_folder::DataFolder;
use super::signals::{Caught, Signals};
use super::{first_token, service_log, template_log};

const HELP: &str = "\
Starts with an embedded database and needs no configuration. The first start makes an admin token and prints it
once, unless TEMPLATE_WORKER_ADMIN_TOKEN is set: then that one counts. SIGTERM and SIGINT (Ctrl-C) stop it: what
was accepted is answered first, within `server.drain_time_ms`; a second signal ends it at once.

Examples:
  template-worker serve
  template-worker serve --data ./data --listen 127.0.0.1:7700
  template-worker serve --config template-worker.toml

Exit codes:
  0    stopped by a signal, with everything answered
  1    it could not start or go on, and said why
  2    the command line is wrong
  130  ended by a second SIGINT (143: SIGTERM)
";

#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(super) struct Args {
    #[command(flatten)]
    data: DataFolder,

    /// The address and port to listen on; port 0 takes a free one [default: 127.0.0.1:7700]
    #[arg(long, value_name = "ADDR:PORT", value_parser = address)]
    listen: Option<SocketAddr>,
}

fn address(text: &str) -> Result<SocketAddr, &'static str> {
    text.parse().map_err(|_| ADDRESS_FORM)
}

pub(super) fn run(args: Args, sources: Sources, console: &mut Console<'_>) -> anyhow::Result<Exit> {
    let chosen_token = sources.environment.admin_token().map(str::to_owned);
    let mut sources = args.data.add_to(sources);
    sources.flags.extend(args.listen.map(|address| ("server.listen".to_owned(), address.to_string())));
    let config = Config::load(sources)?.config;
    let traces = service_log::start(&config.log, &config.telemetry)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("failed to start the threads of the HTTP server")?;
    let exit = runtime.block_on(serve(config, chosen_token.as_deref(), console));
    traces.stop();
    // After a second signal, nothing is waited for.
    runtime.shutdown_background();
    exit
}

async fn serve(
    config: Config,
    chosen_token: Option<&str>,
    console: &mut Console<'_>,
) -> anyhow::Result<Exit> {
    let mut signals = Signals::listen()?;
    // Held to the end: the next service on this folder starts with what this one has stored.
    let _folder = DataLock::take(&config.storage.data)?;
    let app = App::start(config).await?;
    if template_log::wanted() {
        tokio::spawn(template_log::write(app.log.subscribe()));
    }
    let listener = match open_door(&app, chosen_token, console).await {
        Ok(listener) => listener,
        Err(error) => {
            app.stop().await;
            app.close().await;
            return Err(error);
        }
    };
    let mut server = tokio::spawn(api::serve(Arc::clone(&app), listener));
    let caught = tokio::select! {
        caught = signals.next() => caught,
        ended = &mut server => {
            app.stop().await;
            app.close().await;
            return Err(why(ended));
        }
    };
    stop(&app, server, caught, &mut signals, console).await
}

fn why(ended: Result<(), tokio::task::JoinError>) -> anyhow::Error {
    let cause = ended.map_or_else(Into::into, |()| anyhow!("it ended by itself"));
    cause.context("failed to go on serving HTTP")
}

/// Takes the address and says so. The address comes first: where it isn't to be had, no token is made that nobody
/// would see.
async fn open_door(
    app: &App,
    chosen_token: Option<&str>,
    console: &mut Console<'_>,
) -> anyhow::Result<TcpListener> {
    let wanted = app.config.server.listen;
    let listener = TcpListener::bind(wanted).await.map_err(|error| cannot_listen(wanted, error))?;
    let token = first_token::ensure(&*app.storage, chosen_token).await?;
    if !wanted.ip().is_loopback() && !first_token::any_usable(&*app.storage).await? {
        let hint = "`template-worker token create --admin --name me` makes one; or listen on 127.0.0.1";
        let what = format!(
            "failed to listen on {wanted}: beyond this machine, a token must guard the service, and none works"
        );
        return Err(Failure::new(what, hint).into());
    }
    let address = listener.local_addr().context("failed to learn the address that was taken")?;
    console.out.write_all(banner(address, &app.config.storage.data, &token).as_bytes())?;
    console.out.flush()?;
    Ok(listener)
}

fn cannot_listen(address: SocketAddr, error: io::Error) -> Failure {
    let hint = match error.kind() {
        io::ErrorKind::AddrInUse => {
            "something listens there already, perhaps another template-worker: stop it, or choose another port with \
             `--listen` (port 0 takes a free one)"
        }
        io::ErrorKind::AddrNotAvailable => {
            "this machine has no such address: use 127.0.0.1 for this machine alone, 0.0.0.0 for all its addresses"
        }
        io::ErrorKind::PermissionDenied => {
            "ports below 1024 need a permission: choose a higher one with `--listen`"
        }
        _ => "choose another address with `--listen`, or `server.listen` in the configuration",
    };
    Failure::new(format!("failed to listen on {address}"), hint).because(error)
}

/// Everything that was accepted is answered, within the drain time; a second signal ends that.
async fn stop(
    app: &App,
    server: JoinHandle<()>,
    caught: Caught,
    signals: &mut Signals,
    console: &mut Console<'_>,
) -> anyhow::Result<Exit> {
    let drain = app.config.server.drain_time();
    writeln!(
        console.err,
        "{}: stopping; what was accepted has {drain:?} to end, another signal ends everything at once",
        caught.name
    )?;
    let stopped = tokio::select! {
        stopped = api::stop(app, server) => stopped,
        again = signals.next() => {
            writeln!(console.err, "{}: ending at once", again.name)?;
            return Ok(Exit::Signal(again.number));
        }
    };
    match stopped {
        Stopped::Clean => {
            writeln!(console.err, "stopped")?;
            Ok(Exit::Success)
        }
        Stopped::Hanging => Err(anyhow!("failed to stop within {drain:?}: a worker thread did not end")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_port_in_use_says_what_to_do() {
        let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = taken.local_addr().unwrap();
        let error = TcpListener::bind(address).await.unwrap_err();
        let failure = anyhow::Error::new(cannot_listen(address, error));
        let mut err = Vec::new();
        Console { input: &mut io::empty(), out: &mut io::sink(), err: &mut err }.show_error(&failure);
        let text = String::from_utf8(err).unwrap();
        assert!(text.contains(&format!("failed to listen on {address}: ")), "{text}");
        assert!(text.contains("hint: something listens there already"), "{text}");
    }

    #[test]
    fn an_address_needs_a_port() {
        assert!(address("127.0.0.1:7700").is_ok() && address("[::1]:0").is_ok());
        assert!(address("127.0.0.1").is_err() && address("localhost:7700").is_err());
    }
}
