"""Training: recipes, the loop, checkpoints and reports. The command is `python -m training.run`."""
