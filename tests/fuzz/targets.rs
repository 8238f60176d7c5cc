//! Here are the readers, each with inputs that it accepts and what it may cost. Those of data sets are in
//! this file, and those of what earlier jobs left behind are in `artefacts`.

mod artefacts;

use std::fs;
use std::io::Cursor;
use std::path::PathBuf;

use bytes::Bytes;
use fairprune::data::DecodeLimits;
use fairprune::data::cifar::pickle::Pickle;
use fairprune::data::cifar::{binary, python};
use fairprune::data::webdataset::shard;
use fairprune::data::{
    Format, LoadOptions, PartNames, cache, decode_image, groups, idx, imagenet, parquet, shapes,
    tiny_imagenet, wordnet,
};

use crate::corpus;
use crate::harness::{Memory, Target, run};
use crate::mutate::Mutator;

/// Bounds on images small enough that memory says something.
const LIMITS: DecodeLimits = DecodeLimits { side: 512, pixels: 1 << 16, file_bytes: 1 << 20 };

/// The same for the image decoders, which should meet images of some size.
const IMAGES: DecodeLimits = DecodeLimits { side: 4096, pixels: 1 << 22, file_bytes: 1 << 20 };

/// What a reader of text or of small structures may hold: some copies of its input.
const SMALL: Memory = Memory { fixed: 1 << 16, per_byte: 64 };

fn none(_: &mut Vec<u8>, _: &mut Mutator) {}

/// A file in memory where the system has such, for readers that want a path.
struct Scratch(tempfile::TempDir);

