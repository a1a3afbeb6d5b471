//! Breaks everything that can break while many clients hold, confirm, release
//! and watch few seats, and checks afterwards that every promise was kept.

mod checker;
#[expect(clippy::struct_field_names, clippy::type_complexity, reason = "as in the contract")]
mod history;

use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let Some(("check", files)) = args.split_first().map(|(first, rest)| (first.as_str(), rest))
    else {
        eprintln!("usage: chaos check FILE...");
        return ExitCode::FAILURE;
    };
    checker::check_files(&files.iter().map(Into::into).collect::<Vec<_>>())
}
