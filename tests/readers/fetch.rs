//! This file tests fetching from servers of every kind: obedient, forgetful, broken, lying. The server
//! itself is in `server`.

mod server;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, Instant};

use fairprune::data::fetch::{Archive, Fetched, Patience, fetch};
use fairprune::error::Result;
use flate2::Compression;
use flate2::write::GzEncoder;
use md5::{Digest, Md5};

use super::{assert_has, refusal};
use server::{Answer, Server, say, serve};

const PATIENCE: Patience = Patience {
    connect: Duration::from_secs(5),
    read: Duration::from_millis(300),
    pause: Duration::from_millis(1),
    tries: 3,
};

#[derive(Clone, Copy)]
enum Member<'a> {
    File(&'a str, &'a [u8]),
    Link(&'a str, &'a str),
}

fn packed(members: &[Member]) -> Vec<u8> {
    let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for member in members {
        let mut header = tar::Header::new_ustar();
        header.set_mode(0o644);
        match member {
            Member::File(name, content) => {
                header.set_size(content.len() as u64);
                // Names as hostile people write them, which the builder would refuse.
                header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
                header.set_cksum();
                tar.append(&header, *content).unwrap();
            }
            Member::Link(name, target) => {
                header.set_entry_type(tar::EntryType::Symlink);
                header.set_size(0);
                tar.append_link(&mut header, name, target).unwrap();
            }
        }
    }
    tar.into_inner().unwrap().finish().unwrap()
}

/// A small set of two files, and what is known of its archive.
fn archive(bytes: &[u8]) -> Archive {
    let md5: String = Md5::digest(bytes).iter().map(|b| format!("{b:02x}")).collect();
    Archive {
        name: "small",
        url: "http://127.0.0.1:9/none",
        md5: Box::leak(md5.into_boxed_str()),
        bytes: bytes.len() as u64,
        folder: "small-set",
        files: &["a.bin", "b.bin"],
        file_bytes: 100_000,
    }
}

/// Bytes that pack badly, so that the archive has some length.
fn noise(n: usize) -> Vec<u8> {
    let mut state = 1u32;
    std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    })
    .take(n)
    .collect()
}

fn good() -> Vec<u8> {
    let noise = noise(90_000);
    let a = Member::File("small-set/a.bin", &noise);
    packed(&[
        a,
        Member::File("small-set/readme.html", b"hello"),
        Member::File("./small-set/b.bin", b"bb"),
    ])
}

fn run(server: &Server, bytes: &[u8], to: &Path) -> Result<Fetched> {
    fetch(&archive(bytes), Some(&server.url), to, PATIENCE, &|done, all| assert!(done <= all))
}

fn part(to: &Path) -> std::path::PathBuf {
    to.join("small-set.tar.gz.part")
}

fn check_whole(to: &Path) {
    assert_eq!(fs::read(to.join("small-set/a.bin")).unwrap(), noise(90_000));
    assert_eq!(fs::read(to.join("small-set/b.bin")).unwrap(), b"bb");
    let names: Vec<_> = fs::read_dir(to).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names, ["small-set"]);
    assert!(!to.join("small-set/readme.html").exists());
}

#[test]
fn an_obedient_server_is_asked_once_and_a_whole_set_not_at_all() {
    let place = tempfile::tempdir().unwrap();
    let to = place.path().join("new/sets");
    let body = good();
    let server = Server::new({
        let body = body.clone();
        move |_, start, stream| serve(stream, &body, start, usize::MAX)
    });
    let fetched = run(&server, &body, &to).unwrap();
    assert_eq!((fetched.was_there, fetched.downloaded), (false, body.len() as u64));
    check_whole(&to);
    assert!(run(&server, &body, &to).unwrap().was_there);
    assert_eq!(server.asked(), [None]);
    // A set that lost a file is fetched again, but nothing is mixed into the rest of it.
    fs::remove_file(to.join("small-set/b.bin")).unwrap();
    let text = refusal(run(&server, &body, &to));
    assert_has(&text, &["small-set", "without b.bin", "remove it"]);
    assert_eq!(server.asked(), [None]);
}

