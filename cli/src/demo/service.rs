//! The small service that the demo looks at: a shop that answers on a socket,
//! with one handler that computes, one that blocks its worker, and one that is
//! as it should be.

use anyhow::Result;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// It ends by itself, so that nothing is left of it whatever happens to the
/// demo.
const LONGEST_LIFE: Duration = Duration::from_secs(120);

/// Runs the service until its standard input closes.
pub fn run() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(serve())?;
    // Handlers that block must not hold us up.
    runtime.shutdown_background();
    Ok(())
}

async fn serve() -> Result<()> {
    open_door(show_catalogue, 4).await?;
    open_door(price_everything, 2).await?;
    open_door(sign_in, 1).await?;
    println!("READY");
    io::stdout().flush()?;
    let closed = tokio::task::spawn_blocking(|| io::copy(&mut io::stdin(), &mut io::sink()));
    tokio::select! {
        _ = closed => {}
        () = tokio::time::sleep(LONGEST_LIFE) => {}
    }
    Ok(())
}

/// Opens a socket that `handler` answers on, and sends `visitors` to it.
async fn open_door<F>(handler: fn(TcpStream) -> F, visitors: usize) -> Result<()>
where
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(accept(listener, handler));
    for _ in 0..visitors {
        tokio::spawn(visit(address));
    }
    Ok(())
}

async fn accept<F>(listener: TcpListener, handler: fn(TcpStream) -> F)
where
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    while let Ok((connection, _)) = listener.accept().await {
        tokio::spawn(handler(connection));
    }
}

/// A visitor who asks for the same page again and again.
async fn visit(address: SocketAddr) {
    loop {
        if let Ok(mut connection) = TcpStream::connect(address).await
            && connection.write_u8(b'?').await.is_ok()
        {
            let _ = connection.read_u64().await;
        }
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
}

/// As it should be: a little work, and waiting that blocks nobody.
async fn show_catalogue(mut visitor: TcpStream) -> io::Result<()> {
    visitor.read_u8().await?;
    tokio::time::sleep(Duration::from_millis(2)).await;
    visitor.write_u64(render(Duration::from_micros(300))).await
}

/// Hungry: three milliseconds of computing for each request.
async fn price_everything(mut visitor: TcpStream) -> io::Result<()> {
    visitor.read_u8().await?;
    let prices = load_prices().await;
    let total = discount(prices, Duration::from_millis(3));
    visitor.write_u64(total).await
}

/// Wrong: it sleeps on the worker instead of awaiting, and everybody waits.
async fn sign_in(mut visitor: TcpStream) -> io::Result<()> {
    visitor.read_u8().await?;
    tokio::time::sleep(Duration::from_millis(150)).await;
    visitor.write_u64(check_password_slowly()).await
}

async fn load_prices() -> u64 {
    tokio::time::sleep(Duration::from_millis(4)).await;
    7
}

fn check_password_slowly() -> u64 {
    std::thread::sleep(Duration::from_millis(25));
    1
}

#[inline(never)]
fn render(length: Duration) -> u64 {
    compute(1, length)
}

#[inline(never)]
fn discount(prices: u64, length: Duration) -> u64 {
    compute(prices, length)
}

fn compute(seed: u64, length: Duration) -> u64 {
    let start = Instant::now();
    let mut value = seed;
    while start.elapsed() < length {
        for step in 0..512 {
            value = value
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(step);
        }
    }
    std::hint::black_box(value)
}
