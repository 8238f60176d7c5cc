"""The native part: arrays in, arrays out. What people call is in the package."""

from os import PathLike
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np
from numpy.typing import NDArray

__version__: str
#: Names of all scores.
METHODS: List[str]

def set_threads(count: int) -> None:
    """Sets the number of computing threads; 0 is one a core."""

def threads() -> int:
    """The number of computing threads."""

def instruction_set() -> str:
    """The instruction set of the hot loops: ``portable``, ``avx2`` or ``avx512``."""

def quotas(
    sizes: List[int],
    density: float,
    rule: str,
    recalls: Optional[NDArray[np.float64]],
    validation_sizes: Optional[List[int]],
    values: Optional[List[float]],
    min_per_class: Optional[int],
    laplace: bool,
    seed: int,
    names: List[str],
) -> Dict[str, Any]: ...
def prune(
    labels: NDArray[np.int64],
    classes: int,
    density: float,
    strategy: str,
    quota: str,
    scores: Optional[NDArray[np.float64]],
    keep_lowest: bool,
    named_scores: Mapping[str, NDArray[np.float64]],
    recalls: Optional[NDArray[np.float64]],
    validation_sizes: Optional[List[int]],
    validation_rows: Sequence[Tuple[NDArray[np.float32], NDArray[np.int64]]],
    features: Optional[NDArray[np.float32]],
    probabilities: Optional[NDArray[np.float32]],
    eligible: Optional[NDArray[np.int64]],
    min_per_class: Optional[int],
    laplace: bool,
    winsor: Optional[float],
    options: Dict[str, Any],
    seed: int,
    names: List[str],
) -> Dict[str, Any]: ...
def class_recalls(
    labels: NDArray[np.int64], predictions: NDArray[np.int64], classes: int
) -> NDArray[np.float64]: ...
def paired_difference(method: List[float], baseline: List[float]) -> Dict[str, Any]: ...
def loss_scores(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> Dict[str, NDArray[np.float32]]: ...
def read_scores(folder: PathLike[str]) -> Dict[str, Any]: ...
def write_scores(
    folder: PathLike[str],
    labels: NDArray[np.int64],
    scores: List[Tuple[str, NDArray[np.float32]]],
    ids: Optional[List[str]],
    classes: Optional[List[str]],
    name: str,
    variant: str,
    recalls: Optional[Tuple[List[int], List[int]]],
) -> None: ...
def read_dynamics(folder: PathLike[str]) -> Dict[str, Any]: ...
def read_subset(
    path: PathLike[str],
    samples: int,
    labels: Optional[NDArray[np.int64]],
    ids: Optional[List[str]],
    classes: Optional[List[str]],
) -> Tuple[NDArray[np.int64], List[str]]: ...

class LogitRecorder:
    """A recording in the making."""

    samples: int
    classes: int
    epochs: int
    def __init__(self, samples: int, classes: int, divergence: bool) -> None: ...
    def update(
        self, indices: NDArray[np.int64], logits: NDArray[np.float32], labels: NDArray[np.int64]
    ) -> Dict[str, NDArray[np.float32]]: ...
    def validate(self, logits: NDArray[np.float32], labels: NDArray[np.int64]) -> None: ...
    def end_epoch(self) -> None: ...
    def bytes(self, epochs: int) -> int: ...
    def scores(
        self, methods: List[str], window: Optional[int], trajectory: Optional[int], decay: Optional[float]
    ) -> Dict[str, NDArray[np.float32]]: ...
    def recalls(self) -> Tuple[NDArray[np.float64], List[int]]: ...
    def trajectories(self, quantity: str) -> NDArray[np.float32]: ...
    def save(
        self,
        folder: PathLike[str],
        labels: NDArray[np.int64],
        ids: Optional[List[str]],
        classes: Optional[List[str]],
        name: str,
        augmented: bool,
    ) -> None: ...
    def state(self) -> Dict[str, Any]: ...
    @staticmethod
    def from_state(state: Dict[str, Any]) -> LogitRecorder: ...

#: The tensor, its address, type, shape (N, H, W, C) and strides in elements.
TensorArgument = Tuple[Any, int, str, Tuple[int, ...], Tuple[int, ...]]

class SampleNorms:
    """Squared norms of the gradients of one batch's samples, added up layer by layer."""

    def __init__(self, samples: int) -> None: ...
    def values(self) -> NDArray[np.float64]: ...
    def reset(self, samples: int) -> None: ...
    def conv(
        self,
        x: TensorArgument,
        dy: TensorArgument,
        kernel: Tuple[int, int],
        stride: Tuple[int, int],
        padding: Tuple[int, int],
        groups: int,
        weight: bool,
        bias: bool,
    ) -> None: ...
    def batch_norm(
        self,
        x: TensorArgument,
        dy: TensorArgument,
        mean: NDArray[np.float32],
        rstd: NDArray[np.float32],
        weight: bool,
        bias: bool,
    ) -> None: ...
    def layer_norm(
        self, x: TensorArgument, dy: TensorArgument, eps: float, centred: bool, weight: bool, bias: bool
    ) -> None: ...
    def group_norm(
        self, x: TensorArgument, dy: TensorArgument, groups: int, eps: float, weight: bool, bias: bool
    ) -> None: ...
    def embedding(self, indices: NDArray[np.int64], dy: TensorArgument, padding: Optional[int]) -> None: ...
    def add_squares(self, squares: NDArray[np.float64]) -> None: ...
