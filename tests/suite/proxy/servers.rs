//! Servers that misbehave in one way each, on a port from the system, and count what they are sent.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// What a server does with a whole request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// Answers 200, or 500 to every `n`-th request if `n` is not 0.
    Answers { failing_every: u64 },
    /// Answers 200 after 200 ms.
    Slow,
    /// Answers 429.
    Refuses429,
    /// Closes with unread bytes, which sends a reset.
    Resets,
    /// Never answers.
    Hangs,
    /// Sends what is no HTTP.
    Garbage,
    /// Sends the head of a good answer, one byte every 20 ms.
    ByteByByte,
    /// Sends a good head and a body of 10 MB.
    TenMegabytes,
    /// Sends a head that never ends, as fast as it is taken.
    EndlessHead,
    /// Ends in the middle of the head.
    DiesInTheMiddle,
}

/// A server that runs until the test process ends.
#[derive(Debug, Clone)]
pub struct Server {
    pub address: SocketAddr,
    manner: Arc<Mutex<Manner>>,
    /// Whole requests, and connections, that came.
    requests: Arc<AtomicU64>,
    connections: Arc<AtomicU64>,
    /// Connections that are open now.
    open: Arc<AtomicU64>,
}

impl Server {
    pub fn start(manner: Manner) -> Self {
        Self::start_at(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), manner)
    }

    pub fn start_at(address: SocketAddr, manner: Manner) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let server = Self {
            address: listener.local_addr().unwrap(),
            manner: Arc::new(Mutex::new(manner)),
            requests: Arc::default(),
            connections: Arc::default(),
            open: Arc::default(),
        };
        let shared = server.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = shared.clone();
                thread::spawn(move || shared.serve(stream));
            }
        });
        server
    }

    /// Ten servers that always answer 200.
    pub fn ten_good() -> Vec<Self> {
        vec![Manner::Answers { failing_every: 0 }; 10].into_iter().map(Self::start).collect()
    }

    pub fn becomes(&self, manner: Manner) {
        *self.manner.lock().unwrap() = manner;
    }

    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::SeqCst)
    }

    pub fn connections(&self) -> u64 {
        self.connections.load(Ordering::SeqCst)
    }

    /// Connections that are open now.
    pub fn open(&self) -> u64 {
        self.open.load(Ordering::SeqCst)
    }

    fn serve(&self, mut stream: TcpStream) {
        self.connections.fetch_add(1, Ordering::SeqCst);
        self.open.fetch_add(1, Ordering::SeqCst);
        let manner = *self.manner.lock().unwrap();
        if manner == Manner::Resets {
            // One byte of the request is read, so it is counted as one; the rest makes the reset.
            if matches!(stream.read(&mut [0]), Ok(1)) {
                self.requests.fetch_add(1, Ordering::SeqCst);
            }
        } else if is_attempt(&mut stream) {
            let count = self.requests.fetch_add(1, Ordering::SeqCst) + 1;
            // The proxy may have given up on it.
            let _ = behave(manner, count, &mut stream);
        }
        drop(stream);
        self.open.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A port where nobody listens, and which nobody else gets meanwhile.
pub struct Closed(tokio::net::TcpSocket);

impl Closed {
    pub fn new() -> Self {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
        Self(socket)
    }

    pub fn address(&self) -> SocketAddr {
        self.0.local_addr().unwrap()
    }
}

fn behave(manner: Manner, count: u64, stream: &mut TcpStream) -> std::io::Result<()> {
    let head = |status: u32, length: usize| {
        format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\n\r\n").into_bytes()
    };
    match manner {
        Manner::Answers { failing_every } => {
            let fails = failing_every > 0 && count.is_multiple_of(failing_every);
            stream.write_all(&head(if fails { 500 } else { 200 }, 0))
        }
        Manner::Slow => {
            thread::sleep(Duration::from_millis(200));
            stream.write_all(&head(200, 0))
        }
        Manner::Refuses429 => stream.write_all(&head(429, 0)),
        Manner::Resets => Ok(()),
        // Until the other side closes.
        Manner::Hangs => stream.read(&mut [0]).map(drop),
        Manner::Garbage => stream.write_all(b"\0\xff no HTTP at all \r\n\r\n\r\n"),
        Manner::ByteByByte => {
            for byte in head(200, 0) {
                stream.write_all(&[byte])?;
                thread::sleep(Duration::from_millis(20));
            }
            Ok(())
        }
        Manner::TenMegabytes => {
            stream.write_all(&head(200, 10_000_000))?;
            (0..1000).try_for_each(|_| stream.write_all(&[b'x'; 10_000]))
        }
        Manner::EndlessHead => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nx: ")?;
            loop {
                stream.write_all(&[b'x'; 10_000])?;
            }
        }
        Manner::DiesInTheMiddle => {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-le")?;
            stream.shutdown(Shutdown::Both)
        }
    }
}

/// Reads a request and sees that it is one that the proxy may send.
fn is_attempt(stream: &mut TcpStream) -> bool {
    let (mut bytes, mut buffer) = (Vec::new(), [0; 1024]);
    loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let body = &bytes[end + 4..];
            if body.len() >= 24 {
                assert!(bytes.starts_with(b"POST / HTTP/1.1\r\n"));
                assert!(body.len() == 24 && body.iter().all(u8::is_ascii_alphanumeric));
                return true;
            }
        }
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return false,
            Ok(n) => bytes.extend(&buffer[..n]),
        }
    }
}
