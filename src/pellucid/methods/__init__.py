"""Why this answer: targets, explanations and the methods that make them, one file per family."""
