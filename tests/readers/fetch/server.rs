//! This file holds a server on this machine that answers as a test tells it, and the answers that several
//! tests share.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// What a server does with a request: number from 0, and the first byte asked for.
pub type Answer = dyn Fn(usize, Option<u64>, &mut TcpStream) + Send + Sync;

/// A server on this machine, until it is dropped.
pub struct Server {
    pub url: String,
    /// The range of every request.
    asked: Arc<Mutex<Vec<Option<u64>>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub fn new(
        answer: impl Fn(usize, Option<u64>, &mut TcpStream) + Send + Sync + 'static,
    ) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/archive.tar.gz", listener.local_addr().unwrap());
        let (asked, stop) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let answer: Arc<Answer> = Arc::new(answer);
        let (seen, stopped) = (Arc::clone(&asked), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                let mut stream = stream.unwrap();
                let range = read_request(&mut stream);
                let number = seen.lock().unwrap().len();
                seen.lock().unwrap().push(range);
                answer(number, range, &mut stream);
            }
        });
        Server { url, asked, stop, thread: Some(thread) }
    }

    pub fn asked(&self) -> Vec<Option<u64>> {
        self.asked.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let host = self.url.trim_start_matches("http://").split('/').next().unwrap();
        let _ = TcpStream::connect(host);
        let _ = self.thread.take().unwrap().join();
    }
}

/// Reads a request's head; the first byte of its range, where it has one.
fn read_request(stream: &mut TcpStream) -> Option<u64> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && matches!(stream.read(&mut byte), Ok(1)) {
        head.push(byte[0]);
    }
    let text = String::from_utf8_lossy(&head).to_ascii_lowercase();
    let range = text.lines().find_map(|l| l.strip_prefix("range: bytes="))?;
    range.trim().trim_end_matches('-').parse().ok()
}

/// Answers with `body` from `start` on, of which only `send` bytes come.
pub fn serve(stream: &mut TcpStream, body: &[u8], start: Option<u64>, send: usize) {
    let from = start.unwrap_or(0) as usize;
    let rest = &body[from.min(body.len())..];
    let head = match start {
        Some(_) => format!(
            "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes {from}-{}/{}\r\n",
            body.len() - 1,
            body.len()
        ),
        None => "HTTP/1.1 200 OK\r\n".to_owned(),
    };
    let head = format!("{head}Content-Length: {}\r\nConnection: close\r\n\r\n", rest.len());
    let _ = stream.write_all(head.as_bytes());
    let _ = stream.write_all(&rest[..send.min(rest.len())]);
}

pub fn say(stream: &mut TcpStream, head: &str) {
    let _ = stream.write_all(
        format!("HTTP/1.1 {head}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").as_bytes(),
    );
}
