//! How a process ended.

use awaitscope_sampler::Pid;
use nix::sys::signal::Signal;

/// In words, as far as it can be told: once somebody has asked for it, nobody else can.
pub fn how(pid: Pid) -> String {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.0));
    match stat.ok().as_deref().and_then(code) {
        Some(code) => words(code),
        None => "ended".to_owned(),
    }
}

/// The exit code, as waitpid(2) gives it: the last field of proc_pid_stat(5), of a process that
/// nobody has asked for yet (state `Z`).
fn code(stat: &str) -> Option<i32> {
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split_ascii_whitespace();
    let is_zombie = fields.next()? == "Z";
    is_zombie.then(|| fields.next_back()?.parse().ok())?
}

fn words(code: i32) -> String {
    match (code & 0x7f, (code >> 8) & 0xff) {
        (0, 0) => "ended by itself".to_owned(),
        (0, status) => format!("ended with exit code {status}"),
        (signal, _) => match Signal::try_from(signal) {
            Ok(signal) => format!("was ended by {signal}"),
            Err(_) => format!("was ended by signal {signal}"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_killed_process_says_so() {
        assert_eq!(code("7 (a) b) Z 1 2 3 9"), Some(9));
        assert_eq!(words(9), "was ended by SIGKILL");
        assert_eq!(words(3 << 8), "ended with exit code 3");
        assert_eq!(words(0), "ended by itself");
    }

    #[test]
    fn of_a_process_that_runs_or_is_gone_nothing_is_said() {
        assert_eq!(code("7 (a) S 1 2 3 0"), None);
        assert_eq!(code(""), None);
        assert_eq!(code("7 (a) Z"), None);
    }
}
