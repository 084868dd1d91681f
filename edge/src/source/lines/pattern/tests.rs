use super::*;

#[test]
fn a_star_is_any_run_of_characters_and_a_question_mark_is_one() {
    let table = [
        ("*.log", "a.log", true),
        ("*.log", ".hidden.log", false),
        (".*.log", ".hidden.log", true),
        ("*.log", "a.log.1", false),
        ("a*b*c", "a-b-b-c", true),
        ("a*b*c", "a-b-b-d", false),
        ("*", "a", true),
        ("**", "", true),
        ("?.log", "é.log", true),
        ("?.log", ".log", false),
        ("app-??.log", "app-07.log", true),
        ("app-??.log", "app-7.log", false),
    ];
    for (pattern, name, expected) in table {
        assert_eq!(matches_name(pattern, name), expected, "{pattern} {name}");
    }
}

#[test]
fn a_pattern_may_stand_for_folders_and_files() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["b/one.log", "a/two.log", "a/two.txt", "c.log"] {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
    }
    let pattern = folder.path().join("?/*.log");
    let expected = ["a/two.log", "b/one.log"].map(|name| folder.path().join(name));
    assert_eq!(matching(&pattern), expected);
    assert!(expected.iter().all(|path| matches(&pattern, path)));
    assert!(!matches(&pattern, &folder.path().join("c.log")));
}

#[test]
fn a_file_that_is_called_so_is_no_pattern() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("what?*.log");
    assert!(is_pattern(&path));
    fs::write(&path, "").unwrap();
    assert!(!is_pattern(&path));
    assert!(!is_pattern(Path::new("/var/log/syslog")));
}
