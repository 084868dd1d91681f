use super::*;

#[test]
fn a_record_set_aside_can_be_read_again_with_its_reason() {
    let folder = tempfile::tempdir().unwrap();
    let letters = DeadLetters::new(folder.path().join("dead"));
    let record = Record {
        partition_key: "cat",
        data: b"{}",
    };
    letters.set_aside(
        "ValidationException: \"no\"",
        &text(record),
        SystemTime::UNIX_EPOCH,
    );

    let line: serde_json::Value =
        serde_json::from_slice(&fs::read(folder.path().join("dead")).unwrap()).unwrap();
    let expected = serde_json::json!({
        "at": "1970-01-01T00:00:00Z", "reason": "ValidationException: \"no\"", "PartitionKey": "cat", "Data": "e30="
    });
    assert_eq!(line, expected);
}

#[test]
fn the_file_never_outgrows_its_bound() {
    let folder = tempfile::tempdir().unwrap();
    let letters = DeadLetters::new(folder.path().join("dead"));
    let record = format!(r#""PartitionKey":"k","Data":"{}"}}"#, "A".repeat(1 << 20));
    for _ in 0..20 {
        letters.set_aside("too large", record.as_bytes(), SystemTime::UNIX_EPOCH);
    }
    let files: Vec<_> = fs::read_dir(folder.path())
        .unwrap()
        .map(|file| file.unwrap().metadata().unwrap().len())
        .collect();
    assert_eq!(files.len(), 2);
    assert!(
        files.iter().all(|len| *len <= MAX_BYTES + 1024),
        "{files:?}"
    );
}

#[test]
fn a_torn_line_swallows_no_letter() {
    // Given a file whose last line a power cut tore
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dead");
    fs::write(&path, r#"{"at":"1970-01-01T00:00:00Z","rea"#).unwrap();
    // When two more letters come
    let letters = DeadLetters::new(path.clone());
    let record = br#""PartitionKey":"k","Data":"e30="}"#;
    letters.set_aside("first", record, SystemTime::UNIX_EPOCH);
    letters.set_aside("second", record, SystemTime::UNIX_EPOCH);
    // Then both can be read
    let text = fs::read_to_string(path).unwrap();
    let read: Vec<Option<serde_json::Value>> = text
        .lines()
        .map(|line| serde_json::from_str(line).ok())
        .collect();
    let reasons: Vec<_> = read.iter().flatten().map(|line| &line["reason"]).collect();
    assert_eq!((read.len(), reasons.len()), (3, 2), "{text}");
    assert!(reasons == ["first", "second"], "{text}");
}
