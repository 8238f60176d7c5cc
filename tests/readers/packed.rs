//! Hostile IDX, tar and Parquet files, and pickles.

use std::fs;
use std::io::Write;
use std::path::Path;

use fairprune::data::cifar::pickle::Pickle;
use fairprune::data::{self, DecodeLimits, Format, LoadOptions};
use flate2::Compression;
use flate2::write::GzEncoder;

use super::{GOOD, assert_has, load, png, put, quiet, refusal, tree};

pub fn idx(count: u32, rows: u32, columns: u32, pixels: &[u8]) -> Vec<u8> {
    let mut out = vec![0, 0, 8, 3];
    [count, rows, columns].iter().for_each(|n| out.extend(n.to_be_bytes()));
    out.extend(pixels);
    out
}

pub fn idx_labels(labels: &[u8]) -> Vec<u8> {
    let mut out = vec![0, 0, 8, 1];
    out.extend((labels.len() as u32).to_be_bytes());
    out.extend(labels);
    out
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = GzEncoder::new(Vec::new(), Compression::best());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

const IMAGES: &str = "train-images-idx3-ubyte";
const LABELS: &str = "train-labels-idx1-ubyte";

#[test]
fn idx_files_that_lie_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    let message = |images: &[u8], labels: &[u8]| {
        put(root, IMAGES, images);
        put(root, LABELS, labels);
        refusal(load(root, None))
    };
    let labels = idx_labels(&[1, 0]);
    assert_has(
        &message(&idx(2, 2, 2, &[5; 7]), &labels),
        &[IMAGES, "7 bytes after the header", "8, as the header says"],
    );
    assert_has(&message(&idx(2, 2, 2, &[5; 9]), &labels), &["more than 8 bytes"]);
    assert_has(
        &message(&idx(2, 2, 2, &[5; 8]), &idx_labels(&[1])),
        &[LABELS, "1 labels", "2, as many"],
    );
    assert_has(
        &message(&idx(u32::MAX, 16_384, 4_000, &[5; 8]), &labels),
        &["announces", "all that the file can hold"],
    );
    assert_has(&message(&idx(2, 0, 2, &[]), &labels), &["2x0 pixels"]);
    assert_has(&message(&idx(2, 20_000, 2, &[5; 8]), &labels), &["2x20000 pixels", "16384"]);
    assert_has(&message(&labels, &labels), &[IMAGES, "a start of", "3 axes"]);
    assert_has(&message(b"", &labels), &["an empty file", "fetch the file again"]);
    assert_has(&message(&[0, 0], &labels), &["damaged or truncated"]);
    assert_has(&message(&idx(0, 2, 2, &[]), &idx_labels(&[])), &["no training images"]);
    put(root, IMAGES, &idx(2, 2, 2, &[5; 8]));
    put(root, LABELS, &labels);
    assert_eq!(load(root, None).unwrap().train.labels, [1, 0]);
    // Half a test part.
    put(root, "t10k-labels-idx1-ubyte", &labels);
    assert_has(&refusal(load(root, None)), &["no images of the t10k part"]);
    put(root, "t10k-images-idx3-ubyte", &idx(2, 3, 2, &[5; 12]));
    assert_has(&refusal(load(root, None)), &["t10k", "2x3", "2x2 as in the training part"]);
    assert_eq!(load(root, Some(4)).unwrap().test.unwrap().len(), 2);
}

#[test]
fn gzip_that_grows_without_end_is_refused_before_it_grows() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    put(root, &format!("{LABELS}.gz"), &gzip(&idx_labels(&[1, 0])));
    // A hundred million zeros behind a header that announces eight bytes, and one that announces more
    // than gzip can unpack to.
    let name = format!("{IMAGES}.gz");
    put(root, &name, &gzip(&idx(2, 2, 2, &vec![0; 100_000_000])));
    assert_has(&refusal(load(root, None)), &[&name, "more than 8 bytes"]);
    put(root, &name, &gzip(&idx(60_000, 1000, 1000, &[0; 8])));
    assert_has(&refusal(load(root, None)), &["announces 60000000000 bytes"]);
    let whole = gzip(&idx(2, 2, 2, &[0; 8]));
    put(root, &name, &whole[..whole.len() - 12]);
    assert_has(&refusal(load(root, None)), &[&name, "damaged or truncated"]);
    put(root, &name, &whole);
    put(root, "classes.txt", b"one\n");
    assert_has(&refusal(load(root, None)), &["classes.txt", "1 class names", "at least 2"]);
    put(root, "classes.txt", b"one\ntwo\nthree\n");
    assert_eq!(load(root, None).unwrap().classes, ["one", "two", "three"]);
}

