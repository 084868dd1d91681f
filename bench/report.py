"""What was measured, for people: a table, a plot, and the figures themselves for whoever wants to look closer."""

import json
import os
import platform
import re
import subprocess
from datetime import UTC, datetime
from html import escape
from pathlib import Path

RESULTS = Path(__file__).resolve().parent / "results"

US = ("us", lambda value: f"{value:,.2f}" if value < 100 else f"{value:,.0f}")
MB = ("MB", lambda kib: f"{kib * 1024 / 1e6:,.1f}")
BYTES = ("bytes", lambda value: f"{value:,.0f}")
MILLISECONDS = ("ms", lambda value: f"{value:,.0f}")
SIZE = ("MB", lambda value: f"{value / 1e6:,.2f}")

# The figure's name, what it is called, how it is written.
ROWS = (
    ("drain_us", "CPU a post, a backlog read, kept and sent", US),
    ("live_us", "CPU a post, live at 100 posts/s, one call a post", US),
    ("posts_per_s", "Posts a second, draining", ("", lambda value: f"{value:,.0f}")),
    ("peak_kib", "Peak memory, draining", MB),
    ("idle_kib", "Memory at 10 posts/s", MB),
    ("wire_bytes", "On the wire a post, draining", BYTES),
    ("live_wire_bytes", "On the wire a post, live", BYTES),
    ("drain_flash_bytes", "To flash a post, after an outage", BYTES),
    ("live_flash_bytes", "To flash a post, healthy", BYTES),
    ("first_ms", "From start to first post", MILLISECONDS),
    ("binary_bytes", "Binary, this machine", SIZE),
)

# What only headwater has.
ALONE = (
    ("fill_us", "CPU a post, to read it and bring it to the card in an outage", US),
    ("send_us", "CPU a post, to drain it from the card", US),
    ("catch_up_us", "CPU a post, when posts come as fast as a healthy network takes them", US),
    ("catch_up_flash_bytes", "To flash a post, then", BYTES),
    ("open_ms", "From start to first post, a full spool of 1 GiB", MILLISECONDS),
    ("open_cold_ms", "The same, nothing in the page cache", MILLISECONDS),
    ("binary_armv7_bytes", "Binary, armv7", SIZE),
)

HEADWATER, SDK_500, SDK_1 = "headwater", "aws-sdk-kinesis, 500 a call", "aws-sdk-kinesis, 1 a call"

# What is aimed at: a name, a figure of the summary, the most it may be, how both are written.
TARGETS = (
    ("CPU a post, read, kept and sent", lambda s: s[HEADWATER]["drain_us"], 2.5, "{:.2f} us"),
    ("... beside the SDK's 500 a call", lambda s: s[HEADWATER]["drain_us"] / s[SDK_500]["drain_us"], 0.65, "{:.2f}"),
    ("CPU a post, live, beside the SDK's", lambda s: s[HEADWATER]["live_us"] / s[SDK_1]["live_us"], 1 / 3, "{:.2f}"),
    ("Peak memory", lambda s: s[HEADWATER]["peak_kib"] * 1024 / 1e6, 6, "{:.1f} MB"),
    ("Memory at 10 posts/s", lambda s: s[HEADWATER]["idle_kib"] * 1024 / 1e6, 4, "{:.1f} MB"),
    ("To flash a post, healthy", lambda s: s[HEADWATER]["live_flash_bytes"], 0, "{:.0f} bytes"),
    ("From start to first post", lambda s: s[HEADWATER]["first_ms"], 50, "{:.0f} ms"),
    ("... with a full spool of 1 GiB", lambda s: s[HEADWATER]["open_ms"], 1000, "{:.0f} ms"),
    ("Binary, armv7", lambda s: s[HEADWATER].get("binary_armv7_bytes", 0) / 1e6, 2.5, "{:.2f} MB"),
)


def write_results(posts: int, rounds: dict, summary: dict):
    """Writes `bench/results/` anew, and prints the table."""
    RESULTS.mkdir(exist_ok=True)
    about = machine() | {"posts": posts, "rounds": len(next(iter(rounds.values())))}
    raw = {"machine": about, "medians": summary, "rounds": rounds}
    (RESULTS / "figures.json").write_text(json.dumps(raw, indent=1) + "\n")
    (RESULTS / "plot.svg").write_text(plot(summary))
    text = "\n".join([*heading(about), "", *table(summary), "", *alone(summary), "", *targets(summary), "", *spread(rounds), ""])
    (RESULTS / "README.md").write_text(text)
    print(text)


