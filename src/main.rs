//! The `fairprune` command.

mod cli;

#[cfg(unix)]
#[global_allocator]
static ALLOCATOR: cli::allocator::Refusing = cli::allocator::Refusing;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
