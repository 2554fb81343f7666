from dataclasses import replace

import pytest

from pellucid.figures.bars import draw_bars
from pellucid.pages.inline import Inline, check

HEAD = '<svg xmlns="http://www.w3.org/2000/svg" width="10" height="10">'


def test_a_drawing_of_ours_is_written_as_it_is() -> None:
    drawn = draw_bars([1.0, -2.0], ["<b>", "&"])
    assert Inline(drawn).__html__() == drawn.svg


@pytest.mark.parametrize(
    "inside",
    [
        "<script>alert(1)</script>",
        '<g onclick="alert(1)"/>',
        '<g style="fill:red"/>',
        '<image href="https://example.org/x.png"/>',
        '<image href="javascript:alert(1)"/>',
        '<image href="data:image/svg+xml;base64,AAAA"/>',
        '<rect fill="url(https://example.org)"/>',
        "<foreignObject/>",
        "<a/>",
        '<use href="#x"/>',
        "<style>*{}</style>",
        "<!-- a comment -->",
        "<![CDATA[x]]>",
        "<title><b/></title>",
        '<html xmlns="http://www.w3.org/1999/xhtml"/>',
        "<g>",
    ],
)
def test_anything_else_is_refused(inside: str) -> None:
    drawn = replace(draw_bars([1.0]), svg=f"{HEAD}{inside}</svg>")
    with pytest.raises(ValueError, match="a drawing"):
        Inline(drawn)


def test_a_document_type_is_refused() -> None:
    with pytest.raises(ValueError, match="a declaration"):
        check(f"<!DOCTYPE svg>{HEAD}</svg>")