def machine() -> dict:
    cpuinfo = Path("/proc/cpuinfo").read_text()
    field = lambda name: (re.findall(rf"^{name}\s*: (.*)$", cpuinfo, re.MULTILINE) or ["unknown"])[0]
    flags = set(field("flags").split())
    memory = re.findall(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text())[0]
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "cpu": field("model name"),
        "cores": os.cpu_count(),
        "memory_gib": round(int(memory) / 1024**2),
        "instructions": sorted(flags & {"aes", "vaes", "avx2", "avx512f", "sha_ni"}),
        "kernel": platform.release(),
        "load": round(os.getloadavg()[2], 1),
        "rustc": subprocess.run(["rustc", "--version"], capture_output=True, text=True).stdout.strip(),
        "commit": subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip(),
    }


def heading(about: dict) -> list[str]:
    return [
        "# Measured",
        "",
        f"By `bench/run` on {about['date']} at {about['commit']}: {about['cores']} cores of {about['cpu']} "
        f"({', '.join(about['instructions'])}), {about['memory_gib']} GiB, Linux {about['kernel']}, {about['rustc']}; "
        f"load {about['load']}.",
        "",
        f"Each figure is the median of {about['rounds']} rounds, in which the contenders take turns. {about['posts']:,} records of 570 "
        "bytes are drained over TLS into a server on the same machine that takes them as fast as it can (a twentieth of them where each "
        "needs a call); CPU time is user and kernel, without what starting costs. headwater reads lines, looks for the keyword, puts each "
        "line into its envelope and that through its disk queue; the other loops read lines and send them, and keep nothing.",
        "",
        "![CPU and memory, side by side](plot.svg)",
    ]


def table(summary: dict) -> list[str]:
    names = list(summary)
    lines = ["| | " + " | ".join(names) + " |", "|---|" + "---:|" * len(names)]
    for key, label, (unit, form) in ROWS:
        cells = [f"{form(summary[name][key])} {unit}".strip() if key in summary[name] else "-" for name in names]
        lines.append(f"| {label} | " + " | ".join(cells) + " |")
    return lines


def alone(summary: dict) -> list[str]:
    found = summary[HEADWATER]
    lines = ["| headwater alone | |", "|---|---:|"]
    return lines + [f"| {label} | {form(found[key])} {unit} |" for key, label, (unit, form) in ALONE if key in found]


def targets(summary: dict) -> list[str]:
    lines = ["| target | at most | measured | |", "|---|---:|---:|---|"]
    for label, measured, limit, form in TARGETS:
        value = measured(summary)
        verdict = "met" if value <= limit else "**missed**"
        lines.append(f"| {label} | {form.format(limit)} | {form.format(value)} | {verdict} |")
    return lines


def spread(rounds: dict) -> list[str]:
    """How far the rounds lie apart: what a difference between two figures is worth."""
    lines = ["| CPU a post, least to most of the rounds | draining | live |", "|---|---:|---:|"]
    for name, found in rounds.items():
        cells = []
        for key in ("drain_us", "live_us"):
            values = [figures[key] for figures in found]
            cells.append(f"{US[1](min(values))} to {US[1](max(values))} us")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return lines


PANELS = (("drain_us", "CPU a post, a backlog read, kept and sent", US), ("live_us", "CPU a post, live", US), ("peak_kib", "Peak memory, draining", MB))
COLOURS = ("#0969da", "#8c959f", "#8c959f", "#8c959f")


def plot(summary: dict) -> str:
    """Bars, each panel to a scale of its own; readable on light and dark pages."""
    width, label, bar, row, gap = 860, 220, 500, 24, 40
    parts, y = [], 10
    for key, title, (unit, form) in PANELS:
        parts.append(f'<text x="0" y="{y + 14}" font-weight="bold">{escape(title)}</text>')
        y += 26
        most = max(found[key] for found in summary.values())
        for colour, (name, found) in zip(COLOURS, summary.items()):
            length = max(1.5, found[key] / most * bar)
            parts.append(f'<text x="{label - 8}" y="{y + 13}" text-anchor="end">{escape(name)}</text>')
            parts.append(f'<rect x="{label}" y="{y}" width="{length:.1f}" height="{row - 7}" rx="2" style="fill:{colour}"/>')
            parts.append(f'<text x="{label + length + 6:.1f}" y="{y + 13}">{form(found[key])} {unit}</text>')
            y += row
        y += gap - row
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {y}" width="{width}" height="{y}" '
        'font-family="system-ui, sans-serif" font-size="13">\n'
        "<style>text { fill: #24292f } @media (prefers-color-scheme: dark) { text { fill: #e6edf3 } }</style>\n"
        + "\n".join(parts)
        + "\n</svg>\n"
    )