#[test]
fn a_download_that_stops_goes_on_where_it_was() {
    let place = tempfile::tempdir().unwrap();
    let body = good();
    let server = Server::new({
        let body = body.clone();
        move |_, start, stream| serve(stream, &body, start, 30_000)
    });
    let fetched = run(&server, &body, place.path()).unwrap();
    assert_eq!(fetched.downloaded, body.len() as u64);
    let expected: Vec<Option<u64>> =
        (0..body.len().div_ceil(30_000)).map(|i| (i > 0).then_some(30_000 * i as u64)).collect();
    assert_eq!(server.asked(), expected);
    check_whole(place.path());
}

#[test]
fn a_server_that_ignores_ranges_starts_again_from_the_first_byte() {
    let place = tempfile::tempdir().unwrap();
    let body = good();
    let server = Server::new({
        let body = body.clone();
        move |number, _, stream| serve(stream, &body, None, [50_000, usize::MAX][number.min(1)])
    });
    run(&server, &body, place.path()).unwrap();
    assert_eq!(server.asked(), [None, Some(50_000)]);
    check_whole(place.path());
}

#[test]
fn a_server_that_always_stops_is_given_up_and_what_came_is_kept() {
    let place = tempfile::tempdir().unwrap();
    let body = good();
    // Without ranges it stops at the same byte each time: nothing new ever comes.
    let server = Server::new({
        let body = body.clone();
        move |_, _, stream| serve(stream, &body, None, 40_000)
    });
    let text = refusal(run(&server, &body, place.path()));
    assert_has(&text, &["3 times in a row", "40000 are in", "goes on from there"]);
    assert_eq!(server.asked().len(), 4);
    assert_eq!(fs::metadata(part(place.path())).unwrap().len(), 40_000);
    assert!(!place.path().join("small-set").exists());
    // Another call, a better server: only the rest is asked for.
    let better = Server::new({
        let body = body.clone();
        move |_, start, stream| serve(stream, &body, start, usize::MAX)
    });
    let fetched = run(&better, &body, place.path()).unwrap();
    assert_eq!(fetched.downloaded, body.len() as u64 - 40_000);
    assert_eq!(better.asked(), [Some(40_000)]);
    check_whole(place.path());
}

#[test]
fn a_server_that_falls_silent_is_not_waited_for() {
    let place = tempfile::tempdir().unwrap();
    let body = good();
    let server = Server::new({
        let body = body.clone();
        move |number, start, stream| {
            serve(stream, &body, start, if number == 0 { 1000 } else { 0 });
            // The connection stays open and nothing comes, for longer than anybody should wait.
            let _ = stream.set_read_timeout(Some(Duration::from_secs(30)));
            let _ = stream.read(&mut [0; 16]);
        }
    });
    let start = Instant::now();
    let text = refusal(run(&server, &body, place.path()));
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    assert_has(&text, &["timeout", "1000 are in", "3 times in a row"]);
    assert_eq!(server.asked(), [None, Some(1000), Some(1000), Some(1000)]);
}

#[test]
fn wrong_bytes_are_removed_and_nothing_is_unpacked() {
    let place = tempfile::tempdir().unwrap();
    let body = good();
    let mut wrong = body.clone();
    wrong[1000] ^= 1;
    let server = Server::new(move |_, start, stream| serve(stream, &wrong, start, usize::MAX));
    let text = refusal(run(&server, &body, place.path()));
    assert_has(&text, &["other bytes (MD5", "removed", archive(&body).md5]);
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0);
}

#[test]
fn wrong_sizes_and_answers_are_refused() {
    let place = tempfile::tempdir().unwrap();
    let body = good();
    let total = body.len();
    let message = |answer: Box<Answer>| {
        let server = Server::new(answer);
        refusal(run(&server, &body, place.path()))
    };
    let text = message(Box::new(|_, _, stream| serve(stream, b"<html>", None, usize::MAX)));
    assert_has(&text, &["a file of 6 bytes", &format!("{total} bytes")]);
    // Without a length, and longer than it should be.
    let mut long = body.clone();
    long.push(0);
    let text = message(Box::new(move |_, _, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
        let _ = stream.write_all(&long);
    }));
    assert_has(&text, &[&format!("more than {total} bytes")]);
    assert_eq!(fs::metadata(part(place.path())).unwrap().len(), 0);
    assert_has(&message(Box::new(|_, _, s| say(s, "404 Not Found"))), &["404", "`url`"]);
    assert_has(&message(Box::new(|_, _, s| say(s, "503 Busy"))), &["503", "3 times in a row"]);
    assert_has(
        &message(Box::new(|_, _, s| drop(s.write_all(b"nonsense\r\n\r\n")))),
        &["3 times in a row"],
    );
    // A range that was not asked for.
    fs::write(part(place.path()), &body[..500]).unwrap();
    let text = message(Box::new(move |_, _, stream| {
        let head = format!("206 Partial Content\r\nContent-Range: bytes 0-9/{total}");
        say(stream, &head);
    }));
    assert_has(&text, &["bytes 0-9/", "the range asked for"]);
    fs::remove_file(part(place.path())).unwrap();
    // Nobody there, and no such scheme.
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (url, word) in
        [(format!("http://{nobody}/x"), "in a row"), ("ftp://x/y".to_owned(), "ftp://x/y")]
    {
        let text = refusal(fetch(&archive(&body), Some(&url), place.path(), PATIENCE, &|_, _| ()));
        assert_has(&text, &[word]);
    }
}

