"""A driver that runs a recipe and is killed right after its state was saved at a step."""

KILLED = """
import os, signal, sys
from pathlib import Path
import lingraft.training.state
from lingraft.recipe.parsing import read_recipe

whole = lingraft.training.state.save_training_state

def save(path, state):
    whole(path, state)
    if state.step == {step}:
        os.kill(os.getpid(), signal.SIGKILL)

lingraft.training.state.save_training_state = save  # before anything takes it from there
import lingraft.runs.pipeline
lingraft.runs.pipeline.run(read_recipe(Path(sys.argv[1])), save_every=-1.0)
"""
