"""How the bundled models were trained: drawings, training, truth, model card.

Here belongs what makes the bundled weights and what measures them before they are shipped. Not here: loading them
(`models.bundled`), and explaining or scoring anything for a user.
"""
