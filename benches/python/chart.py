"""The comparison as a picture: a bar for each way to check a key, in SVG, for the README."""

import importlib.util
from pathlib import Path
from typing import Any

# Its look is that of the nginx module's picture, which has the same name as this file.
_spec = importlib.util.spec_from_file_location("nginx_chart", Path(__file__).resolve().parents[1] / "nginx/chart.py")
assert _spec is not None and _spec.loader is not None
_look = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_look)

WIDTH, LEFT, RIGHT, TOP, BAR, GAP = 860, 250, 150, 66, 20, 10
TITLES = {
    "c_verify_key": "the C call, a key",
    "verify_key": "keyward: verify_key",
    "hash_and_dict": "Python: SHA-256 and a dict alone",
    "ctypes": "ctypes to the same library, a key",
    "pure": "Python: and time, address, scope",
    "c_verify": "the C call, a request of 8 headers",
    "verify": "keyward: verify, from the header list",
}


def draw(result: dict[str, Any]) -> str:
    """Shorter bars are better."""
    found = result["nanoseconds"]
    scale = (WIDTH - LEFT - RIGHT) / max(found.values())
    height = TOP + len(TITLES) * (BAR + GAP) + 40
    title = "What a check of a key costs in Python"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img">',
        f"<title>{title}</title>", f"<style>{_look.STYLE}</style>", f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        _look.text(16, 26, title, "title"),
        _look.text(16, 46, f"{result['keys']:,} keys, {result['rotation']:,} of them in rotation; Python {result['python']}; "
                   "shorter is better", "note"),
    ]
    for number, (name, words) in enumerate(TITLES.items()):
        top, ours = TOP + number * (BAR + GAP), name in ("verify_key", "verify")
        width, ratio = found[name] * scale, found[name] / found["verify_key"]
        parts += [
            _look.text(LEFT - 10, top + BAR - 5, words, "ours" if ours else "", "end"),
            f'<rect x="{LEFT}" y="{top}" width="{width:.1f}" height="{BAR}" fill="{"#2f6f9f" if ours else "#9fc3dc"}"/>',
            _look.text(LEFT + width + 6, top + BAR - 5, f"{found[name]:.0f} ns  (× {ratio:.2f})", "note"),
        ]
    parts += [_look.text(LEFT, height - 14, f"medians of {result['rounds']} rounds, the contenders taking turns; × of verify_key", "note"),
              "</svg>"]
    return "\n".join(parts) + "\n"
