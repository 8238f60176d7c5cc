//! `completions` and `man`: what a package installs beside the program, made from the flags.

use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Command};
use clap_complete::Shell;
use clap_mangen::Man;
use fairprune::artefact::atomic;
use fairprune::error::Error;

use crate::cli::args::Common;

#[derive(Args, Debug)]
#[command(after_help = "For bash: fairprune completions bash \
                        > ~/.local/share/bash-completion/completions/fairprune")]
pub struct CompletionsArgs {
    #[command(flatten)]
    pub common: Common,
    /// The shell
    #[arg(value_name = "SHELL")]
    pub shell: Shell,
}

#[derive(Args, Debug)]
#[command(after_help = "To read it: fairprune man | man -l -")]
pub struct ManArgs {
    #[command(flatten)]
    pub common: Common,
    /// Write fairprune.1, fairprune-run.1, ... into this folder instead
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// Prints the completions of `command`.
pub fn completions(args: &CompletionsArgs, mut command: Command) -> Result<u8> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "fairprune", &mut script);
    io::stdout().write_all(&script)?;
    Ok(0)
}

/// Prints the manual page of `command`, or writes one a command below it.
pub fn man(args: &ManArgs, mut command: Command) -> Result<u8> {
    command.build();
    let Some(folder) = &args.out else {
        let mut page = Vec::new();
        Man::new(command).render(&mut page)?;
        io::stdout().write_all(&page)?;
        return Ok(0);
    };
    std::fs::create_dir_all(folder).map_err(Error::io(folder))?;
    let own = command.get_subcommands().filter(|c| c.get_name() != "help").cloned();
    let pages = own.map(|c| (format!("fairprune-{}.1", c.get_name()), c));
    for (name, command) in pages.chain([("fairprune.1".to_owned(), command.clone())]) {
        let mut page = Vec::new();
        Man::new(command).render(&mut page)?;
        atomic::write_bytes(&folder.join(name), &page)?;
    }
    Ok(0)
}
