//! An actix-web service with one good and two bad handlers, on two workers, each a
//! thread of its own; and clients that call them over the loopback.
//!
//! What is measured is the handlers' part of each poll: the task around it belongs
//! to actix.

use actix_web::{App, HttpServer, web};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;
use truth::control::{Args, serve};
use truth::{Measured, Meter, spin};

fn main() {
    let args = Args::read();
    let port = args.port();
    let (bound, address) = std::sync::mpsc::channel();
    thread::Builder::new()
        .name("server".into())
        .spawn(move || {
            let server = HttpServer::new(|| {
                App::new()
                    .route(
                        "/healthy",
                        web::get().to(|| measured("actix::healthy", healthy())),
                    )
                    .route(
                        "/hungry",
                        web::get().to(|| measured("actix::hungry", hungry())),
                    )
                    .route(
                        "/blocking",
                        web::get().to(|| measured("actix::blocking", blocking())),
                    )
            })
            .workers(2)
            .disable_signals()
            .bind(("127.0.0.1", port))
            .expect("a free port");
            bound.send(server.addrs()[0]).expect("main waits");
            actix_web::rt::System::new()
                .block_on(server.run())
                .expect("the server runs");
        })
        .expect("a thread");
    let address = address.recv().expect("the server starts");
    // Each path every so often: about a tenth of a core for the hungry one.
    start_client(address, "/healthy", Duration::from_millis(5));
    start_client(address, "/hungry", Duration::from_millis(30));
    start_client(address, "/blocking", Duration::from_millis(300));
    serve(
        &args,
        "actix",
        &[("src/main.rs", include_str!("main.rs"))],
        &format!(" port={}", address.port()),
    )
}

fn measured<F: Future>(kind: &'static str, handler: F) -> Measured<F> {
    let meter = Meter::kind(kind);
    meter.spawned();
    Measured::new(meter, handler)
}

async fn healthy() -> &'static str {
    actix_web::rt::time::sleep(Duration::from_millis(2)).await;
    "fine"
}

async fn hungry() -> String {
    let mut sum: u64 = 0;
    for _ in 0..2 {
        sum = sum.wrapping_add(parse());
        tokio::task::yield_now().await;
    }
    sum.to_string()
}

#[inline(never)]
fn parse() -> u64 {
    spin!(Duration::from_millis(2))
}

async fn blocking() -> &'static str {
    query();
    "late"
}

#[inline(never)]
fn query() {
    let time = Duration::from_millis(25);
    thread::sleep(time); //~ culprit actix::blocking syscall clock_nanosleep actix::query
    std::hint::black_box(time);
}

/// Calls a path over one connection, with a pause after each answer.
fn start_client(address: SocketAddr, path: &'static str, pause: Duration) {
    let call = move || {
        let result = keep_calling(address, path, pause);
        panic!("the client of {path} ended: {result:?}");
    };
    thread::Builder::new()
        .name("client".into())
        .spawn(call)
        .expect("a thread");
}

fn keep_calling(address: SocketAddr, path: &str, pause: Duration) -> io::Result<()> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    let mut answers = BufReader::new(stream.try_clone()?);
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n");
    loop {
        stream.write_all(request.as_bytes())?;
        read_answer(&mut answers)?;
        thread::sleep(pause);
    }
}

fn read_answer(answers: &mut impl BufRead) -> io::Result<()> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if answers.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if let Some(value) = line.strip_prefix("content-length: ") {
            length = value.trim().parse().unwrap_or(0);
        }
        if line == "\r\n" {
            return answers.read_exact(&mut vec![0; length]);
        }
    }
}
