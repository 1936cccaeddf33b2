"""The comparison as a picture: a bar for each way to check a key, in SVG, for the README."""

import importlib.util
from pathlib import Path
from typing import Any

# Its look is that of the nginx module's picture, which has the same name as this file.
_spec = importlib.util.spec_from_file_location("nginx_chart", Path(__file__).resolve().parents[1] / "nginx/chart.py")
assert _spec is not None and _spec.loader is not None
_look = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_look)

WIDTH, LEFT, RIGHT, TOP, BAR, GAP = 860, 290, 150, 66, 20, 10
OURS, OTHERS = "#2f6f9f", "#9fc3dc"
COSTS = {
    "loop": "the loop, and a function of nothing",
    "c_verify_key": "the C call, a key",
    "verify_key": "keyward: verify_key",
    "hash_and_dict": "Python: SHA-256 and a dict alone",
    "ctypes": "ctypes to the same library, a key",
    "pure": "Python: and time, address, scope",
    "c_verify": "the C call, a request of 8 headers",
    "verify": "keyward: verify, from the header list",
}
RATES = {"plain": "FastAPI without a check", "middleware": "keyward: middleware", "dependency": "keyward: dependency"}


def draw(result: dict[str, Any]) -> str:
    """What a check costs, where shorter is better; and how many requests there are a second, where longer is."""
    found, rates = result["nanoseconds"], result.get("throughput")
    costs = [(words, found[name], f"{found[name]:.0f} ns  (× {found[name] / found['verify_key']:.2f})")
             for name, words in COSTS.items()]
    height = TOP + (len(costs) + (len(RATES) + 2 if rates else 0)) * (BAR + GAP) + 40
    title = "What a check of a key costs in Python"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img">',
        f"<title>{title}</title>", f"<style>{_look.STYLE}</style>", f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        _look.text(16, 26, title, "title"),
        _look.text(16, 46, f"{result['keys']:,} keys, {result['rotation']:,} of them in rotation; Python {result['python']}; "
                   "processor time, shorter is better", "note"),
        *bars(costs, TOP),
    ]
    if rates:
        top = TOP + (len(costs) + 1) * (BAR + GAP)
        parts += [_look.text(16, top, "Requests a second to FastAPI on one uvicorn", "title"),
                  _look.text(16, top + 18, "longer is better; in brackets the server's processor time of a request", "note")]
        lines = [(words, rates[name], f"{rates[name]:,.0f}  ({rates[name + '_processor_us']:.0f} µs each)")
                 for name, words in RATES.items()]
        parts += bars(lines, top + BAR + GAP)
    parts += [_look.text(LEFT, height - 14, f"medians of {result['rounds']} rounds, the contenders taking turns", "note"), "</svg>"]
    return "\n".join(parts) + "\n"


def bars(lines: list[tuple[str, float, str]], top: float) -> list[str]:
    scale = (WIDTH - LEFT - RIGHT) / max(value for _, value, _ in lines)
    parts = []
    for number, (words, value, label) in enumerate(lines):
        at, ours = top + number * (BAR + GAP), words.startswith("keyward")
        parts += [
            _look.text(LEFT - 10, at + BAR - 5, words, "ours" if ours else "", "end"),
            f'<rect x="{LEFT}" y="{at}" width="{value * scale:.1f}" height="{BAR}" fill="{OURS if ours else OTHERS}"/>',
            _look.text(LEFT + value * scale + 6, at + BAR - 5, label, "note"),
        ]
    return parts
