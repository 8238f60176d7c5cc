//! Baselines on the card: interrupted they end with the same bits, and they learn as on the CPU.

use std::sync::Arc;

use fairprune::backend::Cpu;
use fairprune::error::Error;
use fairprune::exec::ArenaMode;
use fairprune::ops::gather::Gather;

use crate::cuda_device;
use crate::small_run::*;

#[test]
fn baselines_resume_with_the_same_bits_and_learn_as_on_the_cpu() {
    let cuda = Arc::new(cuda_device::open());
    let on_card = cuda.images(&images()).unwrap();
    let on_host = cuda.host_images(&images()).unwrap();
    let cpu = Arc::new(Cpu::new(1).unwrap());
    let on_cpu = cpu.images(&images()).unwrap();
    for name in [
        "class-balanced:beta=.9",
        "infobatch:start=1.2",
        "rcap",
        "ordered-sgd",
        "micro-batch-clipping:size=4",
        "lff",
        "first bam:lambda=20",
        "rho:candidates=10:keep=.4",
        "rwg",
        "groupdro:balanced",
    ] {
        let inputs = Inputs::of(name);
        let recipe = inputs.recipe(2);
        let input = inputs.input();
        // Every tensor in an allocation of its own, with NaN in what nobody has written.
        let mut card = executor(Arc::clone(&cuda), &inputs.on_device(&recipe), ArenaMode::Debug);
        let mut host = executor(Arc::clone(&cpu), &inputs.on_device(&recipe), ArenaMode::Shared);
        let whole = Watched::default();
        let found = train(&mut card, &on_card, &recipe, Some(&input), &whole).unwrap();
        let expected = train(&mut host, &on_cpu, &recipe, Some(&input), &whole).unwrap();
        // One epoch of the same arithmetic up to the order of sums.
        let streamed = train(&mut card, &on_host, &recipe, Some(&input), &whole).unwrap();
        assert!(essence(&streamed) == essence(&found), "{name} differs when images are streamed");
        let losses = [&found, &expected].map(|o| o.history[0].train_loss);
        assert!((losses[0] - losses[1]).abs() < 2e-3 * losses[1], "{name}: {losses:?}");
        let folder = tempfile::tempdir().unwrap();
        let checkpoint = Some(folder.path().join("checkpoint.safetensors"));
        let mut interruptions = 0;
        let resumed = loop {
            let stop_after = Some(2 + interruptions % 2);
            let watched = Watched { checkpoint: checkpoint.clone(), stop_after, ..whole.clone() };
            match train(&mut card, &on_card, &recipe, Some(&input), &watched) {
                Err(Error::Interrupted) => interruptions += 1,
                other => break other.unwrap(),
            }
            assert!(interruptions < 40, "{name} gets nowhere");
        };
        assert!(interruptions > 1, "{name}");
        assert!(essence(&resumed) == essence(&found), "{name} differs when it is resumed");
    }
}
