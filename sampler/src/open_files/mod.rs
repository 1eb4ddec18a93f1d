//! What the open descriptors of a process are: which file, which socket, and between
//! whom.

mod network;

use crate::procfs::{Folder, read};
use network::Sockets;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fs;

/// Descriptors that are looked at. A process rarely has more than its limit of a
/// thousand, and a million is what `fs.nr_open` allows.
const MOST: usize = 1 << 20;
/// Epoll instances that are looked into. A runtime has one for each driver.
const MOST_POLLS: usize = 256;
/// What the list of one epoll instance is read up to: a line has some ninety bytes.
const POLL_LIMIT: u64 = 64 << 20;

/// An open descriptor of a process.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Descriptor {
    /// A socket.
    Socket(Socket),
    /// A file, a device or a folder, by its path in the process's own mount namespace.
    File(String),
    /// One end of a pipe.
    Pipe,
    /// What has no path: `eventfd`, `timerfd`, `signalfd`, `pidfd`, `inotify`.
    Other(String),
}

/// A socket.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Socket {
    /// What it speaks.
    pub protocol: Protocol,
    /// Its own address: `127.0.0.1:80`, or the path of a Unix socket.
    pub local: Option<String>,
    /// The other end's; none for one that listens, or is not connected.
    pub peer: Option<String>,
    /// Whether it takes connections.
    pub listening: bool,
}

/// What a socket speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// A Unix socket.
    Unix,
    /// Another, or one of another network namespace than the process is in now.
    Unknown,
}

impl Protocol {
    /// Its name, in small letters.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Unix => "unix",
            Self::Unknown => "socket",
        }
    }
}

/// All open descriptors of a process at a moment.
#[derive(Debug, Clone, Default)]
pub struct OpenFiles {
    files: HashMap<i32, Descriptor>,
    /// By `epoll_event.data`.
    registered: HashMap<u64, i32>,
}

impl OpenFiles {
    /// What a descriptor is.
    #[must_use]
    pub fn get(&self, descriptor: i32) -> Option<&Descriptor> {
        self.files.get(&descriptor)
    }

    /// Which descriptor an epoll instance of the process reports under this number.
    #[must_use]
    pub fn registered(&self, data: u64) -> Option<i32> {
        self.registered.get(&data).copied()
    }

    /// Reads them. While the list of an epoll instance is written, which takes a
    /// fraction of a microsecond for each descriptor in it, the process cannot add to it
    /// (`ep_show_fdinfo` of `fs/eventpoll.c` holds the instance's mutex).
    pub(crate) fn read(folder: &Folder) -> Self {
        let mut open = Self::default();
        let Ok(entries) = fs::read_dir(folder.path("fd")) else {
            return open;
        };
        let sockets = Sockets::read(|file| read(folder.path(file), network::LIMIT).ok());
        let mut polls = Vec::new();
        for entry in entries.flatten().take(MOST) {
            let number = entry
                .file_name()
                .to_str()
                .and_then(|name| name.parse().ok());
            let link = fs::read_link(entry.path());
            let (Some(number), Ok(link)) = (number, link) else {
                continue;
            };
            let link = link.to_string_lossy();
            if link == "anon_inode:[eventpoll]" && polls.len() < MOST_POLLS {
                polls.push(number);
            }
            open.files.insert(number, descriptor(&link, &sockets));
        }
        for poll in polls {
            let list = read(folder.path(format!("fdinfo/{poll}")), POLL_LIMIT);
            let list = list.unwrap_or_default();
            let list = String::from_utf8_lossy(&list);
            open.registered
                .extend(list.lines().filter_map(registration));
        }
        open
    }
}

/// What a link of `/proc/PID/fd` stands for (proc_pid_fd(5)).
fn descriptor(link: &str, sockets: &Sockets) -> Descriptor {
    let inode = |kind: &str| {
        let number = link.strip_prefix(kind)?.strip_prefix(":[")?;
        number.strip_suffix(']')?.parse::<u64>().ok()
    };
    if let Some(inode) = inode("socket") {
        return Descriptor::Socket(sockets.get(inode));
    }
    if inode("pipe").is_some() {
        return Descriptor::Pipe;
    }
    match link.strip_prefix("anon_inode:") {
        Some(name) => {
            let bare = name.trim_start_matches('[').trim_end_matches(']');
            Descriptor::Other(bare.to_owned())
        }
        None => Descriptor::File(link.to_owned()),
    }
}

