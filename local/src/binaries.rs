//! The two programs of the pipeline, built from this very source tree.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};
use serde_json::Value;

/// Paths of the programs.
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
    /// Builds both with cargo, whose progress is on standard error. Each is built alone, as a user does, so that cargo does not unify the features of
    /// shared libraries. The profile is the one in which this program's own build has compiled most of it.
    ///
    /// # Errors
    /// If cargo cannot build them.
    pub fn build() -> anyhow::Result<Self> {
        Ok(Self {
            headwater: build("headwater", "headwater", &[])?,
            // It is uploaded and unpacked, and is much smaller without symbols.
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
    // The variables that cargo sets for this program are removed: build scripts would see them as a change, and everything would be rebuilt.
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
