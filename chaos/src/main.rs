//! `trine-chaos`: splits regions and checks what survives.

mod cli;

fn main() -> std::process::ExitCode {
    cli::run()
}
