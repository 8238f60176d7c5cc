"""What a training loop of your own says of every sample."""

from pathlib import Path
from typing import Any, Dict, Optional, Sequence

import numpy as np

from fairprune import _native
from fairprune._arrays import integers, matrix
from fairprune._files import PathLike

#: Version of :meth:`Recorder.state_dict`.
STATE_VERSION = 1


class Recorder:
    """Records each sample's loss, probability of its label, correctness, margin and EL2N in every epoch.

    Give it the logits of every training batch in train mode, before the step; augmentation is yours::

        recorder = Recorder(samples=50_000, classes=10)
        for epoch in range(epochs):
            for indices, images, labels in loader:
                logits = model(images)
                recorder.update(indices, logits, labels)
                ...
            for images, labels in validation_loader:
                recorder.validate(model(images), labels)
            recorder.end_epoch()
        scores = recorder.scores("forgetting", "aum", "dynamic-uncertainty")

    It holds 20 bytes a sample and epoch, and with ``divergence`` 4 more and 4 x ``classes`` bytes a sample
    (:meth:`memory` tells). The values are those of fairprune's own recorded runs for the same logits, bit for
    bit.

    Args:
        samples: N, the number of samples that indices count.
        classes: K, the number of logits.
        divergence: also record how far the probabilities moved since the sample's last presentation, which
            ``tdds`` needs.

    Raises:
        ValueError: no samples, or fewer than two classes.
        MemoryError: the divergence's probabilities do not fit.
    """

    def __init__(self, samples: int, classes: int, divergence: bool = False) -> None:
        self._native = _native.LogitRecorder(int(samples), int(classes), bool(divergence))

    def __repr__(self) -> str:
        return f"Recorder(samples={self.samples}, classes={self.classes}, epochs={self.epochs})"

    @property
    def samples(self) -> int:
        """N."""
        return self._native.samples

    @property
    def classes(self) -> int:
        """K."""
        return self._native.classes

    @property
    def epochs(self) -> int:
        """Number of finished epochs."""
        return self._native.epochs

    def memory(self, epochs: int) -> int:
        """Bytes held after so many epochs."""
        return self._native.bytes(int(epochs))

    def update(self, indices: Any, logits: Any, labels: Any) -> Dict[str, np.ndarray]:
        """Records a batch of B samples.

        Args:
            indices: position of each sample, B whole numbers.
            logits: B x K; numpy, or a tensor on any device.
            labels: class of each sample, B.

        Returns:
            What the logits say, float32 of B by name (``loss``, ``el2n``, ``margin``, ``entropy``, ...).

        Raises:
            ValueError: other shapes, a logit that is not finite, a position that the epoch had before, a
                label that differs from the sample's earlier one. Nothing is recorded then.
        """
        return self._native.update(integers("indices", indices), matrix("logits", logits), integers("labels", labels))

    def validate(self, logits: Any, labels: Any) -> None:
        """Counts a batch of validation samples of the epoch at hand.

        Args:
            logits: B x K, in eval mode.
            labels: B.
        """
        self._native.validate(matrix("logits", logits), integers("labels", labels))

    def end_epoch(self) -> None:
        """Ends an epoch; samples that it did not present have no values in it.

        Raises:
            ValueError: no batch since the last one.
        """
        self._native.end_epoch()

    def scores(
        self,
        *methods: str,
        window: Optional[int] = None,
        trajectory: Optional[int] = None,
        decay: Optional[float] = None,
    ) -> Dict[str, np.ndarray]:
        """Scores of the finished epochs, float32 of N by name; NaN for samples that were never presented.

        Args:
            *methods: ``forgetting``, ``dynamic-uncertainty``, ``aum``, ``tdds``, ``dual``,
                ``early-confidence``, ``confidence``, ``variability``.
            window, trajectory, decay: options of the methods that have them; their own defaults without.

        Raises:
            ValueError: a score that is not made from dynamics, or too few epochs for it.
        """
        return self._native.scores(list(methods), window, trajectory, decay)

    def trajectories(self, quantity: str) -> np.ndarray:
        """One quantity of the finished epochs, float32, epochs x N.

        Args:
            quantity: ``loss``, ``label-probability``, ``correct``, ``logit-margin``, ``el2n`` or
                ``divergence``.
        """
        return self._native.trajectories(quantity)

    def recalls(self) -> np.ndarray:
        """Validation recall of each class in the finished epoch with the best validation accuracy; NaN for
        classes without validation samples.

        Raises:
            ValueError: nothing was validated.
        """
        return self._native.recalls()[0]

    def validation_sizes(self) -> np.ndarray:
        """Validation samples behind each of :meth:`recalls`, int64."""
        return np.asarray(self._native.recalls()[1], dtype=np.int64)

    def save(
        self,
        folder: PathLike,
        labels: Any,
        *,
        ids: Optional[Sequence[str]] = None,
        classes: Optional[Sequence[str]] = None,
        name: str = "arrays",
        augmented: bool = True,
    ) -> None:
        """Writes the folder that ``fairprune score --dynamics`` reads.

        Args:
            folder: a new or empty folder, or one that was saved before.
            labels: class of each sample, N; those that were recorded must be the same.
            ids: name of each sample, all different; numbers from 0 without it.
            classes: names of the K classes.
            name: what people call the data set.
            augmented: whether the presentations were augmented.

        Raises:
            ValueError: samples that differ from those recorded; a folder that holds something else.
            OSError: the folder cannot be written.
        """
        self._native.save(
            Path(folder),
            integers("labels", labels),
            None if ids is None else [str(i) for i in ids],
            None if classes is None else [str(c) for c in classes],
            name,
            bool(augmented),
        )

    def state_dict(self) -> Dict[str, Any]:
        """Everything that is recorded, for ``torch.save`` or ``pickle``; between two epochs only.

        Raises:
            ValueError: in the middle of an epoch.
        """
        return {"version": STATE_VERSION, **self._native.state()}

    def load_state_dict(self, state: Dict[str, Any]) -> None:
        """Goes on from a state; what was recorded before is dropped.

        Raises:
            ValueError: a state of another number of samples or classes, or damaged.
        """
        found = state.get("version")
        if found != STATE_VERSION:
            raise ValueError(f"recorder's state: found version {found}, expected {STATE_VERSION}")
        made = _native.LogitRecorder.from_state({key: value for key, value in state.items() if key != "version"})
        if (made.samples, made.classes) != (self.samples, self.classes):
            raise ValueError(
                f"recorder's state: found {made.samples} samples of {made.classes} classes, "
                f"expected {self.samples} of {self.classes}"
            )
        self._native = made

    def __getstate__(self) -> Dict[str, Any]:
        return self.state_dict()

    def __setstate__(self, state: Dict[str, Any]) -> None:
        self._native = _native.LogitRecorder.from_state({k: v for k, v in state.items() if k != "version"})
