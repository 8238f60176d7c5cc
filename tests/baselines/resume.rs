//! Interrupted after every step and resumed, a run ends with the bits of one that nobody stopped,
//! whatever the number of threads.

use fairprune::error::Error;
use fairprune::exec::ArenaMode;
use fairprune::ops::gather::Gather;

use super::runs::cpu;
use crate::small_run::*;

const EPOCHS: usize = 3;

/// Every baseline, as small as the run.
const NAMES: [&str; 17] = [
    "cdb-w",
    "cdb-w:dynamic",
    "class-balanced:beta=.9",
    "infobatch:start=1.2:until=.8",
    "rcap",
    "rcap:mean-loss:keep=.7",
    "ordered-sgd",
    "micro-batch-clipping:size=4",
    "rho:candidates=10:keep=.4",
    "rwg",
    "jtt:lambda=4",
    "lff",
    "first bam:lambda=20",
    "bam:mu=4",
    "groupdro:eta=.1",
    "groupdro:balanced",
    "dfr",
];

#[test]
fn every_baseline_resumes_with_the_same_bits() {
    for name in NAMES {
        let inputs = Inputs::of(name);
        let recipe = inputs.recipe(EPOCHS);
        let input = inputs.input();
        let run = |threads: usize, watched: &Watched| {
            let cpu = cpu(threads);
            let images = cpu.images(&images()).unwrap();
            let mut executor = executor(cpu, &inputs.on_device(&recipe), ArenaMode::Shared);
            train(&mut executor, &images, &recipe, Some(&input), watched)
        };
        let whole = essence(&run(1, &Watched::default()).unwrap());
        let folder = tempfile::tempdir().unwrap();
        // Interruptions fall inside epochs and between them: every run ends after one step more.
        let path = folder.path().join("checkpoint.safetensors");
        let watched = Watched { checkpoint: Some(path), ..Watched::default() };
        let mut interruptions = 0;
        let outcome = loop {
            let stop_after = Some(1 + interruptions % 3);
            match run(2, &Watched { stop_after, ..watched.clone() }) {
                Err(Error::Interrupted) => interruptions += 1,
                other => break other.unwrap(),
            }
            assert!(interruptions < 100, "{name} gets nowhere");
        };
        assert!(interruptions >= 5, "{name}: {interruptions}");
        assert!(essence(&outcome) == whole, "{name} differs after {interruptions} interruptions");
    }
}
