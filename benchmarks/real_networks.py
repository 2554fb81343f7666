"""Real networks and photographs of the shared data, for benchmarks; and the folder that they are in."""

import importlib.util
import os
import sys
from pathlib import Path

import pellucid
from pellucid.models.preprocessing import Preprocessing

DATA = Path(os.environ.get("PELLUCID_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))


def real_network(name: str, data: Path = DATA) -> pellucid.Model:
    """A network with its real weights, its preprocessing and its class names, as the data's `architectures.py` says."""
    spec = importlib.util.spec_from_file_location("shared_architectures", data / "models" / "architectures.py")
    if spec is None or spec.loader is None or not (data / "models" / name).is_dir():
        sys.exit(f"{name}: no real weights under {data.name}; set PELLUCID_DATA to the folder of real data.")
    module = sys.modules.get(spec.name)
    if module is None:
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module  # its dataclass looks itself up
        spec.loader.exec_module(module)
    build, prep, _ = module.MODELS[name]
    folder = data / "models" / name
    return pellucid.load(
        folder / "model.safetensors",
        architecture=build(),
        preprocessing=Preprocessing(resize=prep.resize, crop=prep.crop, mean=prep.mean, std=prep.std, source="flags"),
        class_names=folder / "labels.json",
    )
