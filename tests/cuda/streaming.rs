//! Images that stay on the host: the same bits as on the device, in whatever order batches come.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use fairprune::backend::{Backend, Cpu};
use fairprune::cuda::Cuda;
use fairprune::exec::{ArenaMode, Compute};
use fairprune::ops::gather::{Gather, Staging};
use serde_json::Value;

use crate::commands::{TINY, data};
use crate::cuda_device;
use crate::network::{RESNET8, computing, streaming};
use crate::parity::bits_of;
use crate::program::{on_software_device, run};

#[test]
fn training_and_scores_have_the_same_bits() {
    let compute = Compute::default();
    let expected = bits_of(RESNET8, 5, computing(RESNET8, ArenaMode::Shared, compute));
    let shared = streaming(RESNET8, ArenaMode::Shared, compute);
    assert_eq!(bits_of(RESNET8, 5, shared), expected, "recorded");
    let once = Compute { record: false, ..compute };
    let debug = streaming(RESNET8, ArenaMode::Debug, once);
    assert_eq!(bits_of(RESNET8, 5, debug), expected, "step by step, the debug arena");
}

/// Batches are gathered by the threads that were given, and by no others: while these are busy it waits.
#[test]
fn batches_are_gathered_by_the_hosts_threads() {
    let host = Arc::new(Cpu::new(1).unwrap());
    let cuda = cuda_device::open().with_host(Arc::clone(&host));
    let images = cuda.host_images(&Bytes::from(vec![3; 5 * 12])).unwrap();
    let mut staging = <Cuda as Gather>::Staging::new(&cuda, 12, 2).unwrap().unwrap();
    let (done, finished) = (AtomicBool::new(false), || thread::sleep(Duration::from_millis(300)));
    let (release, busy) = mpsc::channel::<()>();
    host.pool().spawn(move || busy.recv().unwrap_or_default());
    thread::scope(|scope| {
        let (cuda, images, staging, done) = (&cuda, &images, &mut staging, &done);
        scope.spawn(move || {
            staging.stage(cuda, images, &[4, 1]).unwrap();
            done.store(true, Ordering::SeqCst);
        });
        finished();
        assert!(!done.load(Ordering::SeqCst), "gathered by threads that nobody gave it");
        release.send(()).unwrap();
    });
    assert!(done.load(Ordering::SeqCst));
    cuda.synchronize().unwrap();
}

#[test]
fn images_and_batches_that_are_not_there_are_refused() {
    let cuda = cuda_device::open();
    let images = cuda.host_images(&Bytes::from(vec![0; 5 * 12])).unwrap();
    let mut staging = <Cuda as Gather>::Staging::new(&cuda, 12, 2).unwrap().unwrap();
    for (numbers, words) in
        [(&[0, 5][..], "image 5 of 5"), (&[0, 1, 2][..], "a batch of 3, 2 planned")]
    {
        let error = staging.stage(&cuda, &images, numbers).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
    staging.stage(&cuda, &images, &[4, 4]).unwrap();
    cuda.synchronize().unwrap();
    let resident = cuda.images(&Bytes::from(vec![0; 12])).unwrap();
    assert!(staging.stage(&cuda, &resident, &[0]).is_err());
    let empty = <Cuda as Gather>::Staging::new(&cuda, 0, 0).unwrap().unwrap();
    drop(empty);
}

#[test]
fn what_does_not_fit_is_streamed_and_says_so() {
    if cuda_device::real() {
        println!("skipped: a card's memory cannot be set");
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    data(root);
    let tiny = TINY.replace("--epochs 2", "--epochs 1 --score-batch 8");
    let train = |more: &str, out: &str, memory: u64| {
        let mut command = on_software_device();
        command.current_dir(root).env("FAIRPRUNE_EMULATOR_MEMORY", memory.to_string());
        let line = format!(
            "train --data data --image-size 32 --input-size 28 --resized-crop {tiny} {more} \
             --out {out}"
        );
        run(&mut command, &line)
    };
    let model = |out: &str| fs::read(root.join(out).join("model.safetensors")).unwrap();
    let said = "images    147.5 kB stay on the host, ";
    // Twice eight images of 3 kB and their numbers.
    let pinned = "49.7 kB of its memory pinned";
    let roomy = 1 << 30;
    let resident = train("", "resident", roomy);
    assert_eq!(resident.code, 0, "{}", resident.err);
    assert!(!resident.err.contains("stay on the host"), "{}", resident.err);
    let streamed = train("--images stream", "streamed", roomy);
    assert_eq!(streamed.code, 0, "{}", streamed.err);
    assert!(streamed.err.contains(&format!("{said}{pinned}")), "{}", streamed.err);
    assert!(model("resident") == model("streamed"), "streamed images give other bits");
    let summary = fs::read(root.join("streamed/summary.json")).unwrap();
    let summary: Value = serde_json::from_slice(&summary).unwrap();
    let planned = summary["planned_bytes"].as_u64().unwrap();
    // A sixteenth is left to the driver. Room for the plan and for less than 48 images of 3 kB.
    let memory = (planned + 30_000) * 16 / 15;
    let auto = train("", "auto", memory);
    assert_eq!(auto.code, 0, "{}", auto.err);
    assert!(auto.err.contains(said), "{}", auto.err);
    assert!(model("resident") == model("auto"), "streamed images give other bits");
    let refused = train("--images device --quiet", "refused", memory);
    assert_eq!(refused.code, 2, "{}", refused.err);
    assert!(refused.err.contains("out of memory: "), "{}", refused.err);
    let mut command = on_software_device();
    command.current_dir(root).env("FAIRPRUNE_EMULATOR_MEMORY", roomy.to_string());
    let wrong = run(&mut command, &format!("train --data data {tiny} --images host --out x"));
    assert_eq!(wrong.code, 2, "{}", wrong.err);
    // Scores and evaluation take what the weights say: 28 of images of 32, from the host.
    let mut scores = Vec::new();
    for images in ["device", "stream"] {
        for command in ["score --method el2n,grand --out scores", "eval"] {
            let mut process = on_software_device();
            process.current_dir(root);
            let out = command.replace("scores", images);
            let line = format!(
                "{out} --data data --weights resident/model.safetensors --images {images} \
                 --device cuda --threads 1"
            );
            let done = run(&mut process, &line);
            assert_eq!(done.code, 0, "{line}\n{}", done.err);
            assert_eq!(done.err.contains(said), images == "stream", "{}", done.err);
        }
        scores.push(
            ["el2n", "grand"]
                .map(|m| fs::read(root.join(images).join(m).with_extension("npy")).unwrap()),
        );
    }
    assert!(scores[0] == scores[1], "scores of streamed images differ");
}
