"""Watch a training run of `fit`: gradient norms, update-to-weight ratios, how
often clipping acts, first Inf or NaN.

    monitor = TrainingMonitor()
    model.fit(x, y, callbacks=[monitor])
    monitor.plot().savefig("training.png")
    monitor.to_csv("training.csv")

    gradient norm      ||g||           of all layers and each, before clipping
    update ratio       ||dw|| / ||w||  of all layers together and of each
    clipped            whether the optimizer's clipnorm, global_clipnorm or
                       clipvalue shrank the gradient

All of it in every 50th step. A callback alone cannot see gradients: this one
puts itself around the optimizer's `apply`, where `fit` compiles it into the
training step, and takes itself away at the end. One step is one update of the
weights: gradients that `gradient_accumulation_steps` adds up are seen once,
whole, and those of a `LossScaleOptimizer` unscaled; a step that it skips is not
seen. Needs the TensorFlow backend and one replica. A usual update ratio is
about 1e-3. Source: Karpathy, notes of the Stanford course CS231n, "Neural
networks part 3", section "Ratio of weights:updates".
"""

import csv
import warnings
from os import PathLike
from typing import Any

import keras
import numpy as np

try:
    import tensorflow as tf
except ImportError as error:
    raise ImportError("this file needs TensorFlow, as the backend of Keras") from error

SHRUNK = 0.5
"""Of the norm of all weights at first: training makes it grow, as a rule."""


