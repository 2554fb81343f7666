"""Whether an explanation is true: what scores explanations belongs here.

It never makes explanations, never draws, and never runs a model itself: `capture` does. What finds something out about
a model rather than about an explanation is in `insights`.
"""
