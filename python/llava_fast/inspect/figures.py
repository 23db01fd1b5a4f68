"""Packs as bars, SVG inside a page."""

from html import escape

from llava_fast.inspect.views import Document, Pack
from llava_fast.printable import escaped

_WIDTH, _HEIGHT = 1000, 34


def pack_figure(pack: Pack) -> str:
    """A bar of the documents of a pack, true to scale, and a table of them."""
    free = pack.room - pack.used
    scale = _WIDTH / pack.room
    boxes = [_box(document, scale) for document in pack.documents]
    if free:
        start = f'x="{pack.used * scale:.1f}" width="{free * scale:.1f}"'
        boxes.append(f'<rect class="free" y="1" height="32" {start}><title>padding</title></rect>')
    rows = "".join(map(_row, pack.documents))
    return (
        f"<p><b>batch {pack.step}</b> {escape(pack.words)}</p>"
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img">{"".join(boxes)}</svg>'
        "<table><tr><th>tokens</th><th>record</th><th>id</th><th>positions</th><th>learned</th>"
        f"<th></th></tr>{rows}</table>"
    )


def _box(document: Document, scale: float) -> str:
    x, width = document.start * scale, (document.stop - document.start) * scale
    name = f"record {document.record}"
    label = f'<text x="{x + 5:.1f}" y="21">{document.record}</text>' if width > 40 else ""
    kind = "hole" if document.fault else "doc"
    box = f'<rect class="{kind}" x="{x:.1f}" y="1" width="{width:.1f}" height="32">'
    return f"{box}<title>{name}</title></rect>{label}"


def _row(document: Document) -> str:
    first, last = document.positions
    hole = f"hole: {escape(document.fault)}" if document.fault else ""
    return (
        f"<tr><td>[{document.start}..{document.stop})</td><td>{document.record}</td>"
        f"<td><code>{escape(escaped(document.id))}</code></td><td>{first}..{last}</td>"
        f"<td>{document.supervised}</td><td>{hole}</td></tr>"
    )
