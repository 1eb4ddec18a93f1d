//! Where on the merged profile's axis of time each recording lies.
//!
//! Recordings that overlap in time are of replicas: they lie beside each other, as they did, and
//! what is counted of them at a moment (tasks, ready tasks) adds up. Others lie one after the
//! other, and the time between them, when nobody looked, is cut out. So the merged profile is
//! that of one recording of all of it, and what is divided by its duration (means, rates, shares
//! of worker time) is right for both: the sum for replicas, the mean for runs.
//!
//! Recordings are moved by whole buckets, because what is known of time is known by bucket. One
//! that began within a bucket of another is moved by less than half a bucket, and each that
//! follows begins a bucket of its own: the axis can be longer than the duration by less than a
//! bucket for each.

use crate::error::Error;
use crate::profile::{Profile, limits};

const SECOND: u64 = 1_000_000_000;
/// Buckets are made no wider than this, as when recording.
const DAY: u64 = 86_400 * SECOND;

/// The axis, and where each recording lies on it.
#[derive(Debug)]
pub(super) struct Axis {
    pub(super) bucket_ns: u64,
    /// How long anything was recorded.
    pub(super) duration_ns: u64,
    /// Of each recording.
    pub(super) places: Vec<Place>,
    /// How long each session was: a time in which there was always a recording.
    pub(super) sessions: Vec<u64>,
}

/// Where a recording lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// Where it begins on the merged axis, in whole buckets.
    pub(super) offset_ns: u64,
    /// In which session.
    pub(super) session: usize,
    /// Beside the others: recordings of one lane never overlap, as those of one replica.
    pub(super) lane: usize,
}

/// Which process a recording is of, as far as that can be told.
pub(super) fn process(profile: &Profile) -> impl Eq + std::hash::Hash + '_ {
    let target = &profile.target;
    (target.pid, &target.host, &target.exe, &target.build_id)
}

impl Axis {
    /// Lays out recordings, which must be in the order of their start.
    pub(super) fn of(profiles: &[Profile]) -> Result<Self, Error> {
        let bucket_ns = bucket_ns(profiles);
        let mut axis = Self {
            bucket_ns,
            duration_ns: 0,
            places: Vec::new(),
            sessions: Vec::new(),
        };
        let mut lanes: Vec<usize> = Vec::new();
        let mut session: Option<Session> = None;
        for (index, profile) in profiles.iter().enumerate() {
            let begin = profile.start_unix_ns;
            let mut now = match session {
                Some(session) if begin < session.end => session,
                before => {
                    axis.sessions.push(0);
                    Session {
                        begin,
                        end: begin,
                        offset_ns: before.map_or(0, |before| before.next_ns),
                        next_ns: 0,
                    }
                }
            };
            let offset_ns = now.offset(begin, bucket_ns);
            now.end = now.end.max(end(profile));
            let next_ns = offset_ns.saturating_add(length(profile));
            now.next_ns = now.next_ns.max(whole_buckets(next_ns, bucket_ns));
            let number = axis.sessions.len() - 1;
            axis.sessions[number] = (now.end - now.begin).min(limits::TIME);
            axis.places.push(Place {
                offset_ns,
                session: number,
                lane: lane(profiles, &mut lanes, index)?,
            });
            session = Some(now);
        }
        let all = axis.sessions.iter();
        axis.duration_ns = all
            .fold(0_u64, |sum, ns| sum.saturating_add(*ns))
            .min(limits::TIME);
        Ok(axis)
    }

    /// The bucket of a moment of a recording.
    pub(super) fn bucket(&self, place: Place, at_ns: u64) -> u64 {
        place.offset_ns.saturating_add(at_ns) / self.bucket_ns
    }
}

/// A stretch of time in which there was always a recording.
#[derive(Debug, Clone, Copy)]
struct Session {
    begin: u64,
    end: u64,
    /// Where it begins on the merged axis.
    offset_ns: u64,
    /// Where the next one does.
    next_ns: u64,
}

impl Session {
    fn offset(&self, begin: u64, bucket_ns: u64) -> u64 {
        let after = begin - self.begin;
        let buckets = after.saturating_add(bucket_ns / 2) / bucket_ns;
        self.offset_ns
            .saturating_add(buckets.saturating_mul(bucket_ns))
    }
}

/// The lane of a recording: that of the same process, or the first that is free.
fn lane(profiles: &[Profile], lanes: &mut Vec<usize>, index: usize) -> Result<usize, Error> {
    let profile = &profiles[index];
    let is_free = |last: usize| end(&profiles[last]) <= profile.start_unix_ns;
    let is_same = |last: usize| process(&profiles[last]) == process(profile);
    let twice =
        |other: &Profile| process(other) == process(profile) && end(other) > profile.start_unix_ns;
    if profiles[..index].iter().any(twice) {
        return Err(Error::SameProcess {
            pid: profile.target.pid,
            host: profile.target.host.clone(),
        });
    }
    let free = || lanes.iter().enumerate().filter(|&(_, &last)| is_free(last));
    let found = free()
        .find(|&(_, &last)| is_same(last))
        .or_else(|| free().next());
    let lane = found.map_or(lanes.len(), |(lane, _)| lane);
    match lanes.get_mut(lane) {
        Some(last) => *last = index,
        None => lanes.push(index),
    }
    Ok(lane)
}

fn end(profile: &Profile) -> u64 {
    profile.start_unix_ns.saturating_add(profile.duration_ns)
}

/// How much of the axis a recording takes: all of its buckets.
fn length(profile: &Profile) -> u64 {
    let last = profile.buckets.last().map_or(0, |bucket| {
        (u64::from(bucket.number) + 1).saturating_mul(profile.bucket_ns)
    });
    last.max(profile.duration_ns)
}

fn whole_buckets(ns: u64, bucket_ns: u64) -> u64 {
    ns.div_ceil(bucket_ns).saturating_mul(bucket_ns)
}

/// As wide as the widest, by doubling, as buckets are made.
fn bucket_ns(profiles: &[Profile]) -> u64 {
    let widest = profiles.iter().map(|profile| profile.bucket_ns).max();
    let mut bucket_ns = SECOND;
    while bucket_ns < widest.unwrap_or(0).min(DAY) {
        bucket_ns *= 2;
    }
    bucket_ns
}
