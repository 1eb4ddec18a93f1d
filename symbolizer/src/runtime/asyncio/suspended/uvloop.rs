//! What uvloop's objects hold: they are made in C, and have no attributes.

use super::look::Look;
use super::sockets::LARGEST;
use crate::snapshot::{Detail, WaitsOn};
use awaitscope_sampler::{Avma, Nanos};

/// `UVHandle._handle`: behind the head of the object and the table of its methods
/// (`uvloop/handles/handle.pxd`).
const HANDLE: u64 = 24;

/// `uv_handle_t.type` (`uv.h`), and its values.
const TYPE: u64 = 16;
const UV_NAMED_PIPE: i32 = 7;
const UV_TCP: i32 = 12;
const UV_TIMER: i32 = 13;

/// `uv_stream_t.io_watcher.fd` (`uv.h`, `uv/unix.h`).
const STREAM_FD: u64 = 184;

/// `uv_timer_t.timeout`: when it is due, in milliseconds of the monotonic clock.
const TIMER_TIMEOUT: u64 = 128;

impl Look<'_> {
    /// What a transport of uvloop reads and writes.
    pub fn uvloop_descriptor(&mut self, transport: Avma) -> Option<(WaitsOn, Detail)> {
        let class = self.class(transport)?;
        if !class.name.starts_with("uvloop.loop.") {
            return None;
        }
        if !class.is_a("uvloop.loop.UVHandle") {
            // Above TLS: what is below it cannot be reached.
            return Some((WaitsOn::Socket, Detail::Unknown));
        }
        let handle = self.heap.pointer(transport, HANDLE)?;
        let is_pipe = match self.heap.int32(handle, TYPE)? {
            UV_TCP => false,
            // Unix sockets are pipes to libuv.
            UV_NAMED_PIPE => !class.is_a("uvloop.loop.UnixTransport"),
            _ => return None,
        };
        let what = if is_pipe {
            WaitsOn::Io
        } else {
            WaitsOn::Socket
        };
        let number = self.heap.int32(handle, STREAM_FD)?;
        let detail = match (0..LARGEST).contains(&i64::from(number)) {
            true => Detail::Descriptor(number),
            false => Detail::Unknown,
        };
        Some((what, detail))
    }

    /// When a `TimerHandle` of uvloop is due.
    pub fn uvloop_deadline(&mut self, handle: Avma) -> Detail {
        /// Its members are objects, one of them the timer (`uvloop/cbhandles.pxd`).
        const MEMBERS: std::ops::Range<u64> = 3..10;
        let timer = MEMBERS.into_iter().find_map(|word| {
            let member = self.heap.pointer(handle, 8 * word)?;
            let class = self.class(member)?;
            (&*class.name == "uvloop.loop.UVTimer").then_some(member)
        });
        let timer = timer.and_then(|timer| self.heap.pointer(timer, HANDLE));
        let timer = timer.filter(|timer| self.heap.int32(*timer, TYPE) == Some(UV_TIMER));
        let due = timer.and_then(|timer| self.heap.word(timer, TIMER_TIMEOUT));
        match due.and_then(|due| due.checked_mul(1_000_000)) {
            Some(due) => Detail::Deadline(Nanos(due)),
            None => Detail::Unknown,
        }
    }
}
