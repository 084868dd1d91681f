//! The documents hold: their links lead somewhere, and the options they name exist.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use headwater::settings::options;

/// Options of `headwater status` and `headwater spool`, which have no table, and those of every program.
const OTHER_OPTIONS: [&str; 7] = ["count", "help", "json", "spool", "version", "watch", ""];

#[test]
fn every_link_leads_somewhere() {
    let mut broken = Vec::new();
    let mut count = 0;
    for document in documents() {
        let text = fs::read_to_string(&document).unwrap();
        for link in links(&text) {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            count += 1;
            let (path, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = match path {
                "" => document.clone(),
                path => document.parent().unwrap().join(path),
            };
            let leads_there = match anchor {
                "" => target.exists(),
                anchor => fs::read_to_string(&target)
                    .is_ok_and(|text| anchors(&text).iter().any(|known| known == anchor)),
            };
            if !leads_there {
                broken.push(format!("{}: {link}", document.display()));
            }
        }
    }
    assert!(broken.is_empty(), "links that lead nowhere: {broken:#?}");
    assert!(count > 30, "only {count} links were found");
}

#[test]
fn every_option_in_a_command_exists() {
    let known: BTreeSet<_> = options::ALL
        .iter()
        .map(|option| option.long)
        .chain(OTHER_OPTIONS)
        .collect();
    let mut unknown = Vec::new();
    let mut count = 0;
    for document in documents() {
        let text = fs::read_to_string(&document).unwrap();
        let code = blocks(&text).into_iter().filter(|block| block.is_code);
        let lines = code.flat_map(|block| block.lines);
        for command in lines.flat_map(|line| line.split('|')) {
            let words: Vec<_> = command.split_whitespace().collect();
            let Some(program) = words.iter().position(|word| *word == "headwater") else {
                continue;
            };
            let given = words[program..]
                .iter()
                .filter_map(|word| word.strip_prefix("--"));
            for option in given.map(|word| word.split('=').next().unwrap_or_default()) {
                count += 1;
                // What stands before may be the name of a file or a stack.
                let is_run = words[..program]
                    .iter()
                    .all(|word| ["$", "sudo", "timeout", "2"].contains(word));
                if is_run && !known.contains(option) {
                    unknown.push(format!("{}: {command}", document.display()));
                }
            }
        }
    }
    assert!(
        unknown.is_empty(),
        "options that do not exist: {unknown:#?}"
    );
    assert!(count > 3, "only {count} options were found");
}

/// The picture is drawn from its source, and the folders in it exist.
#[test]
fn the_map_is_drawn_as_it_is_described() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let map = fs::read_to_string(root.join("docs/architecture.dot")).unwrap();
    let picture = fs::read_to_string(root.join("docs/architecture.svg")).unwrap();
    let picture = picture.replace("&#45;", "-");
    let labels = map.split("label=\"").skip(1);
    let lines = labels.flat_map(|rest| rest.split('"').next().unwrap().split("\\n"));
    let (mut missing, mut gone) = (Vec::new(), Vec::new());
    for line in lines {
        if !picture.contains(&format!(">{line}</text>")) {
            missing.push(line);
        }
        let folders = line.split([' ', ':']).filter(|word| word.ends_with('/'));
        gone.extend(folders.filter(|folder| {
            let places = [root.join(folder), root.join("edge/src").join(folder)];
            places.iter().all(|place| !place.is_dir())
        }));
    }
    assert!(
        missing.is_empty(),
        "dot -Tsvg docs/architecture.dot -o docs/architecture.svg: {missing:?}"
    );
    assert!(gone.is_empty(), "the map names {gone:?}");
}

#[test]
fn anchors_are_made_as_the_forge_makes_them() {
    let text =
        "# A `b`, c!\n```sh\n# no heading\n```\n## Twice\n## Twice\n### An under_score - and ÄÖ\n";
    assert_eq!(
        anchors(text),
        ["a-b-c", "twice", "twice-1", "an-under_score---and-äö"]
    );
}

#[test]
fn links_are_found_outside_code_alone() {
    let text = "[a](b.md) ![c](d.svg)\n`[no](x)` [e](f#g)\n```\n[no](y)\n```\n[h]: i.md\n";
    assert_eq!(links(text), ["b.md", "d.svg", "f#g", "i.md"]);
}

/// Every document of the repository.
fn documents() -> Vec<PathBuf> {
    fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            match () {
                () if name.starts_with('.') || name == "target" || name == "node_modules" => {}
                () if path.is_dir() => collect(&path, found),
                () if name.ends_with(".md") => found.push(path),
                () => {}
            }
        }
    }
    let mut found = Vec::new();
    collect(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join(".."),
        &mut found,
    );
    found
}

/// Lines that belong together: text, or what stands between two fences.
#[derive(Default)]
struct Block<'a> {
    is_code: bool,
    lines: Vec<&'a str>,
}

fn blocks(text: &str) -> Vec<Block<'_>> {
    let mut blocks = vec![Block::default()];
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            let is_code = !blocks.last().unwrap().is_code;
            blocks.push(Block {
                is_code,
                lines: Vec::new(),
            });
        } else {
            blocks.last_mut().unwrap().lines.push(line);
        }
    }
    blocks
}

/// Where the links and pictures of a document lead.
fn links(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let lines = blocks(text)
        .into_iter()
        .filter(|block| !block.is_code)
        .flat_map(|block| block.lines);
    for line in lines {
        let prose: String = line.split('`').step_by(2).collect();
        let inline = prose.split("](").skip(1);
        found.extend(inline.filter_map(|rest| Some(rest.split_once(')')?.0.to_owned())));
        let named = line
            .strip_prefix('[')
            .and_then(|rest| rest.split_once("]: "));
        found.extend(named.map(|(_, to)| to.to_owned()));
    }
    found
}

/// The anchors of a document's headings: small letters, digits, hyphens and underscores, with a number for the second of a name.
fn anchors(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let lines = blocks(text)
        .into_iter()
        .filter(|block| !block.is_code)
        .flat_map(|block| block.lines);
    for heading in lines.filter(|line| line.starts_with('#')) {
        let name: String = heading
            .trim_start_matches('#')
            .trim()
            .to_lowercase()
            .chars()
            .filter(|char| char.is_alphanumeric() || " -_".contains(*char))
            .map(|char| if char == ' ' { '-' } else { char })
            .collect();
        let before = found
            .iter()
            .filter(|known| {
                **known == name
                    || known
                        .strip_prefix(&format!("{name}-"))
                        .is_some_and(|rest| rest.parse::<u32>().is_ok())
            })
            .count();
        found.push(match before {
            0 => name,
            before => format!("{name}-{before}"),
        });
    }
    found
}
