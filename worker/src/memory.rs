//! How much memory there is: the container's limit, or the machine's.

/// Memory for state: what was asked for, or half of what there is.
///
/// # Errors
/// When the text is not a size.
pub(crate) fn state_bytes(asked: Option<&str>) -> Result<usize, String> {
    match asked {
        Some(text) => parse(text),
        None => Ok(available() / 2),
    }
}

/// Memory for all exchange channels of a worker: a tenth of what there is, as far as useful, and an
/// eighth of what `state` has. What waits in channels in front of a barrier becomes state before a
/// checkpoint can make room for it.
#[must_use]
pub(crate) fn exchange_bytes(state: usize) -> usize {
    (available() / 10).min(256 << 20).min(state / 8)
}

/// Memory for segments kept near the worker where it has no folder for them: a tenth of what there
/// is.
#[must_use]
pub(crate) fn cache_bytes() -> u64 {
    (available() / 10) as u64
}

fn parse(text: &str) -> Result<usize, String> {
    let wrong = || format!("--memory {text}: not a size; write for example 512MiB or 4GiB");
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: usize = text[..split].parse().map_err(|_| wrong())?;
    let shift = match text[split..].trim() {
        "" | "B" => 0,
        "KiB" | "Ki" => 10,
        "MiB" | "Mi" => 20,
        "GiB" | "Gi" => 30,
        _ => return Err(wrong()),
    };
    number.checked_mul(1 << shift).filter(|&n| n > 0).ok_or_else(wrong)
}

/// The smaller of the container's limit (cgroup v2 or v1) and the machine's memory; 2 GiB where
/// nothing can be read.
fn available() -> usize {
    let limits = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];
    let container = limits
        .iter()
        .find_map(|path| std::fs::read_to_string(path).ok()?.trim().parse::<usize>().ok());
    let machine = std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| {
        let line = text.lines().find(|l| l.starts_with("MemTotal:"))?;
        let kib: usize = line.split_whitespace().nth(1)?.parse().ok()?;
        Some(kib << 10)
    });
    container.into_iter().chain(machine).min().unwrap_or(2 << 30)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_never_hold_much_of_what_state_has_room_for() {
        assert_eq!(exchange_bytes(32 << 20), 4 << 20);
        assert!(exchange_bytes(1 << 40) <= 256 << 20);
    }

    #[test]
    fn sizes_are_read_with_binary_units() {
        assert_eq!(parse("512MiB"), Ok(512 << 20));
        assert_eq!(parse("1Gi"), Ok(1 << 30));
        assert_eq!(
            parse("lots"),
            Err("--memory lots: not a size; write for example 512MiB or 4GiB".into())
        );
    }
}
