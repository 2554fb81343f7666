"""What happens inside: sites, traces, replay, and the only file that runs a model, `passes.py`.

Here belongs whatever observes a forward or backward pass. Not here: what the numbers mean for a decision (methods).
"""
