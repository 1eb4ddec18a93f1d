//! Timers, sockets, and what else a kernel makes a task wait for.

use crate::{FAR, spawn};
use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket, UnixDatagram, UnixStream, unix::pipe};
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{interval, sleep};
use truth::parked::{deadline, local, peer};

const ANY: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 0);

pub fn start() {
    spawn("sleep", sleeps());
    spawn("interval", ticks());
    spawn("accept", accepts());
    spawn("read", reads());
    spawn("readable", waits_until_readable());
    spawn("owned_half", reads_owned_half());
    spawn("borrowed_half", reads_borrowed_half());
    spawn("write", writes_to_the_brim());
    spawn("udp", receives_datagram());
    spawn("udp_connected", receives_from_one());
    spawn("unix", reads_unix());
    spawn("unix_datagram", receives_unix_datagram());
    spawn("pipe", reads_pipe());
    spawn("child", waits_for_child());
    spawn("signal", waits_for_signal());
    spawn("pending", waits_for_nothing());
}

async fn sleeps() {
    let hour = Duration::from_secs(3600);
    deadline("sleep", hour);
    sleep(hour).await; //~ await sleep 0 waits::leaves::sleeps | timer
}

/// The first tick comes at once.
async fn ticks() {
    let mut clock = interval(FAR);
    clock.tick().await;
    deadline("interval", FAR);
    clock.tick().await; //~ await interval 0 waits::leaves::ticks | timer
}

async fn accepts() {
    let listener = TcpListener::bind(ANY).await.expect("a listener");
    local("accept", listener.local_addr().expect("an address"));
    let _ = listener.accept().await; //~ await accept 0 waits::leaves::accepts | socket
}

/// Two ends of a connection, whose addresses become known for the leaf that has the
/// first.
async fn connection(leaf: &'static str) -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind(ANY).await.expect("a listener");
    let address = listener.local_addr().expect("an address");
    let ours = TcpStream::connect(address).await.expect("a connection");
    let (theirs, _) = listener.accept().await.expect("a connection");
    local(leaf, ours.local_addr().expect("an address"));
    peer(leaf, address);
    (ours, theirs)
}

async fn reads() {
    let (mut ours, theirs) = connection("read").await;
    let mut buffer = [0; 16];
    let _ = ours.read_exact(&mut buffer).await; //~ await read 0 waits::leaves::reads | socket
    drop(theirs);
}

async fn waits_until_readable() {
    let (ours, theirs) = connection("readable").await;
    let _ = ours.readable().await; //~ await readable 0 waits::leaves::waits_until_readable | socket
    drop(theirs);
}

async fn reads_owned_half() {
    let (ours, theirs) = connection("owned_half").await;
    let (mut read, write) = ours.into_split();
    let mut buffer = Vec::new();
    let _ = read.read_to_end(&mut buffer).await; //~ await owned_half 0 waits::leaves::reads_owned_half | socket
    drop((write, theirs));
}

async fn reads_borrowed_half() {
    let (mut ours, theirs) = connection("borrowed_half").await;
    let (mut read, write) = ours.split();
    let _ = read.read_u64().await; //~ await borrowed_half 0 waits::leaves::reads_borrowed_half | socket
    std::hint::black_box((&write, &theirs));
}

/// Nobody reads at the other end.
async fn writes_to_the_brim() {
    let (mut ours, theirs) = connection("write").await;
    let much = vec![0; 64 << 20];
    let _ = ours.write_all(&much).await; //~ await write 0 waits::leaves::writes_to_the_brim | socket
    drop(theirs);
}

async fn receives_datagram() {
    let socket = UdpSocket::bind(ANY).await.expect("a socket");
    local("udp", socket.local_addr().expect("an address"));
    let mut buffer = [0; 64];
    let _ = socket.recv_from(&mut buffer).await; //~ await udp 0 waits::leaves::receives_datagram | socket
}

async fn receives_from_one() {
    let socket = UdpSocket::bind(ANY).await.expect("a socket");
    let other = SocketAddr::from((Ipv4Addr::LOCALHOST, 9));
    socket.connect(other).await.expect("a peer");
    local("udp_connected", socket.local_addr().expect("an address"));
    peer("udp_connected", other);
    let mut buffer = [0; 64];
    let _ = socket.recv(&mut buffer).await; //~ await udp_connected 0 waits::leaves::receives_from_one | socket
}

async fn reads_unix() {
    let (mut ours, theirs) = UnixStream::pair().expect("two sockets");
    let mut buffer = [0; 8];
    let _ = ours.read(&mut buffer).await; //~ await unix 0 waits::leaves::reads_unix | socket
    drop(theirs);
}

async fn receives_unix_datagram() {
    let (ours, theirs) = UnixDatagram::pair().expect("two sockets");
    let mut buffer = [0; 8];
    let _ = ours.recv(&mut buffer).await; //~ await unix_datagram 0 waits::leaves::receives_unix_datagram | socket
    drop(theirs);
}

async fn reads_pipe() {
    let (read, write) = std::io::pipe().expect("a pipe");
    let file = File::from(OwnedFd::from(read));
    let mut read = pipe::Receiver::from_file(file).expect("an end of a pipe");
    let _ = read.read_u8().await; //~ await pipe 0 waits::leaves::reads_pipe | io/socket
    drop(write);
}

/// `cat` ends when we do: its standard input is ours to write.
async fn waits_for_child() {
    let mut command = Command::new("cat");
    command.stdin(Stdio::piped()).stdout(Stdio::null());
    let mut child = command.spawn().expect("cat");
    let stdin = child.stdin.take();
    let _ = child.wait().await; //~ await child 0 waits::leaves::waits_for_child | other/io
    drop(stdin);
}

async fn waits_for_signal() {
    let mut signals = signal(SignalKind::user_defined2()).expect("a signal");
    signals.recv().await; //~ await signal 0 waits::leaves::waits_for_signal | other/io
}

async fn waits_for_nothing() {
    std::future::pending::<()>().await; //~ await pending 0 waits::leaves::waits_for_nothing | other
}
