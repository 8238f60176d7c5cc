//! Downloads one file over HTTP. A download goes on where it stopped, and the file is checked
//! before anybody uses it.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use md5::{Digest, Md5};
use ureq::http::{Response, StatusCode, header};
use ureq::{Agent, Body};

use super::archive::Archive;
use super::patience::Patience;
use crate::artefact::input;
use crate::error::{Error, Result};

/// The ending of the name of an unfinished download.
const UNFINISHED: &str = ".part";

/// Number of bytes that are read at a time.
const CHUNK: usize = 1 << 16;

/// Why a try ended.
enum Stop {
    /// A stop that is worth another try: the connection failed, or a server is busy.
    Passing(String),
    /// A stop after which another try is of no use.
    Final(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Stop::Final(error)
    }
}

/// Downloads the archive to a file in `to`. Returns its path and the number of bytes that came this
/// time.
pub(super) fn download(
    archive: &Archive,
    url: &str,
    to: &Path,
    patience: Patience,
    progress: &dyn Fn(u64, u64),
) -> Result<(PathBuf, u64)> {
    let path = to.join(format!("{}.tar.gz{UNFINISHED}", archive.folder));
    let mut file = input::open_own(&path)?;
    if let Err(TryLockError::WouldBlock) = file.try_lock() {
        let what = path.display().to_string();
        return Err(Error::invalid(what, "another process that downloads it", "one at a time"));
    }
    let agent: Agent = Agent::config_builder()
        .timeout_resolve(Some(patience.connect))
        .timeout_connect(Some(patience.connect))
        .timeout_per_read(Some(patience.read))
        .http_status_as_error(false)
        .user_agent(concat!("fairprune/", env!("CARGO_PKG_VERSION")))
        .build()
        .into();
    let mut transfer = Transfer { archive, url, agent, path: &path, progress, came: 0 };
    let (mut fruitless, mut furthest) = (0, 0);
    loop {
        match transfer.attempt(&mut file) {
            Ok(()) => break,
            Err(Stop::Final(error)) => return Err(error),
            Err(Stop::Passing(reason)) => {
                // A server without ranges begins again each time, so that only bytes beyond the
                // farthest count as new.
                let have = file.metadata().map_err(Error::io(&path))?.len();
                fruitless = if have > furthest { 0 } else { fruitless + 1 };
                furthest = furthest.max(have);
                if fruitless >= patience.tries {
                    let mut expected = format!("{} bytes", archive.bytes);
                    if have == 0 {
                        fs::remove_file(&path).map_err(Error::io(&path))?;
                    } else {
                        let part = path.display();
                        expected += &format!(
                            "; {have} are in {part}, and the same command goes on from there"
                        );
                    }
                    let found = format!("{reason}, {fruitless} times in a row");
                    return Err(Error::invalid(url, found, expected));
                }
                std::thread::sleep(patience.pause);
            }
        }
    }
    check(archive, url, &mut file, &path)?;
    let came = transfer.came;
    Ok((path, came))
}

struct Transfer<'a> {
    archive: &'a Archive,
    url: &'a str,
    agent: Agent,
    path: &'a Path,
    progress: &'a dyn Fn(u64, u64),
    /// Number of bytes that came in all tries.
    came: u64,
}

