"""What is explained: loading models with trust tiers, their preprocessing, and the networks that pellucid brings along.

Here belongs whatever is known about a model before it runs. Not here: running it (capture).
"""
