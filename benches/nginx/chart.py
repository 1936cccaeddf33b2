"""The comparison as a picture: a bar for each contender's processor time, in SVG, for the README."""

from html import escape

WIDTH, LEFT, RIGHT = 860, 190, 150
BAR, GAP, TOP = 16, 16, 88
COLOURS = {"hot": "#2f6f9f", "all": "#9fc3dc"}
STYLE = (
    "text{font:13px system-ui,-apple-system,'Segoe UI',Helvetica,Arial,sans-serif;fill:#1f2328}"
    ".title{font-size:15px;font-weight:600}.note{fill:#59636e;font-size:12px}.ours{font-weight:600}"
)


def draw(report: dict) -> str:
    """Longer bars are worse. The dashed line is plain nginx."""
    contenders = list(report["contenders"].values())
    most = max(result[rotation]["processor_us"] for result in contenders for rotation in COLOURS)
    scale = (WIDTH - LEFT - RIGHT) / most
    row = 2 * BAR + GAP
    height = TOP + row * len(contenders) + 34
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img">',
        "<title>Processor time of a request to nginx, by how the key is checked</title>",
        f"<style>{STYLE}</style>",
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        text(16, 26, "Processor time of a request to nginx, by how the key is checked", "title"),
        text(16, 46, f"one worker, {report['keys']:,} keys; the service's time counts with nginx's; shorter is better", "note"),
    ]
    labels = {"hot": f"{report['hot']:,} of the keys in rotation", "all": "all of them in rotation"}
    for at, (rotation, colour) in zip((LEFT, LEFT + 220), COLOURS.items()):
        parts += [f'<rect x="{at}" y="60" width="12" height="12" fill="{colour}"/>', text(at + 18, 71, labels[rotation], "note")]
    for number, result in enumerate(contenders):
        y = TOP + row * number
        parts.append(text(LEFT - 10, y + BAR + 5, result["title"], "ours" if result["title"] == "keyward" else "", "end"))
        for line, (rotation, colour) in enumerate(COLOURS.items()):
            part, top = result[rotation], y + line * BAR
            width = part["processor_us"] * scale
            label = f"{part['processor_us']:.2f} µs"
            if number:
                label += f"  ({100 * (part['processor_ratio'] - 1):+.1f} %)"
            parts += [f'<rect x="{LEFT}" y="{top}" width="{width:.1f}" height="{BAR - 1}" fill="{colour}"/>',
                      text(LEFT + width + 6, top + BAR - 4, label, "note")]
    plain = LEFT + contenders[0]["hot"]["processor_us"] * scale
    bottom = TOP + row * len(contenders) - GAP + 6
    parts += [
        f'<line x1="{plain:.1f}" x2="{plain:.1f}" y1="{TOP - 6}" y2="{bottom}" stroke="#59636e" stroke-dasharray="3 3"/>',
        text(LEFT, height - 14, f"medians of {report['rounds']} rounds of {report['seconds']:g} s, the contenders taking turns", "note"),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def text(x: float, y: float, words: str, style: str = "", anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{style}" text-anchor="{anchor}">{escape(words)}</text>'
