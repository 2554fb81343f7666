"""What goes in: pictures and graphs, read and validated.

Here belongs whatever turns a file or an array into an input. Not here: what a model does with it (models, capture).
"""
