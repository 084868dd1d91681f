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
NUMBER = ("", lambda value: f"{value:,.0f}")

# The figure's name, what it is called, how it is written.
ROWS = (
    ("drain_us", "CPU a post, a backlog read, kept and sent", US),
    ("one_a_call_us", "CPU a post, live at 100 posts/s, one call a post", US),
    ("shared_us", "CPU a post, live at 100 posts/s, posts wait for others to share a call", US),
    ("posts_per_s", "Posts a second, draining", NUMBER),
    ("peak_kib", "Peak memory, draining", MB),
    ("idle_kib", "Memory at 10 posts/s (RSS: with the program's own pages of its file)", MB),
    ("idle_anon_kib", "... of which nothing else could give back (RssAnon)", MB),
    ("up_bytes", "Up a post, draining", BYTES),
    ("down_bytes", "Down a post, draining", BYTES),
    ("live_up_bytes", "Up a post, live at 100 posts/s", BYTES),
    ("live_down_bytes", "Down a post, live at 100 posts/s", BYTES),
    ("slow_up_bytes", "Up a post, live at 10 posts/s", BYTES),
    ("slow_down_bytes", "Down a post, live at 10 posts/s", BYTES),
    ("drain_posts_per_call", "Posts a call, draining", NUMBER),
    ("live_posts_per_call", "Posts a call, live at 100 posts/s", NUMBER),
    ("slow_posts_per_call", "Posts a call, live at 10 posts/s", NUMBER),
    ("shard_posts_per_s", "Posts a second through one shard with Kinesis's limits", NUMBER),
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
    ("armv7_instructions", "Instructions a post on armv7: append, commit, peek, request, sign", NUMBER),
    ("armv7_pack_instructions", "The same, packed", NUMBER),
    ("binary_armv7_bytes", "Binary, armv7", SIZE),
)

HEADWATER, PACKED, CBOR = "headwater", "headwater --pack", "headwater --pack --wire cbor"
SDK_500, SDK_1 = "aws-sdk-kinesis, 500 a call", "aws-sdk-kinesis, 1 a call"

# What a post took on armv7 before there were packs: 51,000 instructions.
ARMV7_BEFORE = 51_000

# What is aimed at: a name, a figure of the summary, whether it may be at most or is to be at least so much, how both are written.
TARGETS = (
    ("Up a post, draining, packed", lambda s: s[PACKED]["up_bytes"], "at most", 190, "{:.0f} bytes"),
    ("... in CBOR", lambda s: s[CBOR]["up_bytes"], "at most", 150, "{:.0f} bytes"),
    ("Up a post, live at 10 posts/s, --pack --linger 1s", lambda s: s[PACKED]["slow_up_bytes"], "at most", 350, "{:.0f} bytes"),
    ("Posts a second through one shard, packed", lambda s: s[PACKED]["shard_posts_per_s"], "at least", 6_000, "{:,.0f}"),
    ("CPU a post, read, kept and sent", lambda s: s[HEADWATER]["drain_us"], "at most", 3.2, "{:.2f} us"),
    ("... packed", lambda s: s[PACKED]["drain_us"], "at most", 2.8, "{:.2f} us"),
    ("... packed, beside the SDK's 500 a call", lambda s: s[PACKED]["drain_us"] / s[SDK_500]["drain_us"], "at most", 1.15, "{:.2f}"),
    (
        "CPU a post, live at 100 posts/s, one call a post, beside the SDK's one call a post",
        lambda s: s[HEADWATER]["one_a_call_us"] / s[SDK_1]["one_a_call_us"],
        "at most",
        0.38,
        "{:.2f}",
    ),
    (
        "... with --pack --linger 200ms, beside the SDK's one call a post",
        lambda s: s[PACKED]["shared_us"] / s[SDK_1]["one_a_call_us"],
        "at most",
        0.1,
        "{:.2f}",
    ),
    ("Instructions a post on armv7, beside 51,000", lambda s: s[HEADWATER]["armv7_instructions"] / ARMV7_BEFORE, "at most", 0.85, "{:.2f}"),
    ("... packed", lambda s: s[HEADWATER]["armv7_pack_instructions"] / ARMV7_BEFORE, "at most", 0.6, "{:.2f}"),
    ("Peak memory", lambda s: s[HEADWATER]["peak_kib"] * 1024 / 1e6, "at most", 6, "{:.1f} MB"),
    ("... packed", lambda s: s[PACKED]["peak_kib"] * 1024 / 1e6, "at most", 6, "{:.1f} MB"),
    ("Memory at 10 posts/s, RssAnon", lambda s: s[HEADWATER]["idle_anon_kib"] * 1024 / 1e6, "below", 1.5, "{:.2f} MB"),
    ("... packed", lambda s: s[PACKED]["idle_anon_kib"] * 1024 / 1e6, "below", 1.5, "{:.2f} MB"),
    ("To flash a post, healthy", lambda s: s[HEADWATER]["live_flash_bytes"], "at most", 0, "{:.0f} bytes"),
    ("From start to first post", lambda s: s[HEADWATER]["first_ms"], "at most", 50, "{:.0f} ms"),
    ("... with a full spool of 1 GiB", lambda s: s[HEADWATER]["open_ms"], "at most", 1000, "{:.0f} ms"),
    ("Binary, armv7", lambda s: s[HEADWATER]["binary_armv7_bytes"] / 1e6, "at most", 2.4, "{:.2f} MB"),
)

IS_MET = {"at most": float.__le__, "at least": float.__ge__, "below": float.__lt__}


def write_results(posts: int, rounds: dict, summary: dict, shares_calls: dict[str, bool]):
    """Writes `bench/results/` anew, and prints the table. `shares_calls` tells whose live posts wait for others to share a call with."""
    RESULTS.mkdir(exist_ok=True)
    about = machine() | {"posts": posts, "rounds": len(next(iter(rounds.values())))}
    for name, found in summary.items():
        found["shared_us" if shares_calls[name] else "one_a_call_us"] = found["live_us"]
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
        "needs a call); CPU time is user and kernel, without what starting costs. Live, a loop either sends each post in a call of its own, or has posts "
        "wait for others to share a call: headwater with `--linger 200ms` at 100 posts a second and `--linger 1s` at 10, the SDK's loop until "
        "500 are there, which is seconds. Bytes are those of TLS, and live those after connecting. headwater reads lines, looks for the keyword, puts each "
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
    lines = ["| target | | measured | |", "|---|---:|---:|---|"]
    for label, measured, bound, limit, form in TARGETS:
        aim = f"{bound} {form.format(limit)}"
        try:
            value = float(measured(summary))
        except KeyError:
            lines.append(f"| {label} | {aim} | not measured | **missed** |")
            continue
        verdict = "met" if IS_MET[bound](value, float(limit)) else "**missed**"
        lines.append(f"| {label} | {aim} | {form.format(value)} | {verdict} |")
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
OURS, OTHERS = "#0969da", "#8c959f"


def plot(summary: dict) -> str:
    """Bars, each panel to a scale of its own; readable on light and dark pages."""
    width, label, bar, row, gap = 860, 220, 500, 24, 40
    parts, y = [], 10
    for key, title, (unit, form) in PANELS:
        parts.append(f'<text x="0" y="{y + 14}" font-weight="bold">{escape(title)}</text>')
        y += 26
        most = max(found[key] for found in summary.values())
        for name, found in summary.items():
            colour = OURS if name.startswith(HEADWATER) else OTHERS
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
