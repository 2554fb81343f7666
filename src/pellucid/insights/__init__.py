"""What a network has learnt: its filters, the form and the class along its depth, the path of a decision.

What belongs here finds something out about a model, and may use targets and explanations. It never scores an
explanation, never draws and never runs a model itself: `capture.passes` does.
"""
