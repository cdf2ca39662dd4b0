"""Is it a function? A few examples are run a few times before anything is measured.

What cannot be known from the code of a network is tried: whether it gives one value at one point, what it writes into,
what it draws, whether the gradient is the slope of the loss, whether the mean of a batch is a mean over examples.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from operator import itemgetter
from typing import Any

import torch
from torch import Tensor, nn

from flatmin.core.vectors import norm
from flatmin.objective.batch_norm import Counting, differentiable_twice, takes_batch_statistics
from flatmin.objective.batches import Batch, tensors
from flatmin.objective.copying import converted
from flatmin.objective.findings import Findings
from flatmin.objective.forward import Forward
from flatmin.objective.losses import Problem, Scored, Supervised, scores_of
from flatmin.objective.network import Network
from flatmin.objective.rewriting import Handlers, Watch
from flatmin.objective.second_derivatives import HANDLERS
from flatmin.objective.slope import doubted_gradient

EXAMPLES = 16


class Probe:
    """Runs the network on a few examples.

    Args:
        network: The private copy; what is found about it is written down in it.
        problem: The loss of a batch.
        batches: With their shares.
        model: The user's own, which must not be reached.
        running: Whether BatchNorm is read by its running averages.
    """

    def __init__(
        self, network: Network, problem: Problem, batches: list[Batch], model: nn.Module, *, running: bool
    ) -> None:
        self.network = network
        self.problem = problem
        self.batches = batches
        self.model = model
        self.running = running
        self.handlers: Handlers = {} if running else Counting().handlers
        self.theta = network.theta
        network.draws.everywhere = True  # until it is known where it draws from

    def findings(self, *, weighed: bool) -> Findings:
        """Run it.

        Args:
            weighed: Whether the user has said what a batch weighs.

        Returns:
            What was found.

        Raises:
            ValueError: If the network is no function of its weights, reaches them around the copy, or normalises
                batches by their own statistics under ``batch_norm="running"``.
        """
        found = Findings()
        sample = self._sample()
        first = self._watched(sample, found)
        again = self._run(sample, self.theta)
        self.few = Forward(
            self.network,
            self.problem,
            [replace(sample, share=1.0)],
            handlers=self.handlers,
            metrics={},
            buffers={},
            graph_bytes=0.0,
            decomposed=found.decomposed,
        )
        self._must_equal(float(first.loss.detach()), float(again.loss.detach()))
        found.rows = _has_rows(again.outputs, sample.examples)
        if not weighed and self.problem.reduction is None:
            self._check_cut(found)
        self._check_slope(sample, found)
        self._check_shapes(sample, again.outputs, found)
        found.few, found.theta = self.few, self.theta
        found.value = float(self.few.score(self.theta).loss)
        return found

    def _sample(self) -> Batch:
        """A few examples if the network takes them, else the first batch."""
        whole = max(self.batches, key=lambda batch: min(batch.examples, EXAMPLES))
        few = whole.cut(0, min(EXAMPLES, whole.examples))
        if few is None:
            return whole
        try:
            self._run(few, self.theta)
        except RuntimeError as error:
            if "does not require grad" not in str(error):
                return whole
            self.network.needs_graph = True  # a forward that differentiates: of an energy, a physics-informed one
        except Exception:
            return whole
        return few

    def _run(self, batch: Batch, theta: Tensor) -> Scored:
        with self.network.running(self.handlers, graph=False):
            self.network.load(theta, {})
            self.network.draws.begin(0)
            scored = self.problem(self.network.module, batch)
            self.network.state.watch()
            return scored

    def _watched(self, sample: Batch, found: Findings) -> Scored:
        network = self.network
        own = [*self.model.parameters(), *self.model.buffers()]
        watch = Watch(own)
        with network.running(self.handlers, graph=False):
            network.load(self.theta, {})
            network.draws.begin(0)
            before = network.draws.drawn()
            with watch, self._averages_read(watch) as unread:
                scored = self.problem(network.module, sample)
            after = network.draws.drawn()
        if unread and not self.running:
            raise ValueError(
                f"layer {unread[0]!r} keeps running averages and reads them by itself, not by "
                "torch.nn.functional.batch_norm, so no other statistics can be put in their place; use "
                "batch_norm='running'."
            )
        found.draws = before != after
        network.draws.everywhere = before[-3:] != after[-3:]
        network.state.watch()
        network.writes_weights = not _alike(network.theta, self.theta)
        if network.state.wrote_frozen():
            named = dict(self.model.named_parameters())
            written = {name.replace("_orig_mod.", ""): parameter for name, parameter in named.items()}
            kept = [written[name] for name in _names(network)]
            network.frozen_kept = [converted(p.detach(), network.device, network.dtype) for p in kept]
        found.normalizes = bool(watch.calls)
        if self.running and any(takes_batch_statistics(*call) for call in watch.calls):
            raise ValueError(
                "batch_norm='running' needs running averages, but `model` normalises a batch by its own statistics in "
                "evaluation mode too; use 'batch' or 'reestimate'."
            )
        if not self.running and watch.unread:
            raise ValueError(
                f"`model` normalises batches by torch's {min(watch.unread)!r}, whose statistics cannot be replaced; "
                "use torch.nn.functional.batch_norm, or batch_norm='running'."
            )
        found.decomposed = {f: handler for f, handler in HANDLERS.items() if f in watch.functions}
        if found.normalizes:
            found.decomposed |= differentiable_twice(batch=not self.running)
        if watch.alias:
            raise ValueError(
                "`model` or `loss` reaches the memory of the network's own weights by another tensor (a view or "
                "`.data` kept outside of the module), which a copy cannot follow; reach them through the module."
            )
        if watch.foreign:
            network.owned = _owned(self.model, network.module)
            scored = self._run(sample, self.theta)
        if found.draws:
            found.cautions.append(
                "random numbers are drawn: the same ones at every point "
                f"(common random numbers, seed {network.draws.seed})"
            )
        if network.unsteady and not self._harmless(sample, scored):
            found.cautions.append("what the network keeps changes its next loss: it is put back before every batch")
        return scored

    def _harmless(self, sample: Batch, scored: Scored) -> bool:
        """Whether the loss is the same when nothing is put back."""
        with self.network.running(self.handlers, graph=False):
            self.network.load(self.theta, {})
            losses = []
            for _ in range(2):
                self.network.draws.begin(0)
                losses.append(float(self.problem(self.network.module, sample).loss.detach()))
        return losses[0] == losses[1] == float(scored.loss.detach())

    @contextmanager
    def _averages_read(self, watch: Watch) -> Iterator[list[str]]:
        """The layers with running averages that ran without a call that normalises."""
        unread: list[str] = []
        calls: dict[str, int] = {}
        handles = []
        for name, layer in self.network.module.named_modules():
            averages = [key for key, buffer in layer.named_buffers(recurse=False) if "running" in key]
            if averages and not isinstance(layer, torch.jit.ScriptModule):

                def begin(_: nn.Module, __: Any, name: str = name) -> None:
                    calls[name] = len(watch.calls)

                def end(_: nn.Module, __: Any, ___: Any, name: str = name) -> None:
                    if len(watch.calls) == calls[name]:
                        unread.append(name)

                handles += [layer.register_forward_pre_hook(begin), layer.register_forward_hook(end)]
        try:
            yield unread
        finally:
            for handle in handles:
                handle.remove()

    @staticmethod
    def _must_equal(first: float, again: float) -> None:
        """Check that two runs at one point gave one loss.

        Raises:
            ValueError: If they did not.
        """
        if first == again or (math.isnan(first) and math.isnan(again)):
            return
        if not math.isclose(first, again, rel_tol=1e-4, abs_tol=1e-7):
            raise ValueError(
                f"`model` or `loss` is no function of the weights: the same examples gave a loss of {first:.6g} and "
                f"then of {again:.6g}, although buffers, attributes and all generators were put back. Something else "
                "changes from call to call (a counter in a closure, a file, the time); take it out, or freeze it."
            )

    def _check_shapes(self, sample: Batch, outputs: Any, found: Findings) -> None:
        """Say so where outputs and targets of a loss of numbers have different shapes, which torch spreads."""
        reduction, targets = self.problem.reduction, self.problem.targets(sample)
        scores = scores_of(outputs)
        if reduction is None or not (isinstance(scores, Tensor) and isinstance(targets, Tensor)):
            return
        if reduction.of_numbers and scores.shape != targets.shape:
            found.cautions.append(
                f"outputs of shape {tuple(scores.shape)} meet targets of shape {tuple(targets.shape)}: the loss "
                "compares each with each, and depends on the cut into batches"
            )

    def _check_cut(self, found: Findings) -> None:
        """Say so if the loss of a batch is no mean over its examples."""
        batch = self.batches[0]
        first = (batch.examples + 2) // 3
        parts = [batch.cut(0, first), batch.cut(first, batch.examples)]
        if found.draws or any(part is None for part in parts):
            return
        try:
            whole, *losses = self._losses([batch, *(part for part in parts if part)], found.normalizes)
        except Exception:  # a loss that takes no other size of a batch
            return
        mean = (losses[0] * first + losses[1] * (batch.examples - first)) / batch.examples
        if not math.isclose(whole, mean, rel_tol=2e-5, abs_tol=1e-7):
            found.cautions.append(
                f"`loss` is no mean over examples ({whole:.4g} for a batch, {mean:.4g} by its parts): the value "
                "depends on the cut into batches; say what a batch weighs with weights="
            )

    def _losses(self, batches: list[Batch], normalizes: bool) -> list[float]:
        """Losses of a batch and of its two parts; where batches are normalised, all of the outputs of the whole.

        Raises:
            ValueError: If those outputs cannot be cut.
        """
        if not normalizes:
            return [float(self._run(batch, self.theta).loss.detach()) for batch in batches]
        whole, first, _ = batches
        outputs = self._run(whole, self.theta).outputs
        if not (isinstance(self.problem, Supervised) and isinstance(outputs, Tensor)):
            raise ValueError("no rows to cut")
        rows = (outputs, outputs[: first.examples], outputs[first.examples :])
        with self.network.running({}, graph=False):
            pairs = zip(rows, batches, strict=True)
            return [float(self.problem.of(part, batch.fresh()[1:], batch).detach()) for part, batch in pairs]

    def _check_slope(self, sample: Batch, found: Findings) -> None:
        """Say so if the gradient is not the slope of the loss, at a point near by.

        Raises:
            ValueError: If no weight takes part in the loss.
        """
        generator = torch.Generator().manual_seed(0)
        noise = torch.randn(3, len(self.theta), generator=generator).to(self.theta)
        size = norm(self.theta) / math.sqrt(len(self.theta)) or 1.0
        theta = torch.add(self.theta, noise[0], alpha=0.02 * size)
        try:
            self._look_at_graph(sample, theta, found)
            value, gradient = self.few.gradient(theta)
        except RuntimeError:  # said in torch's words when a gradient is asked for
            return
        if not (found.differentiable and value.isfinite() and gradient.isfinite().all()):
            return
        length = norm(gradient)
        ways = [gradient / length] if length else []
        ways += [way / norm(way) for way in noise[1:]]
        doubt = doubted_gradient(
            lambda t: float(self.few.score(t).loss), lambda t: self.few.gradient(t)[1].to(theta), theta, ways
        )
        if doubt is not None:
            found.cautions.append(
                f"the gradient is not the slope of the loss (it says {doubt[0]:.3g} where the loss has {doubt[1]:.3g}):"
                " something in the network or the loss stops, rounds or replaces it, and searches climb by it"
            )

    def _look_at_graph(self, sample: Batch, theta: Tensor, found: Findings) -> None:
        """What the graph of the loss shows: its memory, checkpoints, the weights that take part.

        Raises:
            ValueError: If none does.
        """
        network = self.network
        kept = {p.untyped_storage().data_ptr() for p in [*network.parameters, *network.frozen]}
        seen: dict[int, int] = {}
        boxes: list[list[Tensor]] = []  # a node that keeps its own output is never freed, so each is let go by hand

        def note(tensor: Tensor) -> list[Tensor]:
            place = tensor.untyped_storage()
            if place.data_ptr() not in kept:
                seen[place.data_ptr()] = place.nbytes()
            boxes.append([tensor])
            return boxes[-1]

        try:
            with network.running(self.handlers, graph=True):
                network.load(theta, {})
                network.draws.begin(0)
                with torch.autograd.graph.saved_tensors_hooks(note, itemgetter(0)):
                    loss = self.problem(network.module, sample).loss
        finally:
            for box in boxes:
                box.clear()
        found.graph_bytes = sum(seen.values()) / sample.examples
        found.differentiable = loss.requires_grad
        nodes = graph_of(loss)
        network.reentrant = any(node.name() == "CheckpointFunctionBackward" for node in nodes)
        if not loss.requires_grad and float(loss) == float(self._run(sample, self.theta).loss):
            found.cautions.append("moving the weights by a fiftieth of their length does not move the loss")
        if not loss.requires_grad or network.reentrant:
            return
        met = {id(node.variable) for node in nodes if hasattr(node, "variable")}
        pairs = zip(network.layout.shapes, network.parameters, strict=True)
        idle = [name for name, parameter in pairs if id(parameter) not in met]
        if len(idle) == len(network.parameters) and not network.owned:
            raise ValueError(
                "moving the weights does not move the loss: no parameter of `model` takes part in it. Does `loss` or "
                "the step use another network, a copy of this one? The objective works on a copy of its own."
            )
        if idle:
            shown = ", ".join(map(repr, idle[:3])) + (f" and {len(idle) - 3} more" if len(idle) > 3 else "")
            found.cautions.append(
                f"{len(idle)} of {len(network.parameters)} parameters take no part in the loss: {shown}"
            )


def graph_of(loss: Tensor) -> set[Any]:
    """The nodes of the graph that a loss came from."""
    seen: set[Any] = set()
    waiting = [loss.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is not None and node not in seen:
            seen.add(node)
            waiting += [parent for parent, _ in node.next_functions]
    return seen


def _names(network: Network) -> list[str]:
    frozen = {id(parameter) for parameter in network.frozen}
    return [name for name, parameter in network.module.named_parameters() if id(parameter) in frozen]


def _owned(model: nn.Module, copy: nn.Module) -> dict[int, Tensor]:
    """The copy's tensor for the identity of each of the model's."""
    mine = dict(copy.named_parameters(remove_duplicate=False)) | dict(copy.named_buffers(remove_duplicate=False))
    theirs = dict(model.named_parameters(remove_duplicate=False)) | dict(model.named_buffers(remove_duplicate=False))
    written = {name.replace("_orig_mod.", ""): tensor for name, tensor in theirs.items()}
    return {id(tensor): mine[name] for name, tensor in written.items() if name in mine}


def _alike(first: Tensor, second: Tensor) -> bool:
    if first.is_floating_point():
        first, second = torch.nan_to_num(first), torch.nan_to_num(second)
    return torch.equal(first, second)


def _has_rows(outputs: Any, examples: int) -> bool:
    found = tensors(outputs)
    return bool(found) and all(t.ndim and len(t) == examples for t in found)
