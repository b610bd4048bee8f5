//! Process groups that end with their owner, by whatever death that dies.
//!
//! A destructor does not run in a process that is killed, and what a test starts stands in groups of
//! its own, which Ctrl-C does not reach. So a child watches: it is told of every group, and kills
//! those that are left when its standard input ends, which it does with the owner.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::OnceLock;

use anyhow::{Context, Result};

const WATCH: &str = r#"
groups=' '
while read -r change id; do
  case $change in
    add) groups="$groups$id " ;;
    remove) groups="${groups%" $id "*} ${groups#*" $id "}" ;;
  esac
done
for id in $groups; do kill -KILL -- "-$id" 2>/dev/null; done
"#;

/// Groups that are watched over; those that are left when it is dropped are killed.
#[derive(Debug)]
pub(super) struct Groups(ChildStdin);

impl Groups {
    fn watch() -> Result<Self> {
        let mut watchdog = Command::new("bash")
            .args(["-c", WATCH])
            // Whoever kills our group must not kill it.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("start the watchdog of what tests start")?;
        let input = watchdog.stdin.take().context("the watchdog has an input")?;
        Ok(Self(input))
    }

    /// Those of this process.
    pub(super) fn ours() -> Result<&'static Self> {
        static OURS: OnceLock<Groups> = OnceLock::new();
        if let Some(ours) = OURS.get() {
            return Ok(ours);
        }
        // A second one, of two first calls at once, is dropped with nothing to watch.
        let watching = Self::watch()?;
        Ok(OURS.get_or_init(|| watching))
    }

    /// Takes a group under its watch.
    pub(super) fn add(&self, group: u32) -> Result<()> {
        self.tell("add", group).context("the watchdog of what tests start is gone")
    }

    /// The group has ended.
    pub(super) fn remove(&self, group: u32) {
        // Without a watchdog there is nothing to be removed from.
        let _ = self.tell("remove", group);
    }

    fn tell(&self, change: &str, group: u32) -> std::io::Result<()> {
        (&self.0).write_all(format!("{change} {group}\n").as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::process::{is_alive, wait_for};

    #[test]
    fn what_is_left_ends_with_the_owner_and_nothing_else() {
        let mut sleepers: Vec<_> = (0..3)
            .map(|_| Command::new("sleep").arg("60").process_group(0).spawn().expect("it starts"))
            .collect();
        let groups = Groups::watch().expect("bash starts");
        sleepers.iter().for_each(|it| groups.add(it.id()).expect("it listens"));
        groups.remove(sleepers[1].id());
        drop(groups);
        let ids: Vec<u32> = sleepers.iter().map(std::process::Child::id).collect();
        wait_for("their end", Duration::from_secs(10), || {
            Ok(!is_alive(ids[0]) && !is_alive(ids[2]))
        })
        .expect("the watchdog kills them");
        assert!(is_alive(ids[1]), "nobody watches over it any more");
        for sleeper in &mut sleepers {
            let _ = sleeper.kill();
            sleeper.wait().expect("it has ended");
        }
    }
}