/// Members of an archive: name and content; a name that ends in `->` is a link to the content.
pub fn tar(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut out = tar::Builder::new(Vec::new());
    for (name, content) in members {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        if let Some(name) = name.strip_suffix("->") {
            header.set_entry_type(tar::EntryType::Symlink);
            header.set_size(0);
            out.append_link(&mut header, name, std::str::from_utf8(content).unwrap()).unwrap();
        } else {
            header.set_size(content.len() as u64);
            out.append_data(&mut header, name, *content).unwrap();
        }
    }
    out.into_inner().unwrap()
}

fn shard_message(bytes: &[u8]) -> String {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "train-0.tar", bytes);
    refusal(load(dir.path(), None))
}

#[test]
fn shards_with_bad_samples_are_refused_by_key() {
    let image = png(2, 2, [1; 3]);
    let message = |members: &[(&str, &[u8])]| shard_message(&tar(members));
    assert_has(&message(&[("a.png", &image)]), &["train-0.tar", "sample a", "no class", "KEY.cls"]);
    assert_has(&message(&[("a.cls", b"0")]), &["sample a", "no image"]);
    assert_has(
        &message(&[("a.cls", b"x"), ("a.png", &image)]),
        &["a.cls", "\"x\"", "whole number"],
    );
    assert_has(&message(&[("a.cls", b"4000000000"), ("a.png", &image)]), &["below 100000"]);
    assert_has(&message(&[("a.json", b"[1]"), ("a.png", &image)]), &["a.json", "no object"]);
    assert_has(&message(&[("a.json", b"{\"label\": -1}"), ("a.png", &image)]), &["a.json", "-1"]);
    assert_has(
        &message(&[("a.json", b"{\"other\": 1}"), ("a.png", &image)]),
        &["sample a", "no class"],
    );
    assert_has(
        &message(&[("a.png", &image), ("a.jpg", &image), ("a.cls", b"0")]),
        &["sample a", "two images"],
    );
    let twice: [(&str, &[u8]); 6] = [
        ("a.png", &image),
        ("a.cls", b"0"),
        ("b.png", &image),
        ("b.cls", b"0"),
        ("a.png", &image),
        ("a.cls", b"0"),
    ];
    assert_has(&message(&twice), &["sample a", "came before"]);
    assert_has(
        &message(&[("a.png->", b"/etc/passwd"), ("a.cls", b"0")]),
        &["sample a", "no image"],
    );
    assert_has(
        &message(&[("a.cls", b"0"), ("a.png", b"GIF89a")]),
        &["train-0.tar, sample a", "a damaged GIF file"],
    );
    assert_has(&message(&[("readme", b"x")]), &["no samples"]);
    let long = vec![b' '; 1 << 20];
    assert_has(&message(&[("a.png", &image), ("a.cls", &long)]), &["a.cls", "1048576 bytes"]);
    let good = tar(&[("a.cls", b"3"), ("a.json", b"{\"label\": 1}"), ("a.png", &image)]);
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "x.tar", &good);
    let set = load(&dir.path().join("x.tar"), None).unwrap();
    assert_eq!((&set.train.labels[..], set.classes.len()), (&[3][..], 4));
    let limits = DecodeLimits { file_bytes: 20, ..DecodeLimits::default() };
    let options = LoadOptions { limits, ..Default::default() };
    let spec = dir.path().join("x.tar");
    let text = refusal(data::load(spec.to_str().unwrap(), &options, &quiet));
    assert_has(&text, &["a.png", "at most 20 bytes"]);
}

#[test]
fn damaged_archives_are_refused() {
    let image = png(2, 2, [1; 3]);
    let good = tar(&[("a.cls", b"0"), ("a.png", &image)]);
    // The content of the last member is cut.
    assert_has(
        &shard_message(&good[..3 * 512 + 20]),
        &["train-0.tar", "a whole archive, not 1556 bytes"],
    );
    assert_has(&shard_message(b""), &["an empty file"]);
    assert_has(&shard_message(&gzip(&good)), &["a gzip file", "not compressed"]);
    let mut bad = good.clone();
    bad[0] ^= 1;
    assert_has(&shard_message(&bad), &["damaged archive"]);
    // A name that is announced with two gigabytes.
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::GNULongName);
    header.set_path("././@LongLink").unwrap();
    header.set_size(2 << 30);
    header.set_cksum();
    let mut bomb = header.as_bytes().to_vec();
    bomb.extend(vec![b'a'; 3 << 20]);
    assert_has(&shard_message(&bomb), &["a header or name of more than a million bytes"]);
    // A member that reaches beyond the number of bytes there are.
    let mut header = tar::Header::new_gnu();
    header.set_path("a.png").unwrap();
    header.set_size(u64::MAX / 2);
    header.set_cksum();
    assert_has(&shard_message(header.as_bytes()), &["train-0.tar"]);
    // No UTF-8.
    let mut header = tar::Header::new_gnu();
    header.as_mut_bytes()[..6].copy_from_slice(b"\xff\xfe.png");
    header.set_size(0);
    header.set_cksum();
    assert_has(&shard_message(header.as_bytes()), &["UTF-8"]);
}