/// `tfd:        4 events:       1f data:                4  pos:0 ino:22e018 sdev:f`, the
/// data in hexadecimal (`ep_show_fdinfo`).
fn registration(line: &str) -> Option<(u64, i32)> {
    let mut words = line.strip_prefix("tfd:")?.split_ascii_whitespace();
    let descriptor = words.next()?.parse().ok()?;
    words.find(|word| *word == "data:")?;
    let data = u64::from_str_radix(words.next()?, 16).ok()?;
    Some((data, descriptor))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Pid;
    use crate::process::Process;
    use std::net::{TcpListener, TcpStream, UdpSocket};
    use std::os::fd::AsRawFd;
    use std::os::unix::net::{UnixListener, UnixStream};

    fn ours() -> OpenFiles {
        let process = crate::LiveProcess::open(Pid(std::process::id())).expect("ourselves");
        process.open_files().expect("our own descriptors")
    }

    fn socket(open: &OpenFiles, of: &impl AsRawFd) -> Socket {
        match open.get(of.as_raw_fd()) {
            Some(Descriptor::Socket(socket)) => socket.clone(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn sockets_have_the_addresses_of_both_ends() {
        for host in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(listener) = TcpListener::bind(host) else {
                assert_eq!(
                    host, "[::1]:0",
                    "there may be no IPv6 here, but there is IPv4"
                );
                continue;
            };
            let here = listener.local_addr().expect("an address");
            let client = TcpStream::connect(here).expect("a connection");
            let there = client.local_addr().expect("an address");
            let open = ours();
            assert_eq!(
                socket(&open, &client),
                Socket {
                    protocol: Protocol::Tcp,
                    local: Some(there.to_string()),
                    peer: Some(here.to_string()),
                    listening: false,
                }
            );
            let listening = socket(&open, &listener);
            assert_eq!(listening.local, Some(here.to_string()));
            assert_eq!((listening.peer, listening.listening), (None, true));
        }
        let unconnected = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let found = socket(&ours(), &unconnected);
        assert_eq!((found.protocol, found.peer), (Protocol::Udp, None));
    }

    #[test]
    fn a_unix_socket_is_known_by_its_path() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a socket");
        let listener = UnixListener::bind(&path).expect("bound");
        let client = UnixStream::connect(&path).expect("connected");
        let (server, _) = listener.accept().expect("accepted");
        let open = ours();
        let path = Some(path.to_string_lossy().into_owned());
        let listening = socket(&open, &listener);
        assert_eq!((listening.local, listening.listening), (path.clone(), true));
        assert_eq!(socket(&open, &server).local, path);
        assert_eq!(socket(&open, &client).protocol, Protocol::Unix);
        assert_eq!(socket(&open, &client).local, None);
    }

    #[test]
    fn files_and_pipes_are_told_apart() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let (read, _write) = std::io::pipe().expect("a pipe");
        let open = ours();
        let path = file.path().to_string_lossy().into_owned();
        let found = open.get(file.as_file().as_raw_fd());
        assert_eq!(found, Some(&Descriptor::File(path)));
        assert_eq!(open.get(read.as_raw_fd()), Some(&Descriptor::Pipe));
        assert_eq!(open.get(-1), None);
    }

    #[test]
    fn what_epoll_reports_leads_to_the_descriptor() {
        use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};
        let (read, _write) = std::io::pipe().expect("a pipe");
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).expect("an instance");
        let data = 0xdead_beef_0000_1111;
        let event = EpollEvent::new(EpollFlags::EPOLLIN, data);
        epoll.add(&read, event).expect("added");
        let open = ours();
        assert_eq!(open.registered(data), Some(read.as_raw_fd()));
        assert_eq!(open.registered(data + 1), None);
    }

    #[test]
    fn a_line_that_is_something_else_registers_nothing() {
        assert_eq!(registration("pos:\t0"), None);
        assert_eq!(registration("tfd: x events: 1 data: 4"), None);
        assert_eq!(registration("tfd: 3 events: 1 data:"), None);
        assert_eq!(
            registration("tfd: 3 events: 1 data: ff pos:0"),
            Some((255, 3))
        );
    }
}