class TrainingMonitor(keras.callbacks.Callback):
    """Records what the optimizer does to the trainable variables of the model
    in every `every`-th step.

    A layer is what owns variables, named by its path. `writer` may be one of
    `tf.summary.create_file_writer`. The training is the same with or without a
    monitor. Several calls of `fit` are one record. If `fit` raises, `close`, or
    the end of a `with` block around it, gives the optimizer back.

    Raises ValueError for an `every` that is no integer from 1 on and, when
    `fit` begins, for another backend than TensorFlow, for several replicas and
    for an optimizer that another monitor watches.
    """

    def __init__(self, every: int = 50, writer: Any = None) -> None:
        super().__init__()
        if not isinstance(every, int | np.integer) or every < 1:
            raise ValueError(f"every must be an integer from 1 on, got {every!r}")
        if writer is not None and not hasattr(writer, "as_default"):
            raise ValueError(f"writer must be a summary writer, got {writer!r}")
        self.layers: list[str] = []
        self.rows: list[dict[str, float]] = []
        """One dictionary per step that was watched, as `pandas.DataFrame` takes
        it: step (from 0), gradient_norm, clipped (0 or 1, if the optimizer
        clips), update_ratio, and of each layer `gradient_norm/<layer>` and
        `update_ratio/<layer>`, which is Inf where the weights were all zero.
        """
        self.non_finite: tuple[int, list[str]] | None = None
        """The first watched step with a gradient of norm Inf or NaN, and the
        layers that had it.
        """
        self.lost: tuple[int, list[str]] | None = None
        """The first watched step with finite gradients and an update that was
        not, and the layers that had it.
        """
        self._sizes: list[float] = []
        self._every, self._writer, self._steps = every, writer, 0
        self._optimizer: Any = None

    @property
    def clipped_fraction(self) -> float:
        """The fraction of the watched steps in which clipping acted; NaN if the
        optimizer does not clip.
        """
        clipped = [row["clipped"] for row in self.rows if "clipped" in row]
        return sum(clipped) / len(clipped) if clipped else float("nan")

    @property
    def notes(self) -> list[str]:
        """What the watched steps say of the training, a sentence each."""
        found = []
        if self.lost:
            found.append(
                f"step {self.lost[0]}: the gradient is finite and the update of {self.lost[1]} is not; in float16 an "
                "epsilon of 1e-7 is 0 or nearly: take the policy mixed_float16, or an epsilon of 1e-2"
            )
        fall = self._sizes[-1] / max(self._sizes[0], 1e-30) if self._sizes else 1.0
        if fall < SHRUNK and self._sizes == sorted(self._sizes, reverse=True):
            found.append(
                f"the weights only shrink, to {fall:.2g} of their size: take a hundredth of the weight decay"
            )
        return found

    def to_csv(self, path: str | PathLike) -> None:
        """Write `rows`, one line per step that was watched; what does not exist
        is empty.
        """
        names = ["step", "gradient_norm", "clipped", "update_ratio"]
        by_layer = [
            f"{what}/{layer}"
            for what in ("gradient_norm", "update_ratio")
            for layer in self.layers
        ]
        with open(path, "w", newline="", encoding="utf-8") as file:
            table = csv.DictWriter(file, names + by_layer)
            table.writeheader()
            table.writerows(self.rows)

    def plot(self) -> Any:
        """What `plot_rows` draws of the rows so far."""
        return plot_rows(self.rows)

    def on_train_begin(self, logs: dict | None = None) -> None:
        if (
            keras.backend.backend() != "tensorflow"
            or self.model.distribute_strategy.num_replicas_in_sync > 1
        ):
            raise ValueError("a monitor needs the TensorFlow backend and one replica")
        # A LossScaleOptimizer hands the unscaled gradients of the steps that it
        # does not skip to the inner one.
        optimizer = getattr(
            self.model.optimizer, "inner_optimizer", self.model.optimizer
        )
        if "apply" in vars(optimizer):
            raise ValueError(
                "the optimizer is already watched: close the other monitor first"
            )
        self._updates = tf.Variable(self._steps, dtype=tf.int64)
        self._seen_at, self._seen = tf.Variable(-1, dtype=tf.int64), None
        self._per_call = self.model.steps_per_execution
        # A look must be fetched before the next one takes its place.
        self._distance, self._waited = max(self._every, self._per_call), None
        self._optimizer, self._apply = optimizer, optimizer.apply
        optimizer.apply = self._watched_apply
        self.model.make_train_function(force=True)

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        self._waited = (
            self._distance if self._waited is None else self._waited + self._per_call
        )
        if self._waited + self._per_call > self._distance:
            self._collect()

    def on_train_end(self, logs: dict | None = None) -> None:
        self.close()

    def close(self) -> None:
        """Give the optimizer back and make the model compile its step anew at
        the next `fit`; the records stay.
        """
        if self._optimizer is not None:
            self._collect()
            self._steps = int(self._updates)
            vars(self._optimizer).pop("apply")
            self._optimizer = None
            self.model.train_function = None

    def __enter__(self) -> "TrainingMonitor":
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def _set_up(self, variables: list[Any]) -> None:
        self._variables = variables
        layer_of = [
            variable.path.rpartition("/")[0] or variable.path for variable in variables
        ]
        self.layers = list(dict.fromkeys(layer_of))
        self._layer_of = [self.layers.index(layer) for layer in layer_of]
        with tf.init_scope():  # outside of the step that is being traced
            self._seen = tf.Variable(tf.zeros((4, len(variables))))
            if not self._optimizer.built:
                self._optimizer.build(variables)

    def _watched_apply(self, grads: Any, trainable_variables: Any) -> None:
        """Traced into the training step: `apply`, and in every `every`-th
        update the norms around it.
        """
        grads, trainable_variables = list(grads), list(trainable_variables)
        if self._seen is None:  # only now is every model built
            self._set_up(trainable_variables)
        optimizer, variables = self._optimizer, self._variables
        given = {
            id(variable): gradient
            for variable, gradient in zip(trainable_variables, grads, strict=True)
        }
        gradients = [given.get(id(variable)) for variable in variables]
        weights = [tf.identity(variable.value) for variable in variables]
        parts = optimizer.gradient_accumulation_steps or 1
        sums = (
            [tf.identity(part.value) for part in optimizer._accumulated_gradients]
            if parts > 1
            else []
        )
        updates_before = tf.identity(optimizer.iterations)
        self._apply(grads, trainable_variables)
        updated = tf.not_equal(tf.identity(optimizer.iterations), updates_before)

        def look() -> tf.Tensor:
            whole = [
                tf.zeros(()) if part is None else tf.convert_to_tensor(part)
                for part in gradients
            ]
            if optimizer.loss_scale_factor is not None:
                whole = [part / optimizer.loss_scale_factor for part in whole]
            if parts > 1:
                whole = [
                    (part + before) / parts
                    for part, before in zip(whole, sums, strict=True)
                ]
            clipped = optimizer._clip_gradients(whole)
            changes = [
                variable.value - before
                for variable, before in zip(variables, weights, strict=True)
            ]
            return tf.stack(
                [_norms(whole), _norms(clipped), _norms(changes), _norms(weights)]
            )

        looks = tf.logical_and(updated, tf.equal(self._updates % self._distance, 0))
        self._seen.assign(tf.cond(looks, look, self._seen.read_value))
        self._seen_at.assign(tf.where(looks, self._updates, self._seen_at))
        self._updates.assign_add(tf.cast(updated, tf.int64))

    def _collect(self) -> None:
        """Fetch the last look, unless it was fetched before."""
        self._waited, step = 0, int(self._seen_at)
        if step < 0 or (self.rows and self.rows[-1]["step"] >= step):
            return
        squares = self._seen.numpy().astype(np.float64) ** 2
        norms, clipped, moved, size = (
            np.sqrt(np.bincount(self._layer_of, part)) for part in squares
        )
        row: dict[str, float] = {"step": step, "gradient_norm": _total(norms)}
        if any(
            (
                self._optimizer.clipnorm,
                self._optimizer.global_clipnorm,
                self._optimizer.clipvalue,
            )
        ):
            row["clipped"] = float(
                _total(clipped) < 0.999 * row["gradient_norm"]
            )  # less is rounding
        with np.errstate(divide="ignore", invalid="ignore"):
            row["update_ratio"], ratios = (
                float(np.divide(_total(moved), _total(size))),
                moved / size,
            )
        for what, values in (("gradient_norm", norms), ("update_ratio", ratios)):
            row |= dict(
                zip(
                    [f"{what}/{layer}" for layer in self.layers],
                    values.tolist(),
                    strict=True,
                )
            )
        self._sizes.append(_total(size))
        bad = ~np.isfinite(moved)
        if self.lost is None and bad.any() and np.isfinite(norms).all():
            self.lost = (step, [self.layers[place] for place in np.flatnonzero(bad)])
        self.rows.append(row)
        if self._writer is not None:
            with self._writer.as_default(step):
                for tag, value in row.items():
                    if tag != "step":
                        tf.summary.scalar(tag, value)
        if self.non_finite is None and not np.isfinite(norms).all():
            layers = [
                layer
                for layer, norm in zip(self.layers, norms, strict=True)
                if not np.isfinite(norm)
            ]
            self.non_finite = (step, layers)
            warnings.warn(
                f"step {step}: the gradient of {layers} is not finite",
                RuntimeWarning,
                2,
            )


