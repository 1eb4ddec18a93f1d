//! Sockets and pipes that functions hold.

use super::look::{Look, Suspended};
use super::waits::{Found, shown};
use crate::snapshot::{Detail, WaitsOn};
use awaitscope_sampler::Avma;

/// The names under which objects keep their transports, and what leads there.
const TRANSPORTS: &[&str] = &["_transport", "transport"];
const ON_THE_WAY: &[&str] = &["_protocol", "protocol", "_reader", "_stream", "stream"];

/// A TLS transport leads to what speaks TLS, and that to the transport of the socket.
const DEEPEST: u32 = 4;

/// No process has a larger number of a file.
pub(super) const LARGEST: i64 = 1 << 20;

/// `PySocketSockObject.sock_fd` (`socketmodule.h`).
const SOCK_FD: u64 = 16;

impl Look<'_> {
    /// The socket or pipe that a function waits for.
    pub fn socket(&mut self, function: &Suspended) -> Option<Found> {
        if let Some(socket) = self.local(function, "sock")
            && let Some(descriptor) = self.socket_descriptor(socket)
        {
            let detail = Detail::Descriptor(descriptor);
            return Some(Found::new(WaitsOn::Socket, "socket.socket", detail));
        }
        let object = self.local(function, "self")?;
        let class = self.class(object)?;
        if &*class.name == "asyncio.base_events.Server" {
            return self.server(object);
        }
        let transport = self.transport_of(object).or_else(|| {
            ON_THE_WAY.iter().find_map(|name| {
                let next = self.get(object, name)?;
                self.transport_of(next)
            })
        })?;
        let (what, detail) = self.descriptor(transport, 0);
        Some(Found::new(what, shown(&class.name), detail))
    }

    fn transport_of(&mut self, object: Avma) -> Option<Avma> {
        TRANSPORTS.iter().find_map(|name| {
            let transport = self.get(object, name)?;
            let class = self.class(transport)?;
            (&*class.name != "NoneType").then_some(transport)
        })
    }

    /// What a transport reads and writes.
    fn descriptor(&mut self, transport: Avma, depth: u32) -> (WaitsOn, Detail) {
        if depth >= DEEPEST {
            return (WaitsOn::Socket, Detail::Unknown);
        }
        if let Some(found) = self.uvloop_descriptor(transport) {
            return found;
        }
        if let Some(number) = self.number(transport, "_sock_fd") {
            return (WaitsOn::Socket, Detail::Descriptor(number));
        }
        if let Some(number) = self.number(transport, "_fileno") {
            return (WaitsOn::Io, Detail::Descriptor(number));
        }
        for name in ["_ssl_protocol", "_transport"] {
            let next = self.get(transport, name);
            if let Some(next) = next.filter(|next| *next != transport) {
                return self.descriptor(next, depth + 1);
            }
        }
        (WaitsOn::Socket, Detail::Unknown)
    }

    fn number(&mut self, object: Avma, name: &str) -> Option<i32> {
        let number = self.get(object, name)?;
        let class = self.class(number)?;
        if &*class.name != "int" {
            return None;
        }
        let number = self.heap.int(number)?;
        (0..LARGEST)
            .contains(&number)
            .then(|| i32::try_from(number).ok())
            .flatten()
    }

    fn socket_descriptor(&mut self, socket: Avma) -> Option<i32> {
        let class = self.class(socket)?;
        if !class.is_a("_socket.socket") {
            return None;
        }
        let number = self.heap.int32(socket, SOCK_FD)?;
        (0..LARGEST).contains(&i64::from(number)).then_some(number)
    }

    /// A server that waits until it is closed: by the first of its sockets.
    fn server(&mut self, server: Avma) -> Option<Found> {
        let sockets = self.get(server, "_sockets")?;
        let class = self.class(sockets)?;
        let first = match &*class.name {
            "list" => self.heap.list(sockets, 64)?,
            "tuple" => self.heap.tuple(sockets, 64)?,
            _ => return None,
        };
        let number = self.socket_descriptor(*first.first()?)?;
        let detail = Detail::Descriptor(number);
        Some(Found::new(WaitsOn::Socket, "asyncio.Server", detail))
    }
}
