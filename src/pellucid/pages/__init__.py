"""One page from one bundle: everything that a reader sees, as one file without scripts or requests.

`bundle.py` asks the model and keeps the numbers; everything else turns a bundle into HTML and never needs a model. What
belongs here is wording and layout; numbers about a model are found in `capture` and `methods`, colours in `figures`.
"""
