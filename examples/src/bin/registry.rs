//! `registry`: publish packages in all regions, look them up and verify them in any. See [`trine_examples::registry`].

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::{Args, Parser, Subcommand, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use tokio::sync::mpsc;
use trine_examples::registry::limits::CONCURRENCY_DEFAULT;
use trine_examples::registry::place::{Place, PlaceArgs, parse_duration};
use trine_examples::registry::publish::{PublishOptions, publish};
use trine_examples::registry::summary::Tally;
use trine_examples::registry::verify::{VerifyOptions, claims, verify};
use trine_examples::registry::{log, lookup, release, source, trust};
use trine_protocol::Durability;

/// A package registry with a transparency log, on a Trine cluster.
#[derive(Debug, Parser)]
#[command(name = "registry", version)]
struct Cli {
    #[command(flatten)]
    place: PlaceArgs,
    /// How results look
    #[arg(short, long, value_enum, default_value = "table", global = true)]
    output: Format,
    /// The ledger namespace
    #[arg(long, default_value = "default", global = true)]
    records: String,
    /// The objects namespace
    #[arg(long, default_value = "objects", global = true)]
    objects: String,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Table,
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Publish every release of a Packages file, from all regions at once
    Publish(PublishArgs),
    /// Show a package as one region knows it, with the proof of its latest release
    Lookup(LookupArgs),
    /// Look up in one region everything that was acknowledged in any
    Verify(VerifyArgs),
}

#[derive(Debug, Args)]
struct PublishArgs {
    /// Debian's Packages format, gzipped or not; - for standard input
    file: PathBuf,
    /// Write what was acknowledged to this new file, a line of JSON a release
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// Releases in flight in each region
    #[arg(long, default_value_t = CONCURRENCY_DEFAULT, value_parser = clap::value_parser!(u16).range(1..=4096))]
    concurrency: u16,
    /// Releases a second over all regions; otherwise as fast as they are taken
    #[arg(long, value_parser = parse_rate)]
    rate: Option<f64>,
    /// What an object's change must survive: local or region
    #[arg(long, default_value = "region")]
    durability: Durability,
    /// Send nothing twice: what times out is unknown, and counted so
    #[arg(long)]
    no_retries: bool,
}

#[derive(Debug, Args)]
struct LookupArgs {
    /// The package
    package: String,
    /// Count this as a download
    #[arg(long)]
    download: bool,
    /// Write the proof to this new file, which `trine ledger verify` reads
    #[arg(long, value_name = "FILE")]
    proof: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct VerifyArgs {
    /// The log that `registry publish --log` wrote
    #[arg(long, value_name = "FILE")]
    log: PathBuf,
    /// How long to go on asking for what is not there yet
    #[arg(long, value_parser = parse_duration, default_value = "0s")]
    patience: Duration,
    /// Questions in flight
    #[arg(long, default_value_t = CONCURRENCY_DEFAULT, value_parser = clap::value_parser!(u16).range(1..=4096))]
    concurrency: u16,
}

fn parse_rate(text: &str) -> Result<f64, String> {
    let rate = text.parse().ok().filter(|rate| (0.001..=1e6).contains(rate));
    rate.ok_or_else(|| format!("`{text}` is no rate: use a number such as 50"))
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error.into()),
    };
    let done = runtime.block_on(async {
        match &cli.command {
            Command::Publish(args) => run_publish(&cli, args).await,
            Command::Lookup(args) => run_lookup(&cli, args).await,
            Command::Verify(args) => run_verify(&cli, args).await,
        }
    });
    // A reader may still wait for standard input; it is not waited for.
    runtime.shutdown_background();
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => fail(&error),
    }
}

fn fail(error: &anyhow::Error) -> ExitCode {
    eprintln!("error: {error:#}");
    ExitCode::FAILURE
}

