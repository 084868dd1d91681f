//! The two programs of the pipeline, built from this very source tree.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};
use serde_json::Value;

/// Where the programs lie.
#[derive(Clone, Debug)]
pub struct Binaries {
    /// The producer, for the board.
    pub headwater: PathBuf,
    /// The function, for Lambda: its `bootstrap`.
    pub function: PathBuf,
}

/// The folder of the workspace.
pub fn workspace() -> &'static Path {
    let local = Path::new(env!("CARGO_MANIFEST_DIR"));
    local.parent().unwrap_or(local)
}

impl Binaries {
    /// Builds both with cargo, which shows its progress on standard error. Each alone, as a user does: what one needs of a library the other
    /// uses too must not get into it. The profile is that of development, in which the build of this program has compiled most of it.
    pub fn build() -> anyhow::Result<Self> {
        Ok(Self {
            headwater: build("headwater", "headwater", &[])?,
            // It is uploaded and unpacked: without its symbols it is a fraction of the size.
            function: build(
                "cloud",
                "bootstrap",
                &["--config", "profile.dev.package.cloud.strip=true"],
            )?,
        })
    }
}

/// Builds one program of one package.
fn build(package: &str, program: &str, options: &[&str]) -> anyhow::Result<PathBuf> {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| env!("CARGO").into()));
    // What cargo tells the program it runs is not for the next cargo: build scripts would see a change, and all would be built again.
    for (name, _) in env::vars_os() {
        let told = ["CARGO_PKG_", "CARGO_MANIFEST_"];
        if told
            .iter()
            .any(|prefix| name.to_string_lossy().starts_with(prefix))
        {
            cargo.env_remove(name);
        }
    }
    let output = cargo
        .current_dir(workspace())
        .args(["build", "--package", package, "--bin", program])
        .args(["--message-format", "json-render-diagnostics"])
        .args(options)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .context("cargo cannot be started")?;
    ensure!(
        output.status.success(),
        "{program} does not build: see above"
    );
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["target"]["name"] == program)
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
        .with_context(|| format!("cargo built no program called {program}"))
}
