use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;

type Plant = fn(&Path);

#[test]
fn a_users_own_folder_is_made_private_and_used_again() {
    let shared = tempfile::tempdir_in("/dev/shm").unwrap();
    let folder = own_folder(shared.path()).unwrap();
    assert_eq!(fs::metadata(&folder).unwrap().mode() & 0o777, 0o700);
    assert_eq!(own_folder(shared.path()).unwrap(), folder);
}

#[test]
fn what_another_may_have_put_in_its_place_is_refused_and_named() {
    let plants: [(&str, Plant); 4] = [
        ("a file", |path| fs::write(path, "mine").unwrap()),
        ("a link to a folder", |path| symlink("/tmp", path).unwrap()),
        ("a folder open to others", |path| {
            fs::create_dir(path).unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(0o777)).unwrap();
        }),
        ("a folder others may read", |path| {
            fs::create_dir(path).unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        }),
    ];
    for (what, plant) in plants {
        let shared = tempfile::tempdir_in("/dev/shm").unwrap();
        let name = format!("{NAME_START}{}", geteuid().as_raw());
        plant(&shared.path().join(name));
        let error = own_folder(shared.path()).unwrap_err().to_string();
        assert!(
            error.contains("not a folder of this user alone"),
            "{what}: {error}"
        );
    }
}

#[test]
fn why_a_named_folder_is_not_used_is_said() {
    // Given the folder that systemd names, and everyone may write to it
    let named = tempfile::tempdir_in("/dev/shm").unwrap();
    fs::set_permissions(named.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let choose = || {
        let named = [named.path().to_owned()].into_iter();
        super::choose(named, Path::new("/proc"))
    };
    let refused = choose().unwrap_err().to_string();
    assert_eq!(
        refused,
        format!(
            "{} is no tmpfs that this user alone may write to; /proc is no tmpfs to write to",
            named.path().display()
        )
    );
    // When it is this user's alone, then it is used
    fs::set_permissions(named.path(), fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(choose().unwrap(), named.path());
}
