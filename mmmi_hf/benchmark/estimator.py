"""What an estimator of mutual information is.

Owns the interface (`fit`, `estimate`), the record of an estimate, and the decorator by which an estimator gets its
name; looking names up is the registry's. Imports NumPy, SciPy and pydantic; an estimator brings what it needs itself.

The contract, in the order in which `fit` and `estimate` keep it:

1. An estimator sees a *set* of pairs: rows are brought to an order of their own before anything else, then shuffled
   with the seed, so that the order in which rows are given changes nothing.
2. `fit` uses the training rows to learn and the validation rows to stop or to choose; `estimate` uses the test rows
   alone. Nothing is learned from a test row.
3. Equal rows, settings and seed give equal bits, on one kind of hardware and software.
4. Values are in nats and are never clipped: an estimate may be negative.
5. The interval speaks of the sampling of test rows given what was learned. How far the learning itself varies is what
   several seeds show.
"""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self, TypeVar, final, get_type_hints

import numpy as np
from pydantic import TypeAdapter, ValidationError
from scipy.special import ndtri

from mmmi_hf.benchmark.labels import Labelled
from mmmi_hf.benchmark.pairs import Pairs
from mmmi_hf.common.records import told


class CannotSayError(ArithmeticError):
    """What an estimator raises that knows that it cannot answer about these rows; the message says why.

    The benchmark counts it as an answer, and not as a failure.
    """


class MissingPackageError(RuntimeError, ValueError):
    """An optional package, or the environment of an isolated one, is not there; the message says how to get it."""


History = Sequence[Mapping[str, float]]
SOURCE = "source_sha256"  # in the settings of estimators of others
REVISION = "code_revision"  # in the settings of estimators whose code has come to give other values


@dataclass(frozen=True)
class Measured:
    """What `measure` returns: nats, the standard error over test rows (None: not known), and anything worth keeping."""

    value: float
    standard_error: float | None = None
    details: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of_contrast(cls, on_pairs: np.ndarray, by_a: np.ndarray, by_b: np.ndarray) -> Measured:
        """E_P − E_Q and its standard error over rows.

        A row's weight moves E_P by its own value, and E_Q by what it brings as a and as b on average, (n,) each.
        """
        slopes = on_pairs - by_a - by_b
        return cls(float(on_pairs.mean() - by_a.mean()), float(np.std(slopes) / np.sqrt(len(slopes))))


@dataclass(frozen=True)
class Estimate:
    """An estimate of mutual information in nats.

    value: of the test rows.
    low, high: confidence interval over the sampling of test rows, None where the estimator gives none.
    history: what happened while it was fitted, one record per look at the validation rows.
    details: what the estimator says about itself, for example a ceiling.
    """

    value: float
    low: float | None
    high: float | None
    standard_error: float | None
    confidence: float
    history: tuple[Mapping[str, float], ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)


