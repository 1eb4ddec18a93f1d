//! Which process is meant.

use crate::args::TargetArgs;
use anyhow::{Context, Result, bail};
use awaitscope_sampler::Pid;
use std::fmt::Write as _;

/// The process that was asked for.
pub fn resolve(args: &TargetArgs) -> Result<Pid> {
    match (args.pid, &args.name) {
        (Some(pid), _) => Ok(Pid(pid)),
        (None, Some(name)) => by_name(name),
        (None, None) => bail!("which process? Give -p PID or --name NAME"),
    }
}

fn by_name(name: &str) -> Result<Pid> {
    let ours = std::process::id();
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").context("cannot list the processes in /proc")? {
        let Ok(entry) = entry else { continue };
        let Some(pid) = entry.file_name().to_str().and_then(|s| s.parse().ok()) else {
            continue;
        };
        if pid != ours && is_called(pid, name) && !has_ended(pid) {
            found.push(pid);
        }
    }
    match found.as_slice() {
        [] => bail!("no process is called {name:?}"),
        [pid] => Ok(Pid(*pid)),
        several => {
            let mut text = format!(
                "{} processes are called {name:?}; give one by -p:",
                several.len()
            );
            for pid in several {
                let _ = write!(text, "\n  {pid:>7}  {}", command_line(*pid));
            }
            bail!(text)
        }
    }
}

/// A process is called by its own name (which the kernel cuts at 15 bytes) or
/// by its executable's.
fn is_called(pid: u32, name: &str) -> bool {
    let comm = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    if comm.trim_end() == name {
        return true;
    }
    std::fs::read_link(format!("/proc/{pid}/exe"))
        .is_ok_and(|exe| exe.file_name().is_some_and(|file| file == name))
}

/// A zombie keeps its name until its parent asks for it. The state follows the name
/// in brackets, which can hold brackets itself (proc_pid_stat(5)).
fn has_ended(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat
        .rsplit_once(") ")
        .and_then(|(_, rest)| rest.chars().next());
    matches!(state, None | Some('Z' | 'X'))
}

fn command_line(pid: u32) -> String {
    let bytes = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let text: Vec<_> = bytes
        .split(|byte| *byte == 0)
        .map(|part| String::from_utf8_lossy(part).into_owned())
        .collect();
    let text = text.join(" ");
    text.chars().filter(|c| !c.is_control()).take(80).collect()
}
