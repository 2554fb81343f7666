"""How the small models are trained: data, training, what was measured, model card.

Begin reading at `animals.py` for pictures and at `karate.py` for graphs. Here belongs what makes weights, bundled ones
too, and what measures them before they are written. Not here: loading them (`models.bundled`, `models.graph_files`),
and explaining or scoring anything for a user.
"""
