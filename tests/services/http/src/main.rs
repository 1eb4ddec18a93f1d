//! A small HTTP/1.1 service with keep-alive, to measure what a profiler costs it:
//! `GET /` works 20 µs and answers. `--only bare` does not measure its own polls.

use std::io;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use truth::control::{Args, serve};
use truth::{Measured, Meter, spin};

const ANSWER: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 6\r\n\r\nhello\n";

/// A request larger than this is refused.
const LONGEST_REQUEST: usize = 8192;

fn main() {
    let args = Args::read();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let listener = runtime
        .block_on(TcpListener::bind(("127.0.0.1", args.port())))
        .expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    let measured = args.wants("measured");
    runtime.spawn(accepts(listener, measured));
    serve(&args, "http", &[], &format!(" port={port}"))
}

async fn accepts(listener: TcpListener, measured: bool) {
    let meter = Meter::kind("http::connection");
    loop {
        // A client that is gone before it is accepted is not our failure.
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        if measured {
            meter.spawned();
            tokio::spawn(Measured::new(meter, connection(stream)));
        } else {
            tokio::spawn(connection(stream));
        }
    }
}

async fn connection(mut stream: TcpStream) {
    // A client that breaks off ends its connection, and no more.
    let _ = stream.set_nodelay(true);
    let _ = answers(&mut stream).await;
}

async fn answers(stream: &mut TcpStream) -> io::Result<()> {
    let mut request = Vec::with_capacity(1024);
    while read_request(stream, &mut request).await? {
        handle(&request);
        stream.write_all(ANSWER).await?;
    }
    Ok(())
}

/// Reads up to the blank line; false at the end of the connection.
async fn read_request(stream: &mut TcpStream, request: &mut Vec<u8>) -> io::Result<bool> {
    request.clear();
    loop {
        if stream.read_buf(request).await? == 0 {
            return Ok(false);
        }
        if request.ends_with(b"\r\n\r\n") {
            return Ok(true);
        }
        if request.len() > LONGEST_REQUEST {
            return Err(io::ErrorKind::InvalidData.into());
        }
    }
}

#[inline(never)]
fn handle(request: &[u8]) -> u64 {
    let spun = spin!(Duration::from_micros(20));
    spun + request.len() as u64
}