class Estimator(ABC):
    """An estimator of I(a; b). Subclasses are final, and define `learn` and `measure`.

    Settings are the fields of a dataclass; each must be what its annotation says, and have a plain JSON value, which
    `mmmi-hf benchmark --set NAME.SETTING=VALUE` gives. `uses_exact` marks oracles, which are told what is exactly known
    of the rows, `of_labels` those that need one block of class labels. `bound` says on which side of the information
    the value lies given as many test rows as one likes, "lower" or "upper", where it is a bound; `reads`, what it is at
    its best where that is not the information. `order` is the place in lists; those of others come last.
    `code_revision` is raised with every change after which equal rows, settings and seed give another value, so that
    finished cells of earlier code are not taken for those of today's.
    """

    uses_exact: ClassVar[bool] = False
    of_labels: ClassVar[bool] = False
    bound: ClassVar[str] = ""
    reads: ClassVar[str] = ""
    order: ClassVar[int] = 1000
    code_revision: ClassVar[int] = 1
    name: ClassVar[str] = "unnamed"
    _source: ClassVar[str | None] = None

    def __post_init__(self) -> None:
        for name, kind in setting_types(type(self)).items():
            try:
                TypeAdapter(kind).validate_python(getattr(self, name), strict=True)
            except ValidationError as error:
                raise ValueError(told(error, f"{self.name}.{name}")) from error

    @final
    def fit(self, train: Pairs, validation: Pairs, *, seed: int = 0) -> Self:
        """Learn from training rows, stop or choose by validation rows.

        Raises:
            ValueError: too few rows, blocks of different shapes in the two sets, or a block that says nothing.
        """
        for label, pairs in (("train", train), ("validation", validation)):
            if len(pairs) < 4:
                raise ValueError(f"{label} has {len(pairs)} rows; give at least 4")
            pairs.check_content(label)
            if self.of_labels:
                Labelled.of(pairs, label)
            if self.uses_exact and pairs.exact is None:
                raise ValueError(f"{self.name!r} is an oracle and needs the latents' model; {label} has no `exact`")
        if (train.a.shape[1:], train.b.shape[1:]) != (validation.a.shape[1:], validation.b.shape[1:]):
            raise ValueError(
                f"train has rows of shapes {train.a.shape[1:]} and {train.b.shape[1:]}, validation of "
                f"{validation.a.shape[1:]} and {validation.b.shape[1:]}; give the same blocks"
            )
        self._shapes = train.a.shape[1:], train.b.shape[1:]
        self._seed = seed
        history = self.learn(train.shuffled(seed), validation.shuffled(seed), seed)
        self._history = tuple(_plain([dict(record) for record in history], f"the history of {self.name!r}"))
        return self

    @final
    def estimate(self, test: Pairs, *, confidence: float = 0.95) -> Estimate:
        """Estimate I(a; b) of the law of the test rows, in nats.

        Raises:
            ValueError: not fitted, other blocks than were fitted, or a confidence outside (0, 1).
            ArithmeticError: the value is not finite, or its standard error no number of at least 0.
        """
        if not hasattr(self, "_history"):
            raise ValueError(f"{self.name!r} is not fitted; call fit(train, validation) first")
        if (test.a.shape[1:], test.b.shape[1:]) != self._shapes:
            raise ValueError(f"test has rows of {test.a.shape[1:]} and {test.b.shape[1:]}, fitted were {self._shapes}")
        if not 0.0 < confidence < 1.0:
            raise ValueError(f"confidence must lie in (0, 1), got {confidence!r}")
        if len(test) < 4:
            raise ValueError(f"test has {len(test)} rows; give at least 4")
        test.check_content("test")
        measured = self.measure(test.shuffled(self._seed))
        value = float(measured.value)
        if not np.isfinite(value):
            raise ArithmeticError(f"{self.name!r} came out as {value!r}")
        error = None if measured.standard_error is None else float(measured.standard_error)
        if error is not None and not 0.0 <= error < np.inf:
            raise ArithmeticError(f"{self.name!r} has the standard error {error!r}, expected at least 0, or None")
        reach = None if error is None else float(ndtri(0.5 + confidence / 2)) * error
        return Estimate(
            value,
            None if reach is None else value - reach,
            None if reach is None else value + reach,
            error,
            confidence,
            self._history,
            _plain(dict(measured.details), f"details of {self.name!r}"),
        )

    @classmethod  # noqa: B027 – most estimators need nothing more
    def require(cls) -> None:
        """Raise where a package that the estimator needs is not installed; called before a benchmark starts."""

    @abstractmethod
    def learn(self, train: Pairs, validation: Pairs, seed: int) -> History:
        """Learn from rows in random order; returns records of what happened."""

    @abstractmethod
    def measure(self, test: Pairs) -> Measured:
        """The estimate on rows in random order, in nats."""

    @property
    def settings(self) -> dict[str, Any]:
        """Everything that determines the estimate besides rows and seed, in plain JSON values.

        An estimator of somebody else's brings the SHA-256 of the file that it was registered from, if there is one. The
        first `code_revision` is not told, as it was not when there was no other.
        """
        values: dict[str, Any] = dataclasses.asdict(self) if dataclasses.is_dataclass(self) else {}
        code: dict[str, Any] = {} if self._source is None else {SOURCE: self._source}
        code |= {} if self.code_revision == 1 else {REVISION: self.code_revision}
        plain: dict[str, Any] = json.loads(json.dumps({"estimator": self.name, **values, **code}))
        return plain


Kind = TypeVar("Kind", bound=type[Estimator])
_REGISTERED: dict[str, type[Estimator]] = {}


def register_estimator(name: str) -> Callable[[Kind], Kind]:
    """Class decorator: make an estimator known by name to `make_estimator` and `mmmi-hf benchmark`.

    >>> @register_estimator("always-one")
    ... class AlwaysOne(Estimator):
    ...     def learn(self, train, validation, seed):
    ...         return []
    ...
    ...     def measure(self, test):
    ...         return Measured(1.0)
    >>> from mmmi_hf.benchmark import make_estimator
    >>> make_estimator("always-one").settings
    {'estimator': 'always-one'}

    Raises:
        ValueError: the name belongs to another class.
    """

    def register(kind: Kind) -> Kind:
        known = _REGISTERED.get(name)
        if known is not None and (known.__module__, known.__qualname__) != (kind.__module__, kind.__qualname__):
            raise ValueError(f"an estimator named {name!r} is registered already ({known.__qualname__}); take another")
        kind.name, kind._source = name, _source_of(kind)
        _REGISTERED[name] = kind
        return kind

    return register


def registered() -> dict[str, type[Estimator]]:
    """Name → class of every estimator that was registered so far."""
    return dict(_REGISTERED)


def setting_types(kind: type) -> dict[str, Any]:
    """Setting → annotation, of an estimator or of a setting that has fields itself; none where it is no dataclass."""
    if not dataclasses.is_dataclass(kind):
        return {}
    types = get_type_hints(kind, include_extras=True)
    return {field.name: types[field.name] for field in dataclasses.fields(kind)}


def _plain(values: Any, what: str) -> Any:
    """Values as plain JSON ones: NumPy's as Python's. Raises ValueError for what JSON has not."""

    def python_of(value: object) -> object:
        if isinstance(value, np.generic | np.ndarray):
            return value.tolist()
        raise TypeError(f"{type(value).__name__} {str(value)[:40]!r}")

    try:
        return json.loads(json.dumps(values, default=python_of))
    except (TypeError, ValueError) as error:
        raise ValueError(f"{what} must be plain JSON values, got {error}") from None


def _source_of(kind: type[Estimator]) -> str | None:
    """SHA-256 of the file of a class that is not ours, as it is now; None where there is none to be found."""
    if kind.__module__.partition(".")[0] == __name__.partition(".")[0]:
        return None
    try:
        path = inspect.getsourcefile(kind)
        return None if path is None else hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except (TypeError, OSError):  # a class of a prompt, a module without a file
        return None