#[test]
fn busy_servers_stale_parts_and_redirects_are_coped_with() {
    let place = tempfile::tempdir().unwrap();
    let body = good();
    // More than the archive has lies there from something else; a server first busy, then moved.
    fs::write(part(place.path()), vec![7; body.len() + 5]).unwrap();
    let server = Server::new({
        let body = body.clone();
        move |number, start, stream| match number {
            0 => say(stream, "503 Busy"),
            1 => say(stream, "302 Found\r\nLocation: /elsewhere"),
            _ => serve(stream, &body, start, usize::MAX),
        }
    });
    run(&server, &body, place.path()).unwrap();
    assert_eq!(server.asked(), [None, None, None]);
    check_whole(place.path());
    // A server that says the range cannot be: from the first byte, then.
    fs::remove_dir_all(place.path().join("small-set")).unwrap();
    fs::write(part(place.path()), &body[..500]).unwrap();
    let server = Server::new({
        let body = body.clone();
        move |_, start, stream| match start {
            Some(_) => say(stream, "416 Range Not Satisfiable"),
            None => serve(stream, &body, None, usize::MAX),
        }
    });
    run(&server, &body, place.path()).unwrap();
    check_whole(place.path());
}

#[test]
fn archives_with_other_content_are_refused_whole() {
    let message = |members: &[Member]| {
        let place = tempfile::tempdir().unwrap();
        let body = packed(members);
        let server = Server::new({
            let body = body.clone();
            move |_, start, stream| serve(stream, &body, start, usize::MAX)
        });
        let outcome = run(&server, &body, place.path());
        let outside = place.path().parent().unwrap().join("fairprune-escaped.bin");
        assert!(!outside.exists());
        if outcome.is_err() {
            let left: Vec<_> =
                fs::read_dir(place.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
            assert_eq!(left, ["small-set.tar.gz.part"]);
        }
        outcome
    };
    let (a, b) = (Member::File("small-set/a.bin", b"a"), Member::File("small-set/b.bin", b"b"));
    assert_has(&refusal(message(&[Member::File("small-set/a.bin", b"a")])), &["no b.bin"]);
    let large = vec![0; 100_001];
    let text = refusal(message(&[
        Member::File("small-set/a.bin", &large),
        Member::File("small-set/b.bin", b"b"),
    ]));
    assert_has(&text, &["a.bin of 100001 bytes"]);
    let text = refusal(message(&[
        Member::Link("small-set/a.bin", "/etc/passwd"),
        Member::File("small-set/b.bin", b"b"),
    ]));
    assert_has(&text, &["a.bin, which is no regular file"]);
    let twice = Member::File("small-set/a.bin", b"other");
    assert_has(
        &refusal(message(&[Member::File("small-set/a.bin", b"a"), twice])),
        &["a.bin twice"],
    );
    // Names that lead elsewhere are errors, whatever else is there.
    let escape = Member::File("../fairprune-escaped.bin", b"x");
    assert_has(&refusal(message(&[escape, a, b])), &["../fairprune-escaped.bin"]);
    let absolute = Member::File("/tmp/fairprune-escaped.bin", b"x");
    assert_has(&refusal(message(&[a, b, absolute])), &["/tmp/fairprune-escaped.bin"]);
    let zeros = vec![0; 40_000_000];
    let bomb = Member::File("small-set/other.bin", &zeros);
    let text = refusal(message(&[bomb, Member::File("small-set/a.bin", b"a")]));
    assert_has(&text, &["damaged archive"]);
}
