"""What can only be seen in a process of its own: without the type checks of the tests, and with memory to compare."""

import subprocess
import sys

from pellucid.methods.catalogue import METHODS

HEAD = """
import random, sys, warnings
warnings.simplefilter("error")
import numpy as np, torch, pellucid
from torch import nn
from pellucid.methods.catalogue import METHODS, build, settings_of
torch.set_num_threads(1)
maps = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True), nn.Dropout(0.5))
net = nn.Sequential(maps, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))
net.train()
x = torch.rand(1, 3, 8, 8)
"""


def outside(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", HEAD + code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_no_method_draws_from_a_global_generator() -> None:
    said = outside(
        """
def states():
    return str((random.getstate(), np.random.get_state(), torch.get_rng_state().tolist()))
for name in METHODS:
    before = states()
    pellucid.explain(net, x, method=name, seed=4)
    print(name, states() == before)
"""
    )
    assert said.split() == [word for name in METHODS for word in (name, "True")]


def test_settings_that_make_no_sense_are_refused_as_sentences() -> None:
    said = outside(
        """
from pellucid.errors import SettingError
for name in METHODS:
    for setting, usual in settings_of(build(name, {})).items():
        for nonsense in (None, [], 1.5, True, -3, "", b"x", 3 if isinstance(usual, str) else "3"):
            if nonsense is usual or (type(nonsense) is type(usual) is float):
                continue  # makes sense
            try:
                build(name, {setting: nonsense})
                print("taken:", name, setting, repr(nonsense))
            except SettingError as error:
                said = str(error)
                if not (said.startswith(f"{setting} is {nonsense!r}, expected ") and said.endswith(".")):
                    print("odd:", said)
for wrong in (5, None, ["grad-cam"], METHODS["saliency"], x):
    for call in (lambda: pellucid.explain(net, x, method=wrong), lambda: pellucid.explain(net, x, target=wrong)):
        try:
            call()
            print("taken:", wrong)
        except (pellucid.errors.MethodError, pellucid.errors.TargetError):
            pass
"""
    )
    assert said == ""


def test_a_thousand_explanations_take_no_more_memory() -> None:
    said = outside(
        """
import gc
def resident():
    gc.collect()
    return int(open("/proc/self/statm").read().split()[1])
def explain(times):
    for i in range(times):
        pellucid.explain(net, x, method=("saliency", "grad-cam", "guided-backpropagation")[i % 3])
explain(150)
before = resident()
explain(1000)
print((resident() - before) / before)
"""
    )
    assert float(said) < 0.01
