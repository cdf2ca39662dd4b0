"""The loss of a network over fixed data as a function of its flat weight vector."""

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import RandomSampler

from flatmin.core.checks import one_of, whole
from flatmin.core.cuts import cuts
from flatmin.objective.accuracy import right
from flatmin.objective.batch_norm import MODES, batch_norm_layers, by_batch, check_running
from flatmin.objective.batches import Batch, Weights, fixed, merged, pairs
from flatmin.objective.borrowed import Borrowed
from flatmin.objective.channels import is_convolutional
from flatmin.objective.copying import Whole, converted, copied, unwrapped
from flatmin.objective.differences import product_by_differences
from flatmin.objective.evaluation import Evaluation
from flatmin.objective.forward import Forward
from flatmin.objective.losses import OwnStep, Problem, Supervised
from flatmin.objective.module import Standing
from flatmin.objective.network import Network, arithmetic
from flatmin.objective.normalized_logits import LogitNormalized
from flatmin.objective.parameters import Layout, transposed_filters
from flatmin.objective.probe import Probe
from flatmin.objective.reestimate import Reestimated, reestimated
from flatmin.objective.refusing import refuse, refuse_script
from flatmin.objective.restricted import Restricted

PRODUCTS = ("exact", "finite_difference")


class Objective(Whole):
    r"""Mean loss over fixed batches as a pure function :math:`f(\theta)` of the flat weight vector.

    .. math:: f(\theta) = \sum_{b} \frac{w_b}{w} \, \ell(\mathrm{model}_\theta(x_b), y_b)

    The weight :math:`w_b` of a batch is the number of its examples, so a short last batch counts by its examples; where
    ``loss`` is one of torch's own (a function of :mod:`torch.nn.functional`, :func:`functools.partial` of one, or a
    module), it is what the loss divides by: targets that are not ignored, class weights, entries. So the value does
    not depend on the cut into batches. The model given is never touched: a copy in evaluation mode (no dropout) is
    evaluated. Every measure and slice is a function of an objective.

    *One value at one point.* Before each batch the copy is put back: weights, buffers, attributes, the global
    generators, and it gets copies of the inputs. A few examples are run when an objective is made: a network that
    gives two values at one point all the same is refused, and what else its owner should know is in :attr:`cautions`.

    Args:
        model: Any module whose ``forward`` takes the inputs of a batch (a tensor; a tuple is passed as positional
            and a mapping as keyword arguments). What :func:`torch.compile` or ``DataParallel`` made of it is taken
            back: compiled code has no second derivative.
        loss: ``loss(outputs, targets)``, the mean over the batch as a scalar tensor. Of torch's own losses the
            reductions ``"sum"`` and ``"none"`` are taken for the mean.
        batches: Re-iterable, read once and kept on the device in this order: pairs ``(inputs, targets)``; tuples
            ``(inputs, targets, ...)``, whose rest goes to ``loss`` too; mappings, whose ``"labels"`` (``"label"``,
            ``"targets"``, ``"target"``) are the targets; or tensors, which are their own targets.
        batch_norm: Statistics of BatchNorm layers: ``"running"``, ``"batch"`` or ``"reestimate"``
            (see :mod:`flatmin.objective.batch_norm`).
        select: Names of parameters or of layers that move (``"layer1.*"``, ``"*.lora_*"``); the others stay. ``None``
            for all that require gradients.
        weights: What a batch weighs: ``weights(inputs, targets)``, or one number a batch.
        metrics: Further numbers by name, ``metric(outputs, targets)``, each a mean over the batch.
        hvp: Products with the Hessian, ``"exact"`` or by ``"finite_difference"`` of the gradient (for networks whose
            second derivative torch does not have; its error is in :attr:`hvp_error`).
        dtype: Arithmetic of the network, ``torch.float32`` or ``torch.float64``; ``None`` for that of its weights
            (half precision is computed in float32). Sums across batches are float64.
        device: Where to compute; the model's own device by default.
        seed: Of whatever the network or the loss draws: the same draws at every point.

    Raises:
        TypeError: If ``model`` is no module or cannot be copied, ``loss`` not callable or ``batches`` not re-iterable.
        ValueError: If there is no batch, no trainable parameter, one that is not a dense real number, or a name that is
            unknown; if the network is no function of its weights; or if ``batch_norm`` is ``"running"`` and a layer
            keeps no running averages.

    Example:
        >>> import torch
        >>> from torch.nn.functional import mse_loss
        >>> model = torch.nn.Linear(1, 1, bias=False)
        >>> batch = (torch.ones(3, 1), torch.zeros(3, 1))
        >>> objective = Objective(model, mse_loss, [batch])
        >>> float(objective.value(torch.tensor([2.0])))
        4.0
        >>> objective
        Objective of Linear: 1 weight, 3 examples in 1 batch, loss mse_loss, float32 on cpu
    """

    def __init__(
        self,
        model: nn.Module,
        loss: Callable[..., Any],
        batches: Iterable[Any],
        *,
        batch_norm: str = "running",
        select: Sequence[str] | None = None,
        weights: Weights = None,
        metrics: Mapping[str, Callable[..., Any]] | None = None,
        hvp: str = "exact",
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
        seed: int = 0,
    ) -> None:
        if isinstance(loss, type):
            raise TypeError(f"`loss` must be a function or a module, got the class; write {loss.__name__}().")
        if not callable(loss):
            raise TypeError(f"`loss` must be callable as loss(outputs, targets), got {type(loss).__name__}.")
        self._build(
            model, loss, batches, Supervised, batch_norm=batch_norm, select=select, weights=weights,
            metrics=metrics or {}, hvp=hvp, dtype=dtype, device=device, seed=seed,
        )  # fmt: skip

    @classmethod
    def of(
        cls, model: nn.Module, step: Callable[[nn.Module, Any], Any], batches: Iterable[Any], **options: Any
    ) -> "Objective":
        """An objective whose loss is the user's own: ``step(model, batch)``.

        Args:
            model: Any module.
            step: Gives the mean loss of a batch, a scalar tensor, or something with that as its ``loss`` (and class
                scores as its ``logits``, if accuracies are wanted). It is handed a copy of the model and the batch as
                the loader gives it.
            batches: Re-iterable, of any form that holds a tensor.
            options: As those of :class:`Objective`; ``weights`` is called with the batch.

        Returns:
            The objective.

        Raises:
            TypeError: As :class:`Objective`.
            ValueError: As :class:`Objective`.

        Example:
            >>> import torch
            >>> model = torch.nn.Linear(1, 1, bias=False)
            >>> step = lambda model, batch: {"loss": (model(batch["x"]) ** 2).mean()}
            >>> objective = Objective.of(model, step, [{"x": torch.ones(3, 1)}])
            >>> float(objective.value(torch.tensor([2.0])))
            4.0
        """
        if not callable(step):
            raise TypeError(f"`step` must be callable as step(model, batch), got {type(step).__name__}.")
        settings: dict[str, Any] = {
            "batch_norm": "running", "select": None, "weights": None, "metrics": {}, "hvp": "exact", "dtype": None,
            "device": None, "seed": 0,
        }  # fmt: skip
        if unknown := options.keys() - settings.keys():
            raise TypeError(f"Objective.of() got an unexpected keyword argument {min(unknown)!r}.")
        objective = cls.__new__(cls)
        objective._build(model, step, batches, OwnStep, **settings | options)
        return objective

    @torch.inference_mode(False)
    def _build(
        self,
        model: nn.Module,
        loss: Callable[..., Any],
        batches: Iterable[Any],
        kind: type[Supervised] | type[OwnStep],
        *,
        batch_norm: str,
        select: Sequence[str] | None,
        weights: Weights,
        metrics: Mapping[str, Callable[..., Any]],
        hvp: str,
        dtype: torch.dtype | None,
        device: torch.device | str | None,
        seed: int,
    ) -> None:
        if not isinstance(model, nn.Module):
            raise TypeError(f"`model` must be a torch.nn.Module, got {type(model).__name__}.")
        if dtype not in (None, torch.float32, torch.float64):
            raise ValueError(f"`dtype` must be torch.float32 or torch.float64, got {dtype}.")
        self.batch_norm = one_of("batch_norm", batch_norm, MODES)
        self._products = one_of("hvp", hvp, PRODUCTS)
        model = unwrapped(model)
        refuse(model)
        Layout.of(model, select)
        self.dtype = dtype or arithmetic(model)
        self.device = torch.device(device) if device is not None else next(model.parameters()).device
        module, loss = copied(model, loss, device=self.device, dtype=self.dtype)
        self._network = Network(module, select, dtype=self.dtype, device=self.device, seed=whole("seed", seed))
        self._theta = self._network.theta
        self._problem: Problem = kind(loss, self.device, self.dtype)
        read = pairs if kind is Supervised else (lambda batch: (batch,))
        images = is_convolutional(self._network.module)
        with self._network.draws.kept():  # a DataLoader draws even where it does not shuffle
            held = fixed(batches, read, self.device, self.dtype, images=images)
        self._batches = self._problem.shares(held, weights)
        self._weighed = weights is not None
        self._metrics = metrics
        self._buffers: dict[int, Tensor] = {}
        self.hvp_error = float("nan")
        if self.batch_norm == "running":
            check_running(self._network.module)
        else:
            refuse_script(self._network.module)
        probe = Probe(self._network, self._problem, self._batches, model, running=self.batch_norm == "running")
        self._found = probe.findings(weighed=weights is not None)
        if any(p.dtype in (torch.float16, torch.bfloat16) for p in model.parameters()):
            self._found.cautions.append("weights in half precision are computed in float32")
        if self._products == "finite_difference":
            self._found.cautions.append("products with the Hessian are differences of the gradient, see hvp_error")
        if isinstance(getattr(batches, "sampler", None), RandomSampler):
            self._found.cautions.append("`batches` shuffles: it was read once, in an order that was drawn")
        self._kept_alive = model if self._network.owned else None  # its tensors are known by their identity
        self.has_batch_norm = bool(batch_norm_layers(self._network.module)) or self._found.normalizes
        self._forward = self._evaluator()

    def _evaluator(self) -> Forward | Reestimated:
        options: dict[str, Any] = {
            "metrics": self._metrics,
            "buffers": self._buffers,
            "graph_bytes": self._found.graph_bytes,
            "decomposed": self._found.decomposed,
        }
        if self.batch_norm == "reestimate" and self.has_batch_norm:
            return reestimated(self._network, self._problem, self._batches, rows=self._found.rows, **options)
        handlers = by_batch() if self.batch_norm == "batch" and self.has_batch_norm else {}
        return Forward(self._network, self._problem, self._batches, handlers=handlers, **options)

    @property
    def size(self) -> int:
        """Number of weights."""
        return self._network.layout.size

    @property
    def theta(self) -> Tensor:
        """Where the model stands: a copy of its weights, shape (size,)."""
        return self._theta.clone()

    @property
    def shapes(self) -> dict[str, torch.Size]:
        """Shapes of the parameters by name, in the order of the vector."""
        return dict(self._network.layout.shapes)

    @property
    def transposed(self) -> dict[str, int]:
        """Groups of the weights, by name, whose filters lie along their second axis (transposed convolutions)."""
        groups = transposed_filters(self._network.module)
        return {name: groups[name] for name in self._network.layout.shapes if name in groups}

    @property
    def heads(self) -> dict[str, int]:
        """Heads of each :class:`torch.nn.MultiheadAttention` of which all weights move, by its name."""
        layers = dict(self._network.module.named_modules())
        return {
            name: layer.num_heads
            for name, layer in layers.items()
            if isinstance(layer, nn.MultiheadAttention)
            and all(own in self._network.layout.shapes for own, _ in layer.named_parameters(prefix=name))
        }

    @property
    def batches(self) -> list[Any]:
        """The fixed batches: ``(inputs, targets, ...)``, or as they came where the loss is the user's own."""
        return [batch.parts if isinstance(self._problem, Supervised) else batch.parts[0] for batch in self._batches]

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of what is counted beside loss and accuracy."""
        return tuple(self._metrics)

    @property
    def examples(self) -> int:
        """Number of examples that count."""
        return sum(batch.examples for batch in self._batches)

    @property
    def cautions(self) -> tuple[str, ...]:
        """What the owner of a number should know, one sentence each; empty where the network is a plain function."""
        found = list(self._found.cautions)
        if isinstance(self._forward, Reestimated) and self._forward.slow():
            found.append(
                "re-estimating BatchNorm takes a pass over the data for each layer, and products with the Hessian are "
                f"differences: {self._forward.why_slow}"
            )
        return tuple(found)

    def unflatten(self, theta: Tensor) -> dict[str, Tensor]:
        """Views into a flat vector, one a parameter."""
        return self._network.layout.unflatten(self._point("theta", theta))

    def restricted(self, select: Sequence[str]) -> Restricted:
        """This objective as a function of some parameters or layers, the others where they stand."""
        return Restricted(self, select)

    def parts(self, size: int) -> "list[Objective]":
        """The same loss on disjoint parts of the examples, each one batch of ``size``; the last has what is left.

        With ``batch_norm`` other than ``"running"`` the statistics are each part's own.

        Raises:
            TypeError: If ``size`` is no ``int``.
            ValueError: If ``size`` is below 1, the batches weigh what somebody says, or they do not fit together.
        """
        whole("size", size, minimum=1)
        if self._weighed:
            raise ValueError("an objective with `weights` has no parts: they weigh its batches, not its examples.")
        cuts = [part.cut(first, min(first + size, part.examples)) for part, first in _starts(self._batches, size)]
        found = [replace(cut, share=1.0) for cut in cuts if cut is not None and self._problem.counts(cut)]
        if None in cuts or not found:
            raise ValueError(
                "the batches do not fit together, so they cannot be cut into parts: their tensors have other shapes, "
                "or none has a row for each example."
            )
        return [self._on([cut]) for cut in found]

    def shuffled(self, size: int, generator: torch.Generator) -> "list[Objective]":
        """The same loss on batches of ``size`` examples in a new order, as an epoch of training cuts them.

        Args:
            size: Of a batch; a last one of a single example joins the one before it.
            generator: Draws the order, on the CPU.

        Raises:
            TypeError: If ``size`` is no ``int``.
            ValueError: If ``size`` is below 1, the batches weigh what somebody says, or they do not fit together.
        """
        whole("size", size, minimum=1)
        if self._weighed:
            raise ValueError(
                "an objective with `weights` cannot be shuffled: they weigh its batches, not its examples."
            )
        union = merged(self._batches)
        if union is None or union.cut(0, union.examples) is None:
            raise ValueError(
                "the batches do not fit together, so they cannot be shuffled: their tensors have other shapes, or none "
                "has a row for each example."
            )
        order = torch.randperm(union.examples, generator=generator).to(self.device)
        drawn = [union.taken(order[a:b]) for a, b in cuts(union.examples, size)]
        return [self._on([replace(batch, share=1.0)]) for batch in drawn if self._problem.counts(batch)]

    def normalized_by(self, other: "Objective") -> "Objective":
        """The same loss with the BatchNorm statistics of another objective's data, re-estimated at every point.

        For a test loss at points that have no running averages: the statistics are those of the training data. It has
        values and no gradient.

        Args:
            other: Of the same network, with ``batch_norm="reestimate"`` like this one.

        Raises:
            ValueError: If one of them reads BatchNorm otherwise, or the networks differ.
        """
        if self.shapes != other.shapes:
            raise ValueError("`other` must have the same parameters, got another network.")
        if not (self.has_batch_norm or other.has_batch_norm):
            return self
        mine, theirs = self._forward, other._forward
        if not (isinstance(mine, Reestimated) and isinstance(theirs, Reestimated)):
            got = f"{self.batch_norm!r} and {other.batch_norm!r}"
            raise ValueError(f"both objectives must have batch_norm='reestimate', got {got}.")
        borrowed = copy.copy(self)
        borrowed._forward = Borrowed(theirs, mine)
        return borrowed

    def logit_normalized(self) -> "Objective":
        """The same objective of normalised logits, see :mod:`flatmin.objective.normalized_logits`.

        Raises:
            ValueError: If the loss is the user's own step, or none of classes.
        """
        if not isinstance(self._problem, Supervised):
            raise ValueError("logits cannot be normalised within the user's own step(model, batch).")
        other = copy.copy(self)
        other._problem = Supervised(LogitNormalized(self._problem.given), self.device, self.dtype)
        other._forward = other._evaluator()
        return other

    def _on(self, batches: list[Batch]) -> "Objective":
        other = copy.copy(self)
        other._batches = batches
        other._forward = other._evaluator()
        return other

    def value(self, theta: Tensor | None = None) -> Tensor:
        """Mean loss at ``theta`` (where the model stands by default), a float64 scalar."""
        self._found.try_again()
        return self._forward.score(self._at(theta)).loss

    def evaluate(self, theta: Tensor | None = None) -> Evaluation:
        """Mean loss, accuracy and metrics at ``theta`` in one pass over the data."""
        self._found.try_again()
        score = self._forward.score(self._at(theta))
        return Evaluation(float(score.loss), score.accuracy, score.metrics)

    def evaluate_outputs(self, run: Callable[[Any], Any]) -> Evaluation:
        """Mean loss and accuracy of outputs that somebody else computes: ``run(inputs)`` for each batch.

        Raises:
            TypeError: If the loss is the user's own step, which computes them itself.
        """
        if not isinstance(self._problem, Supervised):
            raise TypeError(
                "the outputs belong to the user's own step(model, batch); use Objective(model, loss, batches)."
            )
        total, hits, asked = 0.0, 0.0, 0.0
        for batch in self._batches:
            inputs, *rest = batch.fresh()
            outputs = run(inputs)
            total += float(self._problem.of(outputs, tuple(rest), batch)) * batch.share
            counts = right(outputs, batch.parts[1], self._problem.reduction)
            hits, asked = hits + float(counts.right), asked + float(counts.asked)
        return Evaluation(total, hits / asked if asked else float("nan"))

    def each(self, function: Callable[..., Tensor], theta: Tensor | None = None) -> Tensor:
        """What ``function(outputs, targets)`` gives for each example at ``theta``, in their order, float64.

        Raises:
            ValueError: If it does not give one number an example.
        """
        return self._forward.each(function, self._at(theta))

    def values(self, thetas: Tensor) -> Tensor:
        """Mean losses at many points: ``thetas`` of shape (k, size) give (k,), float64.

        Raises:
            ValueError: If ``thetas`` has another shape.
        """
        if thetas.ndim != 2 or thetas.shape[1] != self.size:
            raise ValueError(f"`thetas` must have shape (k, {self.size}), got {tuple(thetas.shape)}.")
        losses = [self.value(theta) for theta in thetas]
        return torch.stack(losses) if losses else torch.zeros(0, dtype=torch.float64, device=self.device)

    def gradient(self, theta: Tensor | None = None) -> Tensor:
        """Gradient of the mean loss, shape (size,)."""
        return self.value_and_gradient(theta)[1]

    def each_along(
        self, function: Callable[..., Tensor], vector: Tensor, theta: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """What ``function(outputs, targets)`` gives for each example, and its derivative along ``vector``, float64.

        Exact, by differentiating twice: all examples at once, for about two gradients.

        Raises:
            RuntimeError: If torch has no second derivative.
            ValueError: If it does not give one number an example.
        """
        self._found.check_differentiable()
        at, along = self._at(theta), self._point("vector", vector)
        if self._products == "finite_difference":
            slope = product_by_differences(lambda t: self.each(function, t), at, along).product
            return self.each(function, at), slope.double()
        return self._forward.each_along(function, at, along)

    def each_pulled(self, function: Callable[..., Tensor], weights: Tensor, theta: Tensor | None = None) -> Tensor:
        """Gradient of the sum of ``function(outputs, targets)`` over the examples, each times its weight, (size,).

        Raises:
            ValueError: If it does not give one number an example, or there is not one weight an example.
        """
        self._found.check_differentiable()
        if weights.shape != (self.examples,):
            expected, got = (self.examples,), tuple(weights.shape)
            raise ValueError(f"`weights` must hold one number an example, {expected}, got {got}.")
        return self._forward.each_pulled(function, self._at(theta), weights).to(self.dtype)

    def value_and_gradient(self, theta: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Mean loss (float64 scalar) and gradient, shape (size,), in one pass.

        Raises:
            ValueError: If the loss has no gradient.
        """
        self._found.check_differentiable()
        self._found.try_again()
        value, gradient = self._forward.gradient(self._at(theta))
        return value, gradient.to(self.dtype)

    def hvp(self, vector: Tensor, theta: Tensor | None = None) -> Tensor:
        """Product of the Hessian at ``theta`` with ``vector``, both of shape (size,).

        The graph of the gradient is kept for further products at this point, as far as memory goes; the next product
        at another point lets it go.

        Raises:
            RuntimeError: If torch has no second derivative, or one that is not symmetric.
            ValueError: If the loss has no gradient.
        """
        self._found.check_differentiable()
        at, along = self._at(theta), self._point("vector", vector)
        if self._products == "finite_difference":
            first = self.hvp_error != self.hvp_error
            found = product_by_differences(
                lambda t: self._forward.gradient(t)[1].to(self.dtype), at, along, check=first
            )
            self.hvp_error = found.error if first else self.hvp_error
            return found.product
        self._found.check_product(at, along)
        return self._forward.hvp(at, along).to(self.dtype)

    def gauss_newton(self, vector: Tensor, theta: Tensor | None = None) -> Tensor:
        """Product of the Gauss-Newton matrix at ``theta`` with ``vector``, both of shape (size,).

        See :mod:`flatmin.objective.linearized`; :func:`flatmin.gauss_newton` makes an objective whose ``hvp`` it is.

        Raises:
            RuntimeError: If torch has no second derivative.
            TypeError: If the outputs of the network are not known, or no tensor.
        """
        self._found.check_differentiable()
        return self._forward.gauss_newton(self._at(theta), self._point("vector", vector)).to(self.dtype)

    def module_at(self, theta: Tensor | None = None) -> nn.Module:
        """A copy of the network in evaluation mode with the weights ``theta`` and this objective's BatchNorm.

        Raises:
            ValueError: If ``batch_norm`` is ``"reestimate"``: its statistics belong to data, not to a module.
        """
        if self.has_batch_norm and self.batch_norm == "reestimate":
            raise ValueError("batch_norm='reestimate' has no module of its own; use 'batch' or 'running'.")
        self._network.load(self._at(theta), self._buffers)
        module: nn.Module = copied(self._network.module, device=self.device, dtype=self.dtype)[0]
        return Standing(module, by_batch()) if self.has_batch_norm and self.batch_norm == "batch" else module

    def at(self, model: nn.Module) -> "Objective":
        """The same objective where another network of the same kind stands: its weights and its buffers.

        Nothing is tried again, so that this is cheap: for one network at many moments of its training.

        Raises:
            ValueError: If the networks have not the same parameters and buffers.
        """
        mine, theirs = _tensors(self._network.module), _tensors(unwrapped(model))
        if {name: t.shape for name, t in mine.items()} != {name: t.shape for name, t in theirs.items()}:
            raise ValueError("`model` must have the parameters and buffers of the network that the objective is of.")
        other = copy.copy(self)
        other._theta = torch.cat([theirs[name].detach().reshape(-1) for name in self.shapes]).to(self._theta)
        moving = {id(parameter) for parameter in self._network.parameters}
        other._buffers = {
            id(tensor): converted(theirs[name].detach().clone(), self.device, self.dtype)
            for name, tensor in mine.items()
            if id(tensor) not in moving
        }
        other._forward = other._evaluator()
        return other

    @property
    def statistics(self) -> Tensor:
        """Running means and variances of all BatchNorm layers in one vector (empty without such layers)."""
        buffers = self._running()
        if not buffers:
            return self._theta.new_zeros(0)
        return torch.cat([self._buffers.get(id(b), self._network.state.kept(id(b))).reshape(-1) for b in buffers])

    def with_statistics(self, statistics: Tensor) -> "Objective":
        """The same objective with other running means and variances, laid out as :attr:`statistics`.

        Raises:
            ValueError: If ``statistics`` has another shape than :attr:`statistics`.
        """
        buffers = self._running()
        expected = sum(b.numel() for b in buffers)
        if statistics.shape != (expected,):
            raise ValueError(f"`statistics` must have shape ({expected},), got {tuple(statistics.shape)}.")
        if not buffers:
            return self
        other = copy.copy(self)
        parts = torch.split(statistics.detach().to(buffers[0]), [b.numel() for b in buffers])
        own = {id(b): part.view_as(b).clone() for b, part in zip(buffers, parts, strict=True)}
        other._buffers = self._buffers | own
        other._forward = other._evaluator()
        return other

    def __repr__(self) -> str:
        name = type(self._network.module).__name__
        every = sum(p.numel() for p in self._network.module.parameters())
        of = "" if self.size == every else f" of {every:,}"
        weights = f"{self.size:,}{of} weight{'s' * (every != 1)}"
        examples = f"{self.examples:,} example{'s' * (self.examples != 1)}"
        count = len(self._batches)
        loss = getattr(self._problem.given, "__name__", type(self._problem.given).__name__)
        norms = f", BatchNorm: {self.batch_norm}" if self.has_batch_norm else ""
        line = f"Objective of {name}: {weights}, {examples} in {count:,} batch{'es' * (count != 1)}, loss {loss}{norms}"
        line += f", {str(self.dtype).removeprefix('torch.')} on {self.device}"
        return "\n  ".join([line, *(f"caution: {caution}" for caution in self.cautions)])

    def _running(self) -> list[Tensor]:
        if self.batch_norm != "running":
            return []
        layers = batch_norm_layers(self._network.module).values()
        pairs_ = [(layer.running_mean, layer.running_var) for layer in layers]
        return [buffer for pair in pairs_ for buffer in pair if buffer is not None]

    def _at(self, theta: Tensor | None) -> Tensor:
        return self._theta if theta is None else self._point("theta", theta)

    def _point(self, name: str, vector: Tensor) -> Tensor:
        vector = torch.as_tensor(vector)
        vector = vector.clone() if vector.is_inference() else vector.detach()
        vector = vector.to(device=self.device, dtype=self.dtype)
        if vector.shape != (self.size,):
            raise ValueError(f"`{name}` must have shape ({self.size},), got {tuple(vector.shape)}.")
        return vector


def _starts(batches: list[Batch], size: int) -> list[tuple[Batch, int]]:
    """Where parts begin: in the union of the batches, or in the only one."""
    union = batches[0] if len(batches) == 1 else merged(batches)
    return [] if union is None else [(union, first) for first in range(0, union.examples, size)]


def _tensors(model: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers by the names of the network as it was written."""
    named = dict(model.named_parameters()) | dict(model.named_buffers())
    return {name.replace("_orig_mod.", ""): tensor for name, tensor in named.items()}
