"""How numbers look: colours, mosaics, overlays, legends. Arrays in, PNG or SVG out.

A leaf: it knows no model, no trace and no explanation, so that each of them can draw itself.
"""
