//! This file holds the readers of what earlier jobs left behind: arrays, tables, weights and JSON documents.

use std::cell::Cell;
use std::fs;

use fairprune::artefact::foreign;
use fairprune::artefact::provenance::{DataIdentity, KeptEnd, MethodRecord, Provenance};
use fairprune::artefact::tables::{
    self, DroppedRow, GroupRecallRow, KeptClassRow, KeptRow, RecallRow, ScoreTable,
};
use fairprune::artefact::{Existing, OutputDir, npy};
use fairprune::nn::{Arch, NetworkSpec, Stem, WeightsMetadata, weights};
use fairprune::train::checkpoint;

use super::{SMALL, Scratch, none};
use crate::corpus;
use crate::harness::{Memory, Target, run};

#[test]
fn npy_arrays() {
    let names =
        ["bool", "f16", "f32", "f32_2d", "f64", "i32", "i64", "i64_empty", "u8", "version2"];
    let names = names.map(|n| format!("npy/{n}.npy"));
    run(&Target {
        name: "npy",
        corpus: corpus::golden(&names.each_ref().map(String::as_str)),
        words: &[
            b"'descr': ",
            b"'<i8'",
            b"'|b1'",
            b"(",
            b")",
            b",",
            b"True",
            b"{",
            b"}",
            b"'shape': (9999999999999,)",
        ],
        memory: SMALL,
        repair: &none,
        read: &|bytes| {
            let Ok(array) = npy::read_from(bytes, bytes.len() as u64, "x") else { return false };
            let _ = array.clone().into_scores(6, "x");
            let _ = array.into_positions(10, "x");
            true
        },
    });
}

#[test]
fn tables_of_results() {
    let scratch = Scratch::new();
    let recalls = b"class,name,train_size,val_correct,val_total,recall,recall_sd\n0,\"a, b\",500,41,50,0.82,0.01\n1,c,400,,,1,\n";
    let kept = b"index,id,label,part,score,kept\n0,a,1,train,0.5,1\n7,\"b\"\"c\",0,val,,0\n";
    let dropped = b"index,id,label,part,score,reason\n0,a,1,val,,held out\n7,b,0,train,.5,quota\n";
    let classes = b"class,name,size,recall,density,kept\n0,a,10,0.5,0.5,5\n1,b,10,,0,0\n";
    let scores = b"index,id,label,part,el2n,loss\n0,a,1,train,0.5,1e-3\n1,b,0,val,,inf\n";
    let attributed = b"index,id,label,part,attribute,el2n\n0,a,1,train,0,0.5\n1,b,0,out,1,\n";
    let groups = b"group,name,train_size,val_correct,val_total,recall,recall_sd\n3,a / b,9,,,.5,\n";
    let foreign = b"epoch,sample_id,aum\n7,train/b/1.png,0.5\n7,./x.png,-1e3\n";
    let ids = ["train/a/x.png", "train/b/1.png"].map(str::to_owned);
    run(&Target {
        name: "csv-tables",
        corpus: [&recalls[..], kept, dropped, classes, scores, attributed, groups, foreign]
            .map(<[u8]>::to_vec)
            .to_vec(),
        words: &[
            b",",
            b"\"",
            b"\n",
            b"NaN",
            b"inf",
            b"-1",
            b"\xff",
            b"index",
            b"sample_id",
            b"group",
            b"/",
            b"18446744073709551616",
        ],
        memory: Memory { fixed: 1 << 17, per_byte: 200 },
        repair: &none,
        read: &|bytes| {
            let path = scratch.with("x.csv", bytes);
            tables::read::<RecallRow>(&path).is_ok()
                | tables::read::<KeptRow>(&path).is_ok()
                | tables::read::<DroppedRow>(&path).is_ok()
                | tables::read::<KeptClassRow>(&path).is_ok()
                | ScoreTable::read(&path).is_ok()
                | tables::read::<GroupRecallRow>(&path).is_ok()
                | foreign::read_csv(&path, foreign::WantedColumns::default())
                    .and_then(|(_, rows)| foreign::by_name("x", &rows, &ids, &[0], ids.len() == 1))
                    .is_ok()
        },
    });
}

