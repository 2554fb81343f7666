"""The digest of a model's weights, computed beside the first passes: hashing leaves the interpreter to them."""

import threading

from pellucid.capture.undisturbed import writes_seen
from pellucid.models.model import Model, digest_of

_SMALL = 4_000_000
"""Below so many bytes a thread is no gain."""


class WeightsDigest:
    """A digest that is ready when it is asked for.

    It is that of the weights as they are between passes. Where a pass has written to weights, which are put back after
    it, what was read meanwhile counts for nothing, and the digest is computed anew.

    Args:
        model: The model. Its buffers are copied, since a pass may change them before they are put back.
    """

    def __init__(self, model: Model) -> None:
        self._model = model
        self._found = ""
        self._thread: threading.Thread | None = None
        weights = model.weights()
        if sum(tensor.nbytes for _, tensor in weights) < _SMALL or any(t.is_inference() for _, t in weights):
            self._found = digest_of(weights)
            return
        own = {name for name, _ in model.module.named_buffers(remove_duplicate=False)}
        self._weights = [(name, tensor.clone() if name in own else tensor) for name, tensor in weights]
        self._versions = [tensor._version for _, tensor in self._weights]
        self._writes = writes_seen()
        self._thread = threading.Thread(target=self._compute, daemon=True)
        self._thread.start()

    def value(self) -> str:
        """The digest; to be asked for between passes."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None
            written = self._writes != writes_seen()
            if not self._found or written or self._versions != [tensor._version for _, tensor in self._weights]:
                self._found = self._model.weights_digest
            self._weights = []
        return self._found

    def _compute(self) -> None:
        try:
            self._found = digest_of(self._weights)
        except Exception:
            self._found = ""  # It will fail again where it is asked for, and say why.
