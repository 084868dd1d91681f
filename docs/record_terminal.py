"""Runs a command in a pseudo-terminal and draws what it shows, as it moves, as an SVG: record_terminal.py FILE.svg COMMAND...

A line of the picture is one text for each content it had, which a CSS animation shows from its first to its last moment. Where animations
are off the last screen is shown.
"""

import fcntl
import os
import pty
import struct
import sys
import termios
import time
from html import escape

import pyte

COLUMNS, ROWS = 112, 31
# The screen is looked at so often; what came and went in between is not shown.
FRAME_S = 0.25
# Of a longer wait, so much is shown.
LONGEST_WAIT_S = 1.5
# How long the last screen stays before the film begins again.
LAST_SCREEN_S = 8
CHAR_PX, LINE_PX, MARGIN_PX, FONT_PX = 8.4, 18, 16, 14
BACKGROUND, FOREGROUND = "#16191d", "#d5d9de"
COLORS = {"red": "#f0706a", "green": "#6fc276", "brown": "#d9b45b", "blue": "#6ea8e8"}


def output_of(command):
    """What `command` writes to its terminal, in pieces: (seconds since its start, bytes)."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ.update(TERM="xterm-256color", COLUMNS=str(COLUMNS), LINES=str(ROWS))
        os.execvp(command[0], command)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    start = time.monotonic()
    pieces = []
    while True:
        try:
            piece = os.read(terminal, 65536)
        except OSError:  # EIO: the command has ended
            break
        if not piece:
            break
        pieces.append((time.monotonic() - start, piece))
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if status != 0:
        sys.exit(f"{command[0]} ended with {status}: nothing is recorded\n{pieces[-1][1].decode(errors='replace') if pieces else ''}")
    return pieces


def frames_of(command, pieces):
    """The screens that `pieces` make: (seconds, lines), each line a tuple of (column, color, text)."""
    screen = pyte.Screen(COLUMNS, ROWS)
    stream = pyte.ByteStream(screen)
    stream.feed(f"$ {' '.join(command)}\r\n".encode())
    frames = [(0.0, lines_of(screen))]
    shown_s, before_s = 0.0, 0.0
    for at_s, piece in pieces:
        shown_s += min(at_s - before_s, LONGEST_WAIT_S)
        before_s = at_s
        stream.feed(piece)
        lines = lines_of(screen)
        if shown_s - frames[-1][0] < FRAME_S and len(frames) > 1:
            frames[-1] = (frames[-1][0], lines)
        else:
            frames.append((shown_s, lines))
    return frames, shown_s + LAST_SCREEN_S


def lines_of(screen):
    """The lines of a screen. Two spaces end a piece of text, so that columns stay in their places whatever the font."""
    lines = []
    for row in range(ROWS):
        pieces, column = [], 0
        while column < COLUMNS:
            cell = screen.buffer[row][column]
            start, color, text = column, cell.fg, ""
            while column < COLUMNS and screen.buffer[row][column].fg == color and not text.endswith("  "):
                text += screen.buffer[row][column].data
                column += 1
            if text.strip():
                start += len(text) - len(text.lstrip())
                pieces.append((start, color, text.strip()))
        lines.append(tuple(pieces))
    return lines


def svg_of(frames, total_s):
    """The film."""
    spans = []  # (row, line, from, to)
    for row in range(ROWS):
        since_s, line = 0.0, ()
        for at_s, lines in frames:
            if lines[row] != line:
                if line:
                    spans.append((row, line, since_s, at_s))
                since_s, line = at_s, lines[row]
        if line:
            spans.append((row, line, since_s, total_s))
    rows = max(row for row, *_ in spans) + 1
    width, height = COLUMNS * CHAR_PX + 2 * MARGIN_PX, rows * LINE_PX + 2 * MARGIN_PX
    times = sorted({(since_s, until_s) for _, _, since_s, until_s in spans})
    rules = []
    for name, (since_s, until_s) in enumerate(times):
        percent = lambda at_s: f"{100 * at_s / total_s:.2f}%"
        steps = "" if since_s == 0 else "0%{opacity:0}"
        steps += f"{percent(since_s)}{{opacity:1}}"
        steps += "" if until_s == total_s else f"{percent(until_s)}{{opacity:0}}"
        at_rest = int(until_s == total_s)
        rules.append(f"@keyframes k{name}{{{steps}}}.k{name}{{animation-name:k{name};opacity:{at_rest}}}")
    texts = []
    for row, line, since_s, until_s in spans:
        y = MARGIN_PX + row * LINE_PX + FONT_PX
        pieces = "".join(
            f'<tspan x="{MARGIN_PX + column * CHAR_PX:.1f}"'
            + (f' fill="{COLORS[color]}"' if color in COLORS else "")
            + f">{escape(text)}</tspan>"
            for column, color, text in line
        )
        texts.append(f'<text class="k{times.index((since_s, until_s))}" y="{y}">{pieces}</text>')
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}" width="{width:.0f}" height="{height}">
<!-- Made by docs/record-demo from a real run. -->
<style>
text{{font:{FONT_PX}px ui-monospace,"DejaVu Sans Mono",Menlo,Consolas,monospace;fill:{FOREGROUND};white-space:pre;animation:{total_s:.2f}s step-end infinite}}
@media (prefers-reduced-motion:reduce){{text{{animation:none!important}}}}
{chr(10).join(rules)}
</style>
<rect width="100%" height="100%" rx="8" fill="{BACKGROUND}"/>
{chr(10).join(texts)}
</svg>
"""


def main():
    file, command = sys.argv[1], sys.argv[2:]
    pieces = output_of(command)
    frames, total_s = frames_of(command, pieces)
    svg = svg_of(frames, total_s)
    with open(file, "w", encoding="utf-8") as out:
        out.write(svg)
    print(f"{file}: {len(frames)} screens, {total_s:.0f} s, {len(svg) // 1024} KiB")


main()