#[test]
fn weight_files() {
    let scratch = Scratch::new();
    let arch = Arch::CifarResnet(8);
    let spec = NetworkSpec { arch, width: 1, stem: Stem::Cifar, classes: 2, size: [8, 8] };
    let network = spec.build().unwrap();
    let classes = ["a \"b\"".to_owned(), "c".to_owned()];
    let metadata = WeightsMetadata::of(&spec, &classes, [0.1; 3], [0.2; 3], 7);
    let mut values = weights::Weights::default();
    for (name, shape) in weights::expected(&network).into_iter().take(6) {
        values.tensors.insert(name, fairprune::tensor::Tensor::zeros(&shape));
    }
    let torch = corpus::golden(&["resnet8_torch.safetensors"]).remove(0);
    run(&Target {
        name: "safetensors",
        corpus: vec![without_digest(weights::to_bytes(&values, &metadata).unwrap()), torch],
        words: &[
            b"\"shape\":[",
            b"\"data_offsets\":[",
            b"F64",
            b"BF16",
            b"U8",
            b"__metadata__",
            b"[0,",
            b"num_batches_tracked",
        ],
        memory: Memory { fixed: 1 << 18, per_byte: 64 },
        repair: &|bytes, mutator| {
            // A header length that ends at a brace lets the JSON be read.
            let end = bytes.iter().skip(8).take(6000).rposition(|&b| b == b'}');
            if let Some(end) = end.filter(|_| bytes.len() > 9 && mutator.once_in(2)) {
                bytes[..8].copy_from_slice(&(end as u64 + 1).to_le_bytes());
            }
        },
        read: &|bytes| {
            let path = scratch.with("x.safetensors", bytes);
            let job = checkpoint::load(&path, "job").is_ok();
            match weights::read(&path) {
                Ok((values, _)) => {
                    let _ = weights::check(&values, &network, "x");
                    true
                }
                Err(_) => job,
            }
        },
    });
}

#[test]
fn json_documents() {
    let scratch = Scratch::new();
    let data = DataIdentity {
        name: "a \"set\"".to_owned(),
        fingerprint: "0f".repeat(16),
        samples_fingerprint: None,
        size: None,
        samples: 5000,
        classes: 10,
        long_tail: None,
    };
    let method = MethodRecord {
        name: "el2n".to_owned(),
        variant: "mean over runs".to_owned(),
        direction: Some(KeptEnd::HigherFirst),
        hyper_parameters: [("split".to_owned(), serde_json::json!(["holdout", 1e-3, null]))]
            .into_iter()
            .collect(),
    };
    let stated = Provenance::new(data, vec![method], vec![1, 2]);
    let folder = scratch.path("run");
    let job = serde_json::json!({"seed": 1, "recipe": {"lr": 0.1}}).as_object().unwrap().clone();
    drop(OutputDir::claim(&folder, &job, Existing::Continue).unwrap());
    let claimed = Cell::new(0u32);
    run(&Target {
        name: "json",
        corpus: vec![
            serde_json::to_vec_pretty(&stated).unwrap(),
            fs::read(folder.join("job.json")).unwrap(),
        ],
        words: &[
            b"{",
            b"}",
            b"[",
            b"]",
            b"\"",
            b"null",
            b"1e999",
            b"\\ud800",
            b"\"format_version\": 1",
            b"-0",
        ],
        memory: Memory { fixed: 1 << 17, per_byte: 400 },
        repair: &none,
        read: &|bytes| {
            let path = scratch.with("x.json", bytes);
            let read = Provenance::read(&path).is_ok();
            // Claiming a folder syncs the disk: one input in fifty.
            claimed.set(claimed.get() + 1);
            let is_job = bytes
                .starts_with(b"{\n  \"format_version\": 1,\n  \"tool\": \"fairprune\",\n  \"job\"");
            if is_job && claimed.get() % 50 == 1 {
                fs::write(folder.join("job.json"), bytes).unwrap();
                let _ = OutputDir::claim(&folder, &job, Existing::Continue);
            }
            read | is_job
        },
    });
}

/// Weights as the first version of the program wrote them: a digest would refuse every mutation at once.
fn without_digest(mut bytes: Vec<u8>) -> Vec<u8> {
    for (old, new) in [("content_digest", "another_digest"), ("version\":\"2\"", "version\":\"1\"")]
    {
        let place = bytes.windows(old.len()).position(|w| w == old.as_bytes()).expect(old);
        bytes[place..place + old.len()].copy_from_slice(new.as_bytes());
    }
    bytes
}
