//! The tables of sockets in `/proc/PID/net`, which are those of the process's own
//! network namespace (proc_pid_net(5)).

use super::{Protocol, Socket};
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// What one table is read up to: 150 bytes for each of four hundred thousand sockets.
pub(super) const LIMIT: u64 = 64 << 20;

/// `TCP_LISTEN` of `include/net/tcp_states.h`.
const LISTEN: u8 = 10;
/// `__SO_ACCEPTCON` of `include/linux/net.h`.
const ACCEPTS: u32 = 1 << 16;

/// All sockets of a network namespace, by inode.
#[derive(Debug, Default)]
pub(super) struct Sockets {
    by_inode: HashMap<u64, Socket>,
}

impl Sockets {
    /// Reads all tables by means of `read`.
    pub(super) fn read(read: impl Fn(&str) -> Option<Vec<u8>>) -> Self {
        let mut sockets = Self::default();
        let tables = [
            ("net/tcp", Protocol::Tcp),
            ("net/tcp6", Protocol::Tcp),
            ("net/udp", Protocol::Udp),
            ("net/udp6", Protocol::Udp),
        ];
        for (file, protocol) in tables {
            let table = read(file).unwrap_or_default();
            let table = String::from_utf8_lossy(&table);
            let found = table.lines().filter_map(|line| internet(line, protocol));
            sockets.by_inode.extend(found);
        }
        let table = read("net/unix").unwrap_or_default();
        let table = String::from_utf8_lossy(&table);
        sockets.by_inode.extend(table.lines().filter_map(unix));
        sockets
    }

    pub(super) fn get(&self, inode: u64) -> Socket {
        self.by_inode.get(&inode).cloned().unwrap_or(Socket {
            protocol: Protocol::Unknown,
            local: None,
            peer: None,
            listening: false,
        })
    }
}

/// `0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 624 …`
/// (`get_tcp4_sock` of `net/ipv4/tcp_ipv4.c`). Sockets that are closing have inode 0.
fn internet(line: &str, protocol: Protocol) -> Option<(u64, Socket)> {
    let mut words = line.split_ascii_whitespace().skip(1);
    let local = address(words.next()?)?;
    let peer = address(words.next()?)?;
    let state = u8::from_str_radix(words.next()?, 16).ok()?;
    let inode = words.nth(5)?.parse().ok().filter(|inode| *inode != 0)?;
    let socket = Socket {
        protocol,
        local: Some(local.to_string()),
        peer: (peer.port() != 0).then(|| peer.to_string()),
        listening: protocol == Protocol::Tcp && state == LISTEN,
    };
    Some((inode, socket))
}

/// An address as words of 32 bits in hexadecimal, each in the byte order of the
/// processor (which is little-endian on all that `arch` knows), and a port.
fn address(text: &str) -> Option<SocketAddr> {
    let (host, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |index: usize| {
        let digits = host.get(8 * index..8 * index + 8)?;
        u32::from_str_radix(digits, 16).ok().map(u32::to_le_bytes)
    };
    let host = match host.len() {
        8 => IpAddr::V4(Ipv4Addr::from(word(0)?)),
        32 => {
            let mut bytes = [0; 16];
            for (index, four) in bytes.chunks_exact_mut(4).enumerate() {
                four.copy_from_slice(&word(index)?);
            }
            Ipv6Addr::from(bytes).to_canonical()
        }
        _ => return None,
    };
    Some(SocketAddr::new(host, port))
}

/// `00000000a8: 00000002 00000000 00010000 0001 01 21583 /run/a socket`
/// (`unix_seq_show` of `net/unix/af_unix.c`). An abstract one begins with `@`.
fn unix(line: &str) -> Option<(u64, Socket)> {
    let mut words = line.splitn(8, ' ').filter(|word| !word.is_empty());
    let flags = u32::from_str_radix(words.nth(3)?, 16).ok()?;
    let rest = line.splitn(7, ' ').nth(6)?.trim_start();
    let (inode, path) = rest.split_once(' ').unwrap_or((rest, ""));
    let socket = Socket {
        protocol: Protocol::Unix,
        local: (!path.is_empty()).then(|| path.to_owned()),
        peer: None,
        listening: flags & ACCEPTS != 0,
    };
    Some((inode.parse().ok()?, socket))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn addresses_are_read_in_the_order_of_the_processor() {
        let read = |text: &str| address(text).map(|address| address.to_string());
        assert_eq!(read("0100007F:1F90").as_deref(), Some("127.0.0.1:8080"));
        let loopback = "00000000000000000000000001000000:0050";
        assert_eq!(read(loopback).as_deref(), Some("[::1]:80"));
        let mapped = "0000000000000000FFFF00000100007F:0050";
        assert_eq!(read(mapped).as_deref(), Some("127.0.0.1:80"));
        assert_eq!(read("0100007F"), None);
        assert_eq!(read("0100007:1F90"), None);
    }

    proptest! {
        #[test]
        fn no_table_makes_it_panic(text: String, file in "[ -~\n:]*") {
            for text in [text, file] {
                Sockets::read(|_| Some(text.clone().into_bytes()));
            }
        }
    }
}
