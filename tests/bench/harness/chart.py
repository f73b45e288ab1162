"""A bar chart as SVG: for every scenario a group of bars, one per peer, of CPU seconds per 100,000 requests."""

from html import escape

from harness.compare import Comparison

COLOURS = {"moongate": "#3b5bdb", "nginx": "#2b8a3e", "haproxy": "#e8590c", "envoy": "#ae3ec9"}
OTHER = "#868e96"
WIDTH, LEFT, RIGHT = 900, 120, 90
BAR, GAP, GROUP_GAP, TOP = 16, 3, 18, 48


def svg(comparisons: list[Comparison], title: str) -> str:
    """The chart. Bars share one scale, so that scenarios can be compared, too."""
    charted = [comparison for comparison in comparisons if comparison.figures]
    longest = max((figures.cpu for comparison in charted for figures in comparison.figures.values()), default=1.0)
    scale = (WIDTH - LEFT - RIGHT) / longest
    parts: list[str] = []
    y = TOP
    for comparison in charted:
        top = y
        for name, figures in sorted(comparison.figures.items(), key=lambda item: item[1].cpu):
            length = max(figures.cpu * scale, 1)
            parts.append(_rectangle(LEFT, y, length, COLOURS.get(name, OTHER), f"{name}: {figures.cpu:.3f} s"))
            parts.append(_text(LEFT + length + 5, y + BAR - 4, f"{name} {figures.cpu:.2f}"))
            y += BAR + GAP
        parts.append(_text(LEFT - 10, (top + y) / 2 + 2, comparison.scenario.name, anchor="end", weight="bold"))
        y += GROUP_GAP
    body = "\n".join(parts)
    name_space = 'xmlns="http://www.w3.org/2000/svg"'
    head = f'<svg {name_space} viewBox="0 0 {WIDTH} {y}" font-family="system-ui, sans-serif" font-size="12">'
    background = f'<rect width="{WIDTH}" height="{y}" fill="#ffffff"/>'
    caption = _text(LEFT, 20, title, weight="bold", size=14)
    subtitle = _text(LEFT, 37, "CPU seconds of the proxy per 100,000 requests: shorter is better")
    return "\n".join([head, f"<title>{escape(title)}</title>", background, caption, subtitle, body, "</svg>", ""])


def _rectangle(x: float, y: float, width: float, colour: str, hint: str) -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{BAR}"'
    return f'<rect {place} fill="{colour}"><title>{escape(hint)}</title></rect>'


def _text(x: float, y: float, text: str, anchor: str = "start", weight: str = "normal", size: int = 12) -> str:
    style = f'text-anchor="{anchor}" font-weight="{weight}" font-size="{size}"'
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="#212529" {style}>{escape(text)}</text>'