impl Scratch {
    fn new() -> Scratch {
        let memory = std::path::Path::new("/dev/shm");
        let folder = match memory.is_dir() {
            true => tempfile::tempdir_in(memory),
            false => tempfile::tempdir(),
        };
        Scratch(folder.unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// `bytes` under `name`.
    fn with(&self, name: &str, bytes: &[u8]) -> PathBuf {
        fs::write(self.path(name), bytes).unwrap();
        self.path(name)
    }
}

#[test]
fn pickles() {
    let names =
        [2, 3, 4, 5].map(|p| format!("cifar-protocol-{p}/cifar-10-batches-py/data_batch_1"));
    let mut corpus: Vec<Vec<u8>> = names.iter().map(|n| corpus::small_pickle(n)).collect();
    corpus.push(corpus::small_pickle("cifar-python/cifar-10-batches-py/test_batch"));
    corpus.extend(corpus::golden(&["formats/cifar-python/cifar-100-python/meta"]));
    run(&Target {
        name: "pickle",
        corpus,
        words: &[
            b"cnumpy\nndarray\n",
            b"cnumpy.core.multiarray\n_reconstruct\n",
            b"c_codecs\nencode\n",
            b"\x93",
            b"\x94",
            b"R",
            b"b",
            b"(",
            b"\x85",
            b"\x87",
            b"t",
            b"e",
            b"u",
            b"h\x01",
            b"q\x01",
            b"K\x00",
            b"\x8a\x04",
            b"T\xff\xff\xff\x7f",
            b"\x8e\xff\xff\xff\xff\x00\x00\x00\x00",
        ],
        memory: Memory { fixed: 1 << 16, per_byte: 300 },
        repair: &none,
        read: &|bytes| {
            let Ok(pickle) = Pickle::read(bytes, "x") else { return false };
            let batch = python::records(&pickle, "fine_labels", 100, "x").is_ok();
            let rows = pickle.rows("data", 12).is_ok_and(|(n, rows)| rows.len() == 12 * n);
            batch | rows | pickle.names("fine_label_names", 100).is_ok()
        },
    });
}

#[test]
fn cifar_binary() {
    let mut record = vec![7; 3073];
    record.extend([3; 3073]);
    run(&Target {
        name: "cifar-binary",
        corpus: vec![record],
        words: &[],
        memory: SMALL,
        repair: &none,
        read: &|bytes| binary::labels(bytes, 1, 10, "x").is_ok(),
    });
}

#[test]
fn idx_files() {
    let raw = corpus::golden(&[
        "formats/idx/MNIST/raw/t10k-images-idx3-ubyte",
        "formats/idx/MNIST/raw/t10k-labels-idx1-ubyte",
    ]);
    let small = [&[0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 3][..], &[5; 12]].concat();
    let mut all = vec![corpus::gzip(&small), corpus::gzip(&raw[1]), small];
    all.extend(raw);
    run(&Target {
        name: "idx",
        corpus: all,
        words: &[b"\x1f\x8b\x08", b"\x00\x00\x08\x03", b"\x00\x00\x08\x01"],
        // Deflate grows a thousandfold, and a vector doubles.
        memory: Memory { fixed: 1 << 18, per_byte: 2 * 1032 + 100 },
        // Half of the packed inputs are damaged before they are packed, not after.
        repair: &|bytes, mutator| {
            if !bytes.starts_with(&[0x1f, 0x8b]) && mutator.once_in(2) {
                *bytes = corpus::gzip(bytes);
            }
        },
        read: &|bytes| {
            idx::IdxImages::parse(bytes, LIMITS, "x").is_ok() | idx::labels(bytes, "x").is_ok()
        },
    });
}

/// Makes the checksums of a tar's headers right where the blocks still are.
fn tar_checksums(bytes: &mut [u8], mutator: &mut Mutator) {
    if mutator.once_in(4) {
        return;
    }
    for block in bytes.chunks_exact_mut(512) {
        if block[257..262] == *b"ustar" {
            block[148..156].fill(b' ');
            let sum: u32 = block.iter().map(|&b| u32::from(b)).sum();
            block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        }
    }
}

#[test]
fn tar_shards() {
    let mut all = corpus::golden(&["formats/webdataset-pax/only.tar"]);
    all.extend([corpus::shard(), corpus::shard()]);
    run(&Target {
        name: "tar",
        corpus: all,
        words: &[
            b"a.png",
            b"a.cls",
            b"././@LongLink",
            b"ustar\x0000",
            b"77777777777",
            b"30 path=a.png\n",
            b"\x80\xff",
        ],
        memory: Memory { fixed: 4 << 20, per_byte: 64 },
        repair: &|bytes, mutator| tar_checksums(bytes, mutator),
        read: &|bytes| {
            let rules = shard::ShardRules { limits: LIMITS, image_key: None };
            shard::index(Cursor::new(bytes), bytes.len() as u64, rules, "x").is_ok()
        },
    });
}

#[test]
fn parquet_files() {
    run(&Target {
        name: "parquet",
        corpus: corpus::golden(&[
            "formats/parquet-plain/all.parquet",
            "formats/parquet/data/validation-00000-of-00001.parquet",
            "formats/parquet/data/train-00001-of-00002.parquet",
            "formats/parquet/data/train-00000-of-00002.parquet",
        ]),
        words: &[b"PAR1", b"\x15\x00", b"\xff\xff\xff\xff\x0f", b"\x19\xfc", b"label", b"bytes"],
        // Pages of twice the largest image, unpacked, and the rows of a batch.
        memory: Memory { fixed: 16 << 20, per_byte: 400 },
        repair: &none,
        read: &|bytes| parquet::rows(Bytes::copy_from_slice(bytes), LIMITS, "x").is_ok(),
    });
}

/// Makes the checksums of a PNG's chunks right where the chunks still are.
fn png_checksums(bytes: &mut [u8], mutator: &mut Mutator) {
    if !bytes.starts_with(b"\x89PNG\r\n\x1a\n") || mutator.once_in(3) {
        return;
    }
    let mut at = 8;
    while let Some(head) = bytes.get(at..at + 8) {
        let length = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
        let end = at.saturating_add(8).saturating_add(length);
        if bytes.len() < 4 || end > bytes.len() - 4 {
            return;
        }
        let mut sum = flate2::Crc::new();
        sum.update(&bytes[at + 4..end]);
        bytes[end..end + 4].copy_from_slice(&sum.sum().to_be_bytes());
        at = end + 4;
    }
}

#[test]
fn images() {
    // Some of the variants are refused, or larger than what is allowed here.
    let read = |bytes: &[u8]| decode_image(bytes, IMAGES, "x").is_ok();
    let mut corpus = corpus::images();
    corpus.retain(|file| read(file));
    assert!(corpus.len() > 90, "{}", corpus.len());
    run(&Target {
        name: "image",
        corpus,
        words: &[
            b"\xff\xd8",
            b"\xff\xc2\x00\x11",
            b"\xff\xda",
            b"\xff\xdd\x00\x04",
            b"IDAT",
            b"iCCP",
            b"zTXt",
            b"PLTE",
            b"tRNS",
            b"RIFF",
            b"VP8L",
            b"ALPH",
            b"GIF89a",
            b"II*\0",
            b"P6 9 9 255\n",
        ],
        // Several images of the most pixels, as coefficients, and the decoders' tables.
        memory: Memory { fixed: 64 << 20, per_byte: 64 },
        repair: &|bytes, mutator| png_checksums(bytes, mutator),
        read: &read,
    });
}

#[test]
fn metadata_csv() {
    let birds = b"img_id,img_filename,y,split,place,place_filename\n1,a b/c.jpg,1,0,0,/f\n\
                  2,\"d,\"\"e.jpg\",0,2,1,/o\n3,f.jpg,0,1,0,/f\n";
    run(&Target {
        name: "metadata-csv",
        corpus: vec![birds.to_vec(), b"filename,y,split,a\r\nx.png,0,0,3\r\n".to_vec()],
        words: &[b",", b"\"", b"\n", b"../", b"/", b"\xff", b"split", b"99999"],
        memory: Memory { fixed: 1 << 24, per_byte: 100 },
        repair: &none,
        read: &|bytes| {
            let table = groups::MetadataTable::parse(bytes, &PartNames::default(), "x");
            table.is_ok_and(|t| t.names().0.len() < 100_001)
        },
    });
}

#[test]
fn lists_of_imagenet() {
    let wnids = ["n01440764", "n01443537", "n02012849"].map(str::to_owned);
    let images =
        ["ILSVRC2012_val_00000001.JPEG", "ILSVRC2012_val_00000002.JPEG"].map(str::to_owned);
    run(&Target {
        name: "imagenet-lists",
        corpus: [
            "val_0.JPEG\tn01443537\t0\t32\t44\t62\nval_1.JPEG\tn01440764\t1\t2\t3\t4\n",
            "n01440764\nn02012849\n",
            "490\n7\n",
            "ImageId,PredictionString\nILSVRC2012_val_00000002,n01443537 1 2 3 4\nILSVRC2012_val_00000001,n01440764 1\n",
            "ILSVRC2012_val_00000001.JPEG 2\nval/ILSVRC2012_val_00000002.JPEG n01440764\n",
            "n01440764 490 tench\nn01443537 7 goldfish, Carassius auratus\n",
        ]
        .map(|t| t.as_bytes().to_vec())
        .to_vec(),
        words: &[b"\t", b"\n", b" ", b",", b"n01440764", b"../", b"\xc3\xa9", b"\0"],
        memory: SMALL,
        repair: &none,
        read: &|bytes| {
            let Ok(text) = std::str::from_utf8(bytes) else { return false };
            let numbers = imagenet::devkit_numbers(text, "x");
            let known = numbers.as_ref().cloned().unwrap_or_default();
            let truth = imagenet::Truth::parse(text, "x");
            let labels = truth.as_ref().is_ok_and(|t| t.labels(&images, &wnids, &known, "x").is_ok());
            assert_eq!(wordnet::names_from(text, &wnids).len(), 3);
            tiny_imagenet::annotations(text, &wnids, "x").is_ok() | truth.is_ok() | labels | numbers.is_ok()
        },
    });
}

#[test]
fn cache_files() {
    let scratch = Scratch::new();
    let set = shapes::generate(Format::Shapes, 1, [1, 0, 1], &|_, _| ()).unwrap();
    let part = |p: fairprune::data::Part| fairprune::data::Part {
        images: p.images.iter().step_by(256).copied().collect(),
        attributes: p.labels.iter().map(|l| l % 2).collect(),
        ..p
    };
    // Ten images of 2 x 2, so that most changes meet the header.
    let contents = fairprune::data::Contents {
        classes: set.classes.clone(),
        size: (2, 2),
        train: part(set.train.clone()),
        test: set.test.clone().map(part),
        attributes: Some(fairprune::data::Attributes {
            name: "odd".to_owned(),
            values: vec!["no".to_owned(), "yes".to_owned()],
        }),
        ..Default::default()
    };
    let small = fairprune::data::DataSet::of("small", Format::Shapes, contents).unwrap();
    let source = cache::source("shapes", &small, &LoadOptions::default()).unwrap();
    let path = scratch.path("x.fpc");
    cache::write(&path, &small, source).unwrap();
    // The real start of a file, as a header alone.
    run(&Target {
        name: "cache",
        corpus: vec![fs::read(&path).unwrap()],
        words: &[
            b"\"images\":",
            b"null",
            b"18446744073709551615",
            b"\"part\":\"val\"",
            b"[",
            b"{",
            b"64",
        ],
        memory: SMALL,
        repair: &|bytes, mutator| {
            // Lengths that fit the file let the JSON be read.
            if bytes.len() > 64 && !mutator.once_in(4) {
                let length = (bytes.len() as u64).to_le_bytes();
                bytes[24..32].copy_from_slice(&length);
                let end = bytes.windows(2).rposition(|w| w == b"} " || w == b"}\0");
                if let Some(end) = end.filter(|&e| e > 64 && mutator.once_in(2)) {
                    bytes[16..24].copy_from_slice(&(end as u64 + 1 - 64).to_le_bytes());
                }
            }
        },
        read: &|bytes| {
            let Ok(header) = cache::Header::parse(bytes, bytes.len() as u64, "x") else {
                return false;
            };
            cache::assemble(header, Bytes::copy_from_slice(bytes), "x").is_ok()
        },
    });
}