def plot_rows(rows: list[dict[str, float]]) -> Any:
    """A matplotlib Figure of a monitor's rows: gradient norms above update
    ratios. Gray lines are the inner layers.

    Raises ValueError if no row has an update ratio.
    """
    import matplotlib
    from matplotlib.figure import Figure

    if not isinstance(rows, list):
        raise ValueError(f"rows must be those of a monitor, got {rows!r}")
    looks = [row for row in rows if "update_ratio" in row]
    if not looks:
        raise ValueError(
            "rows must hold an update ratio, got none: nothing was recorded"
        )
    width, _ = matplotlib.rcParams["figure.figsize"]
    figure = Figure(figsize=(width, 1.2 * width), layout="constrained")
    layers = [
        name.partition("/")[2] for name in looks[0] if name.startswith("update_ratio/")
    ]
    colors = dict.fromkeys(layers, "C5") | {layers[-1]: "C2", layers[0]: "C1"}
    for axes, what in zip(
        figure.subplots(2, sharex=True), ("gradient_norm", "update_ratio"), strict=True
    ):
        for layer in sorted(layers, key=lambda layer: colors[layer] != "C5"):
            label = None if colors[layer] == "C5" else f"layer {layer}"
            values = [row[f"{what}/{layer}"] for row in looks]
            axes.semilogy(
                [row["step"] for row in looks],
                values,
                colors[layer],
                label=label,
                linewidth=1,
            )
        whole = [row for row in rows if what in row]
        axes.semilogy(
            [row["step"] for row in whole],
            [row[what] for row in whole],
            "C0",
            label="all layers",
        )
        axes.set_ylabel(
            {"gradient_norm": "gradient norm", "update_ratio": "update / weight"}[what]
        )
    figure.axes[0].legend(ncols=3, loc="lower left", bbox_to_anchor=(0, 1))
    figure.axes[1].set_xlabel("step")
    return figure


def _norms(tensors: list[tf.Tensor]) -> tf.Tensor:
    # the largest entry is taken out, so that no square overflows or is 0
    norms = []
    for tensor in tensors:
        wide = tf.cast(tensor, tf.float32)
        largest = tf.reduce_max(tf.abs(wide)) if 0 not in wide.shape else tf.ones(())
        usable = tf.logical_and(largest > 0.0, tf.math.is_finite(largest))
        unit = tf.where(usable, largest, 1.0)
        norms.append(unit * tf.sqrt(tf.reduce_sum(tf.square(wide / unit))))
    return tf.stack(norms)


def _total(norms: np.ndarray) -> float:
    return float(np.sqrt(np.sum(norms**2)))
