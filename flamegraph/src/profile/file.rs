//! The profile as a file: a magic line, a version, and JSON under zstd.

use super::Profile;
use crate::error::Error;
use crate::output;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, ErrorKind, Read, Write};
use std::path::Path;

/// How every profile begins. The line end catches transfers that "fix" them.
const MAGIC: &[u8] = b"awaitscope profile\r\n\0\n";
/// The version this code writes. Raise it with every change that an older reader would
/// misunderstand.
///
/// Version 2 has times that are on no thread: those of tasks that wait.
const VERSION: u32 = 2;
/// The oldest version it reads.
const OLDEST: u32 = 1;
/// What a profile may unpack to. Three million weights take about 100 MB.
const UNPACKED_LIMIT: u64 = 256 << 20;
/// The largest zstd window taken, as a power of two: what level 3 writes, with
/// room. A hostile frame could ask for gigabytes.
const WINDOW_LOG: u32 = 24;
const LEVEL: i32 = 3;

impl Profile {
    /// Writes the profile, whole or not at all, readable by its owner only.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn save(&self, path: &Path) -> Result<(), Error> {
        output::save(path, |out| self.write(out))
    }

    /// Reads a profile and checks it.
    ///
    /// # Errors
    /// The file cannot be read, is no profile, of another version, cut short,
    /// too large or contradicts itself.
    pub fn load(path: &Path) -> Result<Self, Error> {
        let failed = |source| Error::Read {
            path: path.to_owned(),
            source,
        };
        let file = File::open(path).map_err(failed)?;
        // Opening a folder works, and reading it says so only later.
        if file.metadata().map_err(failed)?.is_dir() {
            return Err(failed(io::Error::from(ErrorKind::IsADirectory)));
        }
        match Self::read(file) {
            Err(Error::Read { source, .. }) => Err(failed(source)),
            read => read,
        }
    }

    /// Writes the profile to `out`.
    ///
    /// # Errors
    /// What `out` reports.
    pub fn write(&self, mut out: impl Write) -> io::Result<()> {
        out.write_all(MAGIC)?;
        out.write_all(&VERSION.to_le_bytes())?;
        let mut packed = zstd::Encoder::new(out, LEVEL)?;
        packed.include_checksum(true)?;
        let mut json = BufWriter::with_capacity(1 << 16, packed);
        serde_json::to_writer(&mut json, self)?;
        json.into_inner()
            .map_err(io::IntoInnerError::into_error)?
            .finish()?
            .flush()
    }

    /// Reads a profile from `from` and checks it.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn read(mut from: impl Read) -> Result<Self, Error> {
        let mut magic = [0; MAGIC.len()];
        read_start(&mut from, &mut magic)?;
        if magic != MAGIC {
            return Err(Error::Foreign);
        }
        let mut version = [0; 4];
        from.read_exact(&mut version).map_err(io_error)?;
        let found = u32::from_le_bytes(version);
        if !(OLDEST..=VERSION).contains(&found) {
            return Err(Error::Version {
                found,
                known: VERSION,
            });
        }
        let mut unpacked = zstd::Decoder::new(from).map_err(io_error)?;
        unpacked.window_log_max(WINDOW_LOG).map_err(io_error)?;
        parse(unpacked)
    }
}

/// Fills `magic` as far as the file goes: an empty or tiny file is foreign, the
/// beginning of ours is cut short.
fn read_start(from: &mut impl Read, magic: &mut [u8]) -> Result<(), Error> {
    let mut have = 0;
    while have < magic.len() {
        match from.read(&mut magic[have..]) {
            Ok(0) if have > 0 && MAGIC.starts_with(&magic[..have]) => return Err(Error::Truncated),
            Ok(0) => return Err(Error::Foreign),
            Ok(more) => have += more,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(io_error(error)),
        }
    }
    Ok(())
}

fn parse(unpacked: impl Read) -> Result<Profile, Error> {
    let mut limited = BufReader::with_capacity(1 << 16, unpacked.take(UNPACKED_LIMIT));
    let parsed = serde_json::from_reader::<_, Profile>(&mut limited);
    // Whatever the JSON looked like: when the limit was reached, that is why.
    if limited.get_ref().limit() == 0 {
        return Err(Error::TooLarge {
            limit: UNPACKED_LIMIT,
        });
    }
    let profile = parsed.map_err(json_error)?;
    profile.validate()?;
    Ok(profile)
}