impl Transfer<'_> {
    /// Asks for what is missing and writes what comes. The download is done when the file has all
    /// its bytes.
    fn attempt(&mut self, file: &mut File) -> Result<(), Stop> {
        let io = |e| Stop::Final(Error::io(self.path)(e));
        let mut have = file.metadata().map_err(io)?.len();
        if have > self.archive.bytes {
            file.set_len(0).map_err(io)?;
            have = 0;
        }
        if have == self.archive.bytes {
            return Ok(());
        }
        let mut request = self.agent.get(self.url);
        if have > 0 {
            request = request.header(header::RANGE, format!("bytes={have}-"));
        }
        let response = request.call().map_err(|e| self.failed(e))?;
        if response.status() == StatusCode::RANGE_NOT_SATISFIABLE && have > 0 {
            file.set_len(0).map_err(io)?;
            return Err(Stop::Passing("no such range".to_owned()));
        }
        let start = self.start(&response, have)?;
        // A server that knows no ranges begins again at the beginning.
        file.set_len(start).map_err(io)?;
        file.seek(SeekFrom::Start(start)).map_err(io)?;
        self.copy(response, file, start)
    }

    /// Returns where the bytes of the answer belong.
    fn start(&self, response: &Response<Body>, have: u64) -> Result<u64, Stop> {
        let wrong =
            |found: String, expected: &str| Stop::Final(Error::invalid(self.url, found, expected));
        let size = format!("an archive of {} bytes", self.archive.bytes);
        match response.status() {
            StatusCode::OK => match response.body().content_length() {
                Some(length) if length != self.archive.bytes => {
                    Err(wrong(format!("a file of {length} bytes"), &size))
                }
                _ => Ok(0),
            },
            StatusCode::PARTIAL_CONTENT => {
                let range = response.headers().get(header::CONTENT_RANGE);
                let range = range.and_then(|r| r.to_str().ok()).unwrap_or("");
                let (start, total) = content_range(range)
                    .ok_or_else(|| wrong(format!("the range {range:?}"), "the range asked for"))?;
                if total.is_some_and(|t| t != self.archive.bytes) {
                    return Err(wrong(format!("the range {range:?}"), &size));
                }
                match start == have {
                    true => Ok(start),
                    false => Err(wrong(format!("the range {range:?}"), "the range asked for")),
                }
            }
            status if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
                Err(Stop::Passing(format!("the answer {status}")))
            }
            status => {
                Err(wrong(format!("the answer {status}"), "the archive; `url` names another place"))
            }
        }
    }

    fn copy(&mut self, response: Response<Body>, file: &mut File, start: u64) -> Result<(), Stop> {
        let total = self.archive.bytes;
        let mut body = response.into_body().into_reader();
        let mut buffer = vec![0; CHUNK];
        let mut at = start;
        (self.progress)(at, total);
        while at < total {
            let most = (total - at).min(CHUNK as u64) as usize;
            let read = match body.read(&mut buffer[..most]) {
                Ok(0) => return Err(Stop::Passing(format!("the end after {at} of {total} bytes"))),
                Ok(n) => n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(Stop::Passing(format!("{e} after {at} of {total} bytes"))),
            };
            file.write_all(&buffer[..read]).map_err(Error::io(self.path))?;
            at += read as u64;
            self.came += read as u64;
            (self.progress)(at, total);
        }
        // One byte more would make it another file.
        match body.read(&mut buffer[..1]) {
            Ok(1..) => {
                file.set_len(0).map_err(Error::io(self.path))?;
                let found = format!("more than {total} bytes");
                Err(Error::invalid(self.url, found, format!("an archive of {total} bytes")).into())
            }
            _ => Ok(()),
        }
    }

    fn failed(&self, error: ureq::Error) -> Stop {
        match error {
            ureq::Error::Io(_)
            | ureq::Error::Timeout(_)
            | ureq::Error::ConnectionFailed
            | ureq::Error::Protocol(_) => Stop::Passing(error.to_string()),
            other => {
                let expected = "an address that can be reached; `url` names another one";
                Stop::Final(Error::invalid(self.url, other.to_string(), expected))
            }
        }
    }
}

/// Reads the first byte and the total of `bytes 5-9/10` or `bytes 5-9/*`.
fn content_range(text: &str) -> Option<(u64, Option<u64>)> {
    let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let start = range.split_once('-')?.0.trim().parse().ok()?;
    let total = match total.trim() {
        "*" => None,
        n => Some(n.parse().ok()?),
    };
    Some((start, total))
}

/// Holds the whole file against the checksum. Wrong bytes are removed, because no further byte can
/// mend them.
fn check(archive: &Archive, url: &str, file: &mut File, path: &Path) -> Result<()> {
    let mut hash = Md5::new();
    let mut buffer = vec![0; CHUNK];
    file.sync_all().and_then(|()| file.rewind()).map_err(Error::io(path))?;
    loop {
        match file.read(&mut buffer).map_err(Error::io(path))? {
            0 => break,
            n => hash.update(&buffer[..n]),
        }
    }
    let found: String = hash.finalize().iter().map(|b| format!("{b:02x}")).collect();
    if found == archive.md5 {
        return Ok(());
    }
    fs::remove_file(path).map_err(Error::io(path))?;
    Err(Error::invalid(
        url,
        format!("other bytes (MD5 {found}), which were removed"),
        format!("MD5 {}, as the authors of {} state it", archive.md5, archive.name),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_understood_or_not() {
        assert_eq!(content_range("bytes 5-9/10"), Some((5, Some(10))));
        assert_eq!(content_range("bytes 5-9/*"), Some((5, None)));
        for bad in ["", "bytes */10", "5-9/10", "bytes 5-9", "bytes x-9/10", "bytes 5-9/x"] {
            assert_eq!(content_range(bad), None, "{bad}");
        }
    }
}
