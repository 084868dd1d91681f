//! What the machine says of itself, where Linux tells it: its temperature, and the room on its disk.

use std::fs;
use std::path::Path;

use rustix::fs::statvfs;

/// Where Linux shows the sensors, a folder each.
pub const SENSORS: &str = "/sys/class/thermal";

/// A sensor that shows anything else is none, or broken.
const PLAUSIBLE_C: std::ops::RangeInclusive<i64> = -60..=200;

/// The temperature of the hottest part that has a sensor in the folder `sensors`, in degrees Celsius.
pub fn temperature_c(sensors: &Path) -> Option<i64> {
    let zones = fs::read_dir(sensors).ok()?.flatten();
    let degrees = zones.filter_map(|zone| {
        let text = fs::read_to_string(zone.path().join("temp")).ok()?;
        let thousandths: i64 = text.trim().parse().ok()?;
        Some(thousandths.div_euclid(1000)).filter(|degrees| PLAUSIBLE_C.contains(degrees))
    });
    degrees.max()
}

/// The room on the disk with `path` for a program without privileges, in bytes.
pub fn free_bytes(path: &Path) -> Option<u64> {
    let disk = statvfs(path).ok()?;
    disk.f_bavail.checked_mul(disk.f_frsize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hottest_sensor_counts_and_one_that_shows_nonsense_does_not() {
        // Given two sensors that work, one that shows absolute zero, one that shows no number, and a folder that is no sensor
        let folder = tempfile::tempdir().unwrap();
        let shows = [
            ("thermal_zone0", "48312\n"),
            ("thermal_zone1", "51999\n"),
            ("thermal_zone2", "-273150\n"),
            ("thermal_zone3", "hot\n"),
        ];
        for (zone, text) in shows {
            fs::create_dir(folder.path().join(zone)).unwrap();
            fs::write(folder.path().join(zone).join("temp"), text).unwrap();
        }
        fs::create_dir(folder.path().join("cooling_device0")).unwrap();
        // Then the hotter of the two is the board's temperature
        assert_eq!(temperature_c(folder.path()), Some(51));
        // And a machine without sensors has none
        assert_eq!(temperature_c(&folder.path().join("cooling_device0")), None);
        assert_eq!(temperature_c(&folder.path().join("missing")), None);
    }

    #[test]
    fn a_disk_has_room_and_what_is_not_there_has_none() {
        assert!(free_bytes(Path::new("/")).is_some());
        assert_eq!(free_bytes(Path::new("/no/such/folder")), None);
    }
}