#[test]
fn archives_beside_class_folders_are_no_shards() {
    let dir = tree(&GOOD);
    let image = png(2, 2, [1; 3]);
    let samples = tar(&[("a.cls", b"0"), ("a.png", &image), ("b.cls", b"1"), ("b.png", &image)]);
    for name in ["train.tar", "train/cat.tar"] {
        put(dir.path(), name, &samples);
    }
    put(dir.path(), "data/train-0.parquet", &plain_parquet());
    assert_eq!(load(dir.path(), None).unwrap().format, Format::ImageFolder);
    // The format can be forced, and shards may lie in folders called after the parts.
    let options = LoadOptions { format: Some(Format::Parquet), ..Default::default() };
    let forced = data::load(dir.path().to_str().unwrap(), &options, &quiet).unwrap();
    assert_eq!((forced.format, forced.train.len()), (Format::Parquet, 7));
    let dir = tempfile::tempdir().unwrap();
    for name in ["train/10.tar", "train/9.tar", "valid/0.tar"] {
        put(dir.path(), name, &samples);
    }
    let set = load(dir.path(), None).unwrap();
    assert_eq!(
        set.train.ids,
        ["train/9.tar:a", "train/9.tar:b", "train/10.tar:a", "train/10.tar:b"]
    );
    assert_eq!(set.test.unwrap().ids, ["valid/0.tar:a", "valid/0.tar:b"]);
}

#[test]
fn shards_without_labels_are_test_shards_only() {
    let dir = tempfile::tempdir().unwrap();
    let image = png(2, 2, [1; 3]);
    let labelled = tar(&[("a.cls", b"0"), ("a.png", &image), ("b.cls", b"1"), ("b.png", &image)]);
    put(dir.path(), "set-train-2.tar", &labelled);
    put(dir.path(), "set-train-3.tar", &labelled);
    put(dir.path(), "set-test-0.tar", &tar(&[("a.png", &image)]));
    let set = load(dir.path(), None).unwrap();
    assert!(
        set.test.is_none() && set.notes[0].contains("1 samples of the test shards"),
        "{:?}",
        set.notes
    );
    assert_eq!(
        set.train.ids,
        ["set-train-2.tar:a", "set-train-2.tar:b", "set-train-3.tar:a", "set-train-3.tar:b"]
    );
    put(dir.path(), "set-test-1.tar", &labelled);
    assert_has(&refusal(load(dir.path(), None)), &["set-test-0.tar, sample a", "no class"]);
    fs::remove_file(dir.path().join("set-test-0.tar")).unwrap();
    put(dir.path(), "set-val-0.tar", &labelled);
    let set = load(dir.path(), None).unwrap();
    assert_eq!((set.val.unwrap().len(), set.test.unwrap().len()), (2, 2));
    put(dir.path(), "more.tar", &labelled);
    assert_has(&refusal(load(dir.path(), None)), &["more.tar", "no part's name"]);
}

fn plain_parquet() -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/formats/parquet-plain");
    fs::read(folder.join("all.parquet")).unwrap()
}

#[test]
fn damaged_parquet_is_refused_and_limits_hold() {
    let whole = plain_parquet();
    let dir = tempfile::tempdir().unwrap();
    let load_bytes = |bytes: &[u8], limits: DecodeLimits| {
        put(dir.path(), "train-0.parquet", bytes);
        let options = LoadOptions { limits, ..Default::default() };
        data::load(dir.path().to_str().unwrap(), &options, &quiet)
    };
    assert_eq!(load_bytes(&whole, DecodeLimits::default()).unwrap().train.len(), 7);
    for length in [0, 3, 8, 100, whole.len() / 2, whole.len() - 1] {
        let text = refusal(load_bytes(&whole[..length], DecodeLimits::default()));
        let found = if length == 0 { "an empty file" } else { "damaged Parquet file" };
        assert_has(&text, &["train-0.parquet", found]);
    }
    let limits = DecodeLimits { file_bytes: 60, ..DecodeLimits::default() };
    assert_has(&refusal(load_bytes(&whole, limits)), &["train-0.parquet", "bytes, unpacked"]);
    let mut bad = whole.clone();
    // In the pages and in their statistics.
    let starts: Vec<usize> =
        (0..bad.len() - 8).filter(|&i| bad[i..].starts_with(b"\x89PNG\r\n\x1a\n")).collect();
    starts.into_iter().for_each(|at| bad[at] = b'x');
    assert_has(
        &refusal(load_bytes(&bad, DecodeLimits::default())),
        &["train-0.parquet, row 0", "a JPEG, PNG, WebP"],
    );
}