fn json_error(error: serde_json::Error) -> Error {
    if error.is_io() {
        return io_error(error.into());
    }
    if error.is_eof() {
        return Error::Truncated;
    }
    Error::Damaged(error.to_string())
}

fn io_error(error: io::Error) -> Error {
    match error.kind() {
        ErrorKind::UnexpectedEof => Error::Truncated,
        // What zstd says of bytes that are not its own carries no number of the
        // system's.
        _ if error.raw_os_error().is_none() => Error::Damaged(error.to_string()),
        _ => Error::Read {
            path: std::path::PathBuf::new(),
            source: error,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{self, waits};
    use proptest::prelude::*;

    fn bytes(profile: &Profile) -> Vec<u8> {
        let mut bytes = Vec::new();
        profile.write(&mut bytes).unwrap();
        bytes
    }

    fn packed(json: &[u8]) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend(zstd::encode_all(json, 1).unwrap());
        bytes
    }

    fn json(profile: &Profile) -> serde_json::Value {
        serde_json::to_value(profile).unwrap()
    }

    /// What the reader says to a profile in which `change` was made.
    fn damage(change: impl FnOnce(&mut serde_json::Value)) -> String {
        let mut value = json(&sample::service());
        change(&mut value);
        let json = serde_json::to_vec(&value).unwrap();
        match Profile::read(&packed(&json)[..]) {
            Err(Error::Damaged(why)) => why,
            other => panic!("taken for {other:?}"),
        }
    }

    #[test]
    fn a_profile_comes_back_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("service.awaitscope");
        let profile = sample::service();
        profile.save(&path).unwrap();
        assert_eq!(Profile::load(&path).unwrap(), profile);
    }

    #[test]
    fn what_snapshots_told_comes_back_as_it_was() {
        let profile = waits::service();
        assert_eq!(Profile::read(&bytes(&profile)[..]).unwrap(), profile);
    }

    proptest! {
        #[test]
        fn numbers_come_back_to_the_last_bit(lag in prop::num::f64::POSITIVE) {
            let mut builder = sample::builder();
            builder.add_point("lag_ms", 0, lag);
            let profile = builder.finish(1_000_000_000);
            prop_assert_eq!(Profile::read(&bytes(&profile)[..]).unwrap(), profile);
        }
    }

    #[test]
    fn a_profile_of_the_version_before_snapshots_is_read() {
        let mut profile = sample::service();
        profile.waiting = None;
        let mut value = json(&profile);
        value.as_object_mut().unwrap().remove("waiting");
        let mut bytes = packed(&serde_json::to_vec(&value).unwrap());
        bytes[MAGIC.len()] = 1;
        assert_eq!(Profile::read(&bytes[..]).unwrap(), profile);
    }

    #[test]
    fn await_points_past_their_table_are_refused() {
        let refused = |path: &str| {
            let mut value = json(&waits::service());
            let found = value.pointer_mut(path);
            *found.unwrap_or_else(|| panic!("no {path}")) = 1_000_000.into();
            let json = serde_json::to_vec(&value).unwrap();
            let read = Profile::read(&packed(&json)[..]);
            assert!(matches!(read, Err(Error::Damaged(_))), "{path}: {read:?}");
        };
        refused("/waiting/waits/0/stack");
        refused("/waiting/waits/0/kind");
        refused("/waiting/kinds/0/kind");
        refused("/waiting/locks/0/waited_at/0/0");
    }

    #[test]
    fn an_empty_profile_is_a_profile_too() {
        let profile = sample::builder().finish(0);
        assert_eq!(Profile::read(&bytes(&profile)[..]).unwrap(), profile);
    }

    #[test]
    fn other_files_are_refused() {
        for foreign in [
            &b""[..],
            b"\x7fELF",
            b"<svg></svg> and quite some more of it",
        ] {
            assert!(matches!(Profile::read(foreign), Err(Error::Foreign)));
        }
    }

    #[test]
    fn another_version_is_named() {
        let mut bytes = bytes(&sample::service());
        bytes[MAGIC.len()] = 9;
        let error = Profile::read(&bytes[..]).unwrap_err();
        assert!(error.to_string().contains("format version 9"), "{error}");
    }

    #[test]
    fn a_file_cut_anywhere_is_cut_short() {
        let whole = bytes(&sample::service());
        for length in (1..whole.len())
            .step_by(97)
            .chain([MAGIC.len(), whole.len() - 1])
        {
            let read = Profile::read(&whole[..length]);
            assert!(
                matches!(read, Err(Error::Truncated)),
                "at {length}: {read:?}"
            );
        }
    }

    #[test]
    fn a_bomb_is_stopped() {
        // Two gigabytes of blanks in a few kilobytes.
        let blanks = io::repeat(b' ').take(2 << 30);
        let mut packed = MAGIC.to_vec();
        packed.extend(VERSION.to_le_bytes());
        zstd::stream::copy_encode(blanks, &mut packed, 1).unwrap();
        assert!(packed.len() < 1 << 20);
        let read = Profile::read(&packed[..]);
        assert!(matches!(read, Err(Error::TooLarge { .. })), "{read:?}");
    }

    #[test]
    fn a_list_that_unpacks_to_far_more_is_stopped() {
        let json = format!("{{\"strings\":[{}\"\"]}}", "\"\",".repeat(3_000_000));
        let read = Profile::read(&packed(json.as_bytes())[..]);
        let Err(Error::Damaged(why)) = read else {
            panic!("{read:?}")
        };
        assert!(why.contains("a list of more than"), "{why}");
    }

    #[test]
    fn a_stack_that_calls_itself_is_refused() {
        let why = damage(|value| value["stacks"][5]["parent"] = 5.into());
        assert_eq!(why, "a parent of a stack is 5, and must be below 5");
    }

    #[test]
    fn indices_past_their_table_are_refused() {
        damage(|value| value["frames"][0]["function"] = 1_000_000.into());
        damage(|value| value["frames"][0]["file"] = u32::MAX.into());
        damage(|value| value["stacks"][0]["frame"] = 1_000_000.into());
        damage(|value| value["tasks"][0]["kind"] = 1_000_000.into());
        damage(|value| value["stalls"][0]["thread"] = 1_000_000.into());
        damage(|value| value["stalls"][0]["stacks"][0][0] = 1_000_000.into());
        damage(|value| value["buckets"][0]["stack"][0] = 1_000_000.into());
        damage(|value| value["buckets"][0]["task"][0] = 1_000_000.into());
        damage(|value| value["buckets"][0]["threads"][0]["thread"] = 1_000_000.into());
    }

    #[test]
    fn times_that_cannot_be_added_are_refused() {
        let why = damage(|value| value["buckets"][0]["ns"][0] = u64::MAX.into());
        assert_eq!(why, "times past all measure");
        damage(|value| value["duration_ns"] = u64::MAX.into());
    }

    #[test]
    fn buckets_that_go_back_in_time_are_refused() {
        damage(|value| value["buckets"][1]["number"] = 0.into());
        damage(|value| value["buckets"][9]["number"] = u32::MAX.into());
        damage(|value| value["bucket_ns"] = 0.into());
    }

    #[test]
    fn columns_of_different_lengths_are_refused() {
        damage(|value| {
            value["buckets"][0]["ns"].as_array_mut().unwrap().pop();
        });
    }

    #[test]
    fn a_folder_is_no_profile() {
        let folder = tempfile::tempdir().unwrap();
        let error = Profile::load(folder.path()).unwrap_err();
        assert!(error.to_string().starts_with("cannot read /"), "{error}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn no_flipped_byte_makes_the_reader_panic(at in any::<prop::sample::Index>(), to: u8) {
            let mut bytes = bytes(&sample::service());
            let at = at.index(bytes.len());
            bytes[at] = to;
            let _ = Profile::read(&bytes[..]);
        }

        #[test]
        fn no_flipped_digit_makes_the_reader_panic(at in any::<prop::sample::Index>(), to in b'0'..=b'9') {
            let mut json = serde_json::to_vec(&sample::service()).unwrap();
            let digits: Vec<usize> = (0..json.len()).filter(|&at| json[at].is_ascii_digit()).collect();
            json[digits[at.index(digits.len())]] = to;
            let _ = Profile::read(&packed(&json)[..]);
        }
    }
}
