//! Where posts wait: whether the spool can be kept there, and what the kernel knows of the card's health.

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

/// Of an eMMC's life, in tenths: one that has used so much is to be replaced.
const WORN: u64 = 9;

/// A card that takes longer for a look at it, and one synced block, does not answer.
const SILENCE: Duration = Duration::from_secs(10);

/// What is tried on the card: a block.
const TRIAL_BYTES: usize = 4096;

/// Whether the spool can be kept at its place, and how healthy the disk under it is.
pub fn spool_and_disk(options: &Options) -> [Verdict; 2] {
    let (tell, found) = channel();
    let looked_at = options.clone();
    // Its thread ends with the program: a card that does not answer lets nobody go.
    thread::spawn(move || tell.send([spool(&looked_at), health(&looked_at.card)]));
    found.recv_timeout(SILENCE).unwrap_or_else(|_| {
        let card = options.card.display();
        let seconds = SILENCE.as_secs();
        [
            Bad(format!("{card}: its disk does not answer, for {seconds} s now: look at 'dmesg', and think of a new card")),
            Untested("it does not answer".to_owned()),
        ]
    })
}

/// Whether the spool can be kept at its place. The file itself is not opened: it may be in use.
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
            "{shown} cannot be looked at: name another place with HEADWATER_SPOOL"
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
            "{shown} has {} left, and the spool needs {}: make room, or set a smaller HEADWATER_SPOOL_SIZE",
            bytes(free),
            bytes(needs)
        ));
    }
    if let Some(folder) = card.parent().filter(|folder| folder.is_dir())
        && let Err(error) = try_block(&card.with_added_extension("check"))
    {
        return Bad(format!(
            "{} does not take a block ({error}): look at 'dmesg', and think of a new card, or name another place with HEADWATER_SPOOL",
            folder.display()
        ));
    }
    let card = card.display();
    let place = match needs {
        0 => format!("{card} is there, and can be written"),
        needs => format!(
            "{card} can be kept, {} of {} free",
            bytes(needs),
            bytes(free)
        ),
    };
    match &options.stage {
        Some(_) => Good(place),
        None => Doubtful(format!(
            "{place}; but there is no folder in RAM that outlives the program, so a crash loses what is younger than a second"
        )),
    }
}

/// Writes a block and syncs it, as the spool does, and takes it away again.
fn try_block(path: &Path) -> io::Result<()> {
    let written = create_own(path).and_then(|mut file| {
        file.write_all(&[0; TRIAL_BYTES])?;
        file.sync_data()
    });
    written.and(fs::remove_file(path))
}

/// The folder that holds `card`, or will hold it.
fn nearest_folder(card: &Path) -> PathBuf {
    let card = std::path::absolute(card).unwrap_or_else(|_| card.to_owned());
    let folder = card.ancestors().skip(1).find(|folder| folder.is_dir());
    folder.unwrap_or(Path::new("/")).to_owned()
}

/// What the kernel knows of the health of the disk under `card`.
fn health(card: &Path) -> Verdict {
    let folder = nearest_folder(card);
    if tmpfs::is_tmpfs(&folder) {
        return Doubtful(format!(
            "{} is in RAM: a power cut takes the spool with it",
            folder.display()
        ));
    }
    let Some(device) = device(&folder) else {
        return Untested(format!(
            "the kernel names no disk under {}",
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
            "the file system on {name} has seen {errors} errors: look at 'dmesg', check it with fsck, and think of a new card"
        ));
    }
    // A partition's folder stands in that of its disk.
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
            "{name}: no errors seen by its file system; its wear cannot be read"
        )),
        (None, None) => Untested(format!("{name} does not tell its health")),
    }
}

/// The folder of the block device under `folder`, in /sys.
fn device(folder: &Path) -> Option<PathBuf> {
    let number = fs::metadata(folder).ok()?.dev();
    let (major, minor) = (rustix::fs::major(number), rustix::fs::minor(number));
    fs::canonicalize(format!("/sys/dev/block/{major}:{minor}")).ok()
}

fn number(path: &Path, radix: u32) -> Option<u64> {
    u64::from_str_radix(fs::read_to_string(path).ok()?.trim(), radix).ok()
}

/// `0x0a`.
fn hex(text: &str) -> Option<u64> {
    u64::from_str_radix(text.strip_prefix("0x")?, 16).ok()
}
