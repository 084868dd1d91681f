//! File names with `*` and `?`, as in a shell: neither matches a `/`, or a `.` at the beginning of a name (glob(7)).

use std::fs;
use std::path::{Component, Path, PathBuf};

/// Whether `path` contains `*` or `?`, and is not itself the name of a file.
pub fn is_pattern(path: &Path) -> bool {
    path.to_string_lossy().contains(['*', '?']) && fs::symlink_metadata(path).is_err()
}

/// The paths that match `pattern`, sorted.
pub fn matching(pattern: &Path) -> Vec<PathBuf> {
    let mut found = vec![PathBuf::new()];
    for part in pattern.components() {
        let name = part.as_os_str().to_string_lossy();
        if matches!(part, Component::Normal(_)) && name.contains(['*', '?']) {
            found = found
                .iter()
                .flat_map(|folder| names_in(folder, &name))
                .collect();
        } else {
            for path in &mut found {
                path.push(part);
            }
        }
    }
    found.retain(|path| path.exists());
    found.sort();
    found
}

fn names_in(folder: &Path, pattern: &str) -> Vec<PathBuf> {
    let listed = match folder.as_os_str().is_empty() {
        true => Path::new("."),
        false => folder,
    };
    let entries = fs::read_dir(listed).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name());
    names
        .filter(|name| matches_name(pattern, &name.to_string_lossy()))
        .map(|name| folder.join(name))
        .collect()
}

/// Whether `path`, which need not exist, matches `pattern`.
pub fn matches(pattern: &Path, path: &Path) -> bool {
    let (mut parts, mut names) = (pattern.components(), path.components());
    loop {
        match (parts.next(), names.next()) {
            (None, None) => return true,
            (Some(part), Some(name)) => {
                let (part, name) = (part.as_os_str(), name.as_os_str());
                if part != name && !matches_name(&part.to_string_lossy(), &name.to_string_lossy()) {
                    return false;
                }
            }
            _ => return false,
        }
    }
}

fn matches_name(pattern: &str, name: &str) -> bool {
    if name.starts_with('.') && !pattern.starts_with('.') {
        return false;
    }
    let (mut pattern, mut name) = (pattern.chars(), name.chars());
    // The state at the last star, to let it match one character more.
    let mut again = None;
    loop {
        let before = name.clone();
        match (pattern.next(), name.next()) {
            (None, None) => return true,
            (Some('*'), _) => {
                name = before;
                again = Some((pattern.clone(), name.clone()));
            }
            (Some('?'), Some(_)) => {}
            (Some(one), Some(other)) if one == other => {}
            _ => {
                let Some((after_star, from)) = &mut again else {
                    return false;
                };
                if from.next().is_none() {
                    return false;
                }
                (pattern, name) = (after_star.clone(), from.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests;
