//! Tests the place of the spool, and reads what the kernel knows of the card's health.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use rustix::fs::{Access, StatVfsMountFlags, access, statvfs};

use crate::commands::check::Verdict::{self, Bad, Doubtful, Good, Untested};
use crate::commands::status;
use crate::observe::screen::bytes;
use crate::platform::file::create_own;
use crate::platform::tmpfs;
use crate::spool::Options;

/// From this share of its life on, in tenths, an eMMC should be replaced.
const WORN: u64 = 9;

/// A card that takes longer for one synced block is reported as not answering.
const SILENCE: Duration = Duration::from_secs(10);

/// Size of the trial write: one block.
const TRIAL_BYTES: usize = 4096;

/// Tests the spool's place and the health of the disk under it.
pub fn spool_and_disk(options: &Options) -> [Verdict; 2] {
    let (tell, found) = channel();
    let looked_at = options.clone();
    // The thread may hang in a system call on the card. It ends with the program.
    thread::spawn(move || tell.send([spool(&looked_at), health(&looked_at.card)]));
    found.recv_timeout(SILENCE).unwrap_or_else(|_| {
        let card = options.card.display();
        let seconds = SILENCE.as_secs();
        [
            Bad(format!("{card}: the disk has not answered for {seconds} s: look at 'dmesg', and replace the card if this happens again")),
            Untested("the disk does not answer".to_owned()),
        ]
    })
}

/// Whether the spool can be kept at its place. The file itself is not opened, as it may be in use.
fn spool(options: &Options) -> Verdict {
    let card = &options.card;
    if let Some(running) = status::find(Some(card))
        .into_iter()
        .find(|snapshot| snapshot.is_running())
    {
        if let Some(trouble) = running
            .troubles
            .iter()
            .find(|trouble| trouble.of == "spool")
        {
            return Bad(format!("{}: {}", card.display(), trouble.text));
        }
        return Good(format!(
            "{} is in use by the running headwater: {} posts wait",
            card.display(),
            running.waiting_records
        ));
    }
    let folder = nearest_folder(card);
    let shown = folder.display();
    let Ok(stat) = statvfs(&folder) else {
        return Bad(format!(
            "{shown} cannot be examined: name another place with HEADWATER_SPOOL"
        ));
    };
    if stat.f_flag.contains(StatVfsMountFlags::RDONLY) {
        return Bad(format!(
            "{shown} is read-only: mount it writable, or name another place with HEADWATER_SPOOL"
        ));
    }
    if access(&folder, Access::WRITE_OK).is_err() {
        return Bad(format!(
            "{shown} may not be written to by this user: change its owner, or HEADWATER_SPOOL"
        ));
    }
    let has = fs::metadata(card).map_or(0, |file| file.len());
    let needs = options.size_bytes.saturating_sub(has);
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    if free < needs {
        return Bad(format!(
            "{shown} has {} free, and the spool needs {}: make room, or set a smaller HEADWATER_SPOOL_SIZE",
            bytes(free),
            bytes(needs)
        ));
    }
    if let Some(folder) = card.parent().filter(|folder| folder.is_dir())
        && let Err(error) = try_block(&card.with_added_extension("check"))
    {
        return Bad(format!(
            "a block could not be written to {} ({error}): look at 'dmesg' and replace the card, or name another place with HEADWATER_SPOOL",
            folder.display()
        ));
    }
    let card = card.display();
    let place = match needs {
        0 => format!("{card} exists, and can be written to"),
        needs => format!(
            "{card} can be created: {} of {} free",
            bytes(needs),
            bytes(free)
        ),
    };
    match &options.stage {
        Some(_) => Good(place),
        None => Doubtful(format!(
            "{place}; but there is no tmpfs for the newest posts, so a crash of the program loses those younger than a second"
        )),
    }
}

/// Writes and syncs a block, as the spool does, and removes it.
fn try_block(path: &Path) -> io::Result<()> {
    let written = create_own(path).and_then(|mut file| {
        file.write_all(&[0; TRIAL_BYTES])?;
        file.sync_data()
    });
    written.and(fs::remove_file(path))
}

/// The folder of `card`, or its nearest ancestor that exists.
fn nearest_folder(card: &Path) -> PathBuf {
    let card = std::path::absolute(card).unwrap_or_else(|_| card.to_owned());
    let folder = card.ancestors().skip(1).find(|folder| folder.is_dir());
    folder.unwrap_or(Path::new("/")).to_owned()
}

/// The health of the disk under `card`: ext4's error count and the eMMC's wear.
fn health(card: &Path) -> Verdict {
    let folder = nearest_folder(card);
    if tmpfs::is_tmpfs(&folder) {
        return Doubtful(format!(
            "{} is in RAM: a power cut loses the spool",
            folder.display()
        ));
    }
    let Some(device) = device(&folder) else {
        return Untested(format!(
            "the kernel knows no disk under {}",
            folder.display()
        ));
    };
    let name = device
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let errors = number(
        &Path::new("/sys/fs/ext4").join(&name).join("errors_count"),
        10,
    );
    if let Some(errors @ 1..) = errors {
        return Bad(format!(
            "the file system on {name} has counted {errors} errors: look at 'dmesg', run fsck, and replace the card if there are more"
        ));
    }
    // A partition's folder is inside that of its disk.
    let wear = ["device", "../device"]
        .iter()
        .find_map(|disk| fs::read_to_string(device.join(disk).join("life_time")).ok());
    let worst = wear
        .iter()
        .flat_map(|text| text.split_whitespace())
        .filter_map(hex)
        .max();
    match (worst, errors) {
        (Some(tenths @ WORN..), _) => Doubtful(format!(
            "{name} has used {}% of its life: replace it soon",
            tenths * 10
        )),
        (Some(tenths), _) => Good(format!(
            "{name} has used at most {}% of its life",
            tenths * 10
        )),
        (None, Some(_)) => Good(format!(
            "{name}: its file system has counted no errors; the kernel does not report its wear"
        )),
        (None, None) => Untested(format!("the kernel does not report the health of {name}")),
    }
}

/// The folder in /sys of the block device under `folder`.
fn device(folder: &Path) -> Option<PathBuf> {
    let number = fs::metadata(folder).ok()?.dev();
    let (major, minor) = (rustix::fs::major(number), rustix::fs::minor(number));
    fs::canonicalize(format!("/sys/dev/block/{major}:{minor}")).ok()
}

fn number(path: &Path, radix: u32) -> Option<u64> {
    u64::from_str_radix(fs::read_to_string(path).ok()?.trim(), radix).ok()
}

/// Parses a number such as `0x0a`.
fn hex(text: &str) -> Option<u64> {
    u64::from_str_radix(text.strip_prefix("0x")?, 16).ok()
}