#[test]
fn pickles_that_would_run_something_are_refused_by_name() {
    let message = |bytes: &[u8]| refusal(Pickle::read(bytes, "p"));
    // os.system("id"), protocol 2; and the same with a name from the stack.
    assert_has(
        &message(b"\x80\x02cposix\nsystem\nU\x02id\x85R."),
        &["posix.system", "imported and perhaps run"],
    );
    assert_has(
        &message(b"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x02id\x85R."),
        &["posix.system"],
    );
    assert_has(&message(b"\x80\x02cnumpy\nsave\n."), &["numpy.save"]);
    // Instructions that CIFAR's files do not use: build any object, persistent id, extension.
    for code in [b'i', b'o', 0x81, 0x92, b'P', b'Q', 0x82, b'F', b'G', b'0'] {
        assert_has(&message(&[0x80, 2, b'(', code, b'.']), &["byte 4", "instruction"]);
    }
    assert_has(&message(b"\x80\x02U\xffabc."), &["255 bytes announced and 4 left"]);
    assert_has(&message(b"\x80\x02T\xff\xff\xff\xffabc."), &["bytes announced"]);
    assert_has(&message(b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\xffabc."), &["bytes announced"]);
    assert_has(&message(b"\x80\x06}."), &["protocol 6"]);
    assert_has(&message(b"\x80\x02}"), &["1 bytes announced and 0 left"]);
    assert_has(&message(b"\x80\x02]."), &["a pickle of something else"]);
    assert_has(&message(b"\x80\x02h\x07."), &["empty memory cell 7"]);
    assert_has(&message(b"\x80\x02."), &["an empty stack"]);
    assert_has(&message(b"\x80\x02}e."), &["items without a mark"]);
    let many = [&b"\x80\x02}("[..], &vec![b'N'; 3 << 20], b"t."].concat();
    assert_has(&message(&many), &["more than 2097152 values"]);
    let good =
        Pickle::read(b"\x80\x02}(U\x01aK\x05U\x01b](J\xff\xff\xff\xffK\x02eu.", "p").unwrap();
    assert_eq!(good.integers("b").unwrap(), [-1, 2]);
    assert_has(&refusal(good.integers("a")), &["p, \"a\"", "no list"]);
    assert_has(&refusal(good.integers("c")), &["p, \"c\"", "nothing"]);
}

#[test]
fn cifar_pickles_with_wrong_content_are_refused() {
    let source =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/formats/cifar-protocol-3");
    let source = source.join("cifar-10-batches-py/data_batch_1");
    let whole = fs::read(source).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let message = |bytes: &[u8]| {
        put(dir.path(), "data_batch_1", bytes);
        refusal(load(dir.path(), None))
    };
    let replaced = |from: &[u8], to: &[u8]| {
        let at = whole.windows(from.len()).position(|w| w == from).unwrap();
        [&whole[..at], to, &whole[at + from.len()..]].concat()
    };
    assert_has(&message(&whole[..whole.len() - 1]), &["data_batch_1, byte", "announced"]);
    assert_has(&message(&replaced(b"labels", b"lapels")), &["\"labels\"", "nothing"]);
    assert_has(
        &message(&replaced(b"\x04\x00\x00\x00data", b"\x04\x00\x00\x00date")),
        &["\"data\"", "nothing"],
    );
    assert_has(&message(&replaced(b"u1", b"i1")), &["unsigned bytes"]);
    assert_has(
        &message(&replaced(b"K\x01M\x00\x0c\x86", b"K\x02M\x00\x0c\x86")),
        &["3072 bytes for shape (2, 3072)"],
    );
    assert_has(&message(&replaced(b"K\x01M\x00\x0c\x86", b"K\x01M\x01\x0c\x86")), &["(1, 3073)"]);
    put(dir.path(), "data_batch_1", &whole);
    put(dir.path(), "data_batch_3", &whole);
    let text = refusal(load(dir.path(), None));
    assert_has(&text, &["2 files data_batch_…, without data_batch_2"]);
    fs::remove_file(dir.path().join("data_batch_3")).unwrap();
    put(dir.path(), "batches.meta", b"\x80\x02}U\x0blabel_names](U\x01aes.");
    assert_has(&refusal(load(dir.path(), None)), &["batches.meta", "a list of 1", "10 names"]);
}