async fn run_publish(cli: &Cli, args: &PublishArgs) -> anyhow::Result<bool> {
    let place = Place::find(&cli.place)?;
    let count = count(args)?;
    let retries = args.no_retries.then_some(0);
    let clients = place
        .regions
        .keys()
        .map(|region| Ok((region.clone(), place.client(region, retries)?)))
        .collect::<anyhow::Result<BTreeMap<_, _>>>()?;
    let mut log = args.log.as_deref().map(log::Writer::create).transpose()?;
    let options = PublishOptions {
        records: cli.records.clone(),
        objects: cli.objects.clone(),
        durability: args.durability,
        concurrency: args.concurrency,
        rate: args.rate,
    };
    let bar = bar(count, "releases");
    let (done, mut published) = mpsc::channel(usize::from(args.concurrency));
    let releases = release::releases(source::open(&args.file)?);
    let began = Instant::now();
    let publishing = publish(&clients, &options, releases, done);
    let counting = async {
        let mut tally = Tally::default();
        while let Some(release) = published.recv().await {
            tally.add(&release);
            if let Some(log) = &mut log {
                log.write(&release.entry).context("cannot write the log")?;
            }
            bar.inc(1);
        }
        anyhow::Ok(tally)
    };
    let (read, tally) = tokio::join!(publishing, counting);
    let took = began.elapsed();
    bar.finish_and_clear();
    let summary = tally?.finish(took);
    if let Some(log) = log {
        log.finish().context("cannot write the log")?;
    }
    print(cli, &summary)?;
    read.with_context(|| args.file.display().to_string())?;
    Ok(summary.acknowledged == summary.releases)
}

/// Reads a file once before anything is published: one that is malformed somewhere is refused as a whole.
fn count(args: &PublishArgs) -> anyhow::Result<Option<u64>> {
    if args.file == std::path::Path::new("-") {
        return Ok(None);
    }
    let mut count = 0;
    for release in release::releases(source::open(&args.file)?) {
        release.with_context(|| format!("{}, nothing was published", args.file.display()))?;
        count += 1;
    }
    Ok(Some(count))
}

async fn run_lookup(cli: &Cli, args: &LookupArgs) -> anyhow::Result<bool> {
    let place = Place::find(&cli.place)?;
    let region = place.only()?;
    let client = place.client(region, None)?;
    let (found, view) =
        lookup::lookup(&client, &place.trust, region, &cli.objects, &args.package, args.download).await?;
    if let Some(path) = &args.proof {
        let bytes = trust::proof_file(&view)?.to_bytes()?;
        let mut file = std::fs::File::create_new(path).with_context(|| format!("cannot make {}", path.display()))?;
        std::io::Write::write_all(&mut file, &bytes).with_context(|| format!("cannot write {}", path.display()))?;
    }
    print(cli, &found)?;
    Ok(true)
}

async fn run_verify(cli: &Cli, args: &VerifyArgs) -> anyhow::Result<bool> {
    let place = Place::find(&cli.place)?;
    let region = place.only()?;
    let client = place.client(region, None)?;
    let claims = claims(&log::read(&args.log)?)?;
    let options =
        VerifyOptions { objects: cli.objects.clone(), concurrency: args.concurrency, patience: args.patience };
    let bar = bar(Some(claims.len() as u64), "checks");
    let report = verify(&client, &place.trust, region, &options, claims, || bar.inc(1)).await?;
    bar.finish_and_clear();
    print(cli, &report)?;
    Ok(report.holds())
}

/// A bar on a terminal; nothing elsewhere.
fn bar(length: Option<u64>, what: &str) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let (bar, template) = match length {
        Some(length) => (ProgressBar::new(length), "{bar:40} {pos}/{len} {msg}  {per_sec}  {eta} left"),
        None => (ProgressBar::new_spinner(), "{spinner} {pos} {msg}  {per_sec}"),
    };
    bar.with_style(ProgressStyle::with_template(template).expect("the template is well-formed"))
        .with_message(what.to_owned())
}

fn print<T: Serialize + std::fmt::Display>(cli: &Cli, result: &T) -> anyhow::Result<()> {
    match cli.output {
        Format::Table => print!("{result}"),
        Format::Json => println!("{}", serde_json::to_string_pretty(result)?),
    }
    Ok(())
}
