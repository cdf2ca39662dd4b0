"""Weight averaging against the mean of its snapshots, in a Trainer, killed and resumed."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from own_trainer import ADVICE, own_trainer
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from flatmin.core.fields import Section
from flatmin.data.batches import Pair
from flatmin.training import Averaging, Classifier, WeightAverage, averaged, reestimate_batch_norm
from flatmin.training.averaging import Mean
from flatmin.training.classifier import EpochData

pytestmark = ADVICE

Data = tuple[Pair, Pair]
Fresh = Callable[[], nn.Module]


class Snapshots(pl.Callback):
    """Copies of the weights after every epoch and the learning rate in it, kept in an ordinary way."""

    def __init__(self) -> None:
        self.weights: dict[int, dict[str, Tensor]] = {}
        self.rates: dict[int, float] = {}

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        epoch = trainer.current_epoch + 1
        self.weights[epoch] = {name: p.detach().clone() for name, p in pl_module.named_parameters()}
        self.rates[epoch] = trainer.optimizers[0].param_groups[0]["lr"]

    def moved(self, epoch: int) -> float:
        """How far the biases of the last layer went in an epoch."""
        before, after = (self.weights[e]["network.4.bias"] for e in (epoch - 1, epoch))
        return float((after - before).norm())


class Killed(Exception):
    pass


class Kill(pl.Callback):
    def __init__(self, epoch: int, file: Path) -> None:
        self.epoch, self.file = epoch, file

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.current_epoch + 1 == self.epoch:
            trainer.save_checkpoint(self.file)
            raise Killed


class Scheduled(Classifier):
    """With a rate that halves in every epoch."""

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.SGD(self.parameters(), lr=0.4, momentum=0.9)
        return [optimizer], [torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)]


def fit(
    network: nn.Module, data: Data, *callbacks: pl.Callback, epochs: int = 6, ckpt: Path | None = None, **kinds: Any
) -> pl.Trainer:
    trainer = own_trainer(Path("unused"), max_epochs=epochs, callbacks=list(callbacks), use_distributed_sampler=False)
    module = kinds.get("module", Classifier)(network, optimizer="sgd", learning_rate=0.1, momentum=0.9)
    trainer.fit(module, datamodule=EpochData(*data[0], 16, seed=3), ckpt_path=ckpt and str(ckpt))
    return trainer


@pytest.mark.parametrize(
    ("averaging", "epochs"),
    [
        (Averaging(3), [3, 4, 5, 6]),
        (Averaging(0.5, every=3), [3, 6]),
        (Averaging(6), [6]),
        (Averaging(1, every=3), [1, 4]),
    ],
    ids=str,
)
def test_the_network_ends_as_the_mean_of_its_snapshots(
    averaging: Averaging, epochs: list[int], fresh: Fresh, data: Data
) -> None:
    network, kept, average = fresh(), Snapshots(), WeightAverage(averaging)
    trainer = fit(network, data, kept, average)
    for name, parameter in network.named_parameters():
        snapshots = torch.stack([kept.weights[epoch][f"network.{name}"] for epoch in epochs]).double()
        torch.testing.assert_close(parameter.detach().double(), snapshots.mean(0), rtol=2**-24, atol=0)
    assert average.count == len(epochs) and trainer.current_epoch == len(kept.weights) == 6


def test_batch_norm_gets_the_averages_of_the_training_examples_at_the_mean(fresh: Fresh, data: Data) -> None:
    network = fresh()
    fit(network, data, WeightAverage(Averaging(3)))
    inputs = data[0].inputs.double() @ network[0].weight.detach().double().T
    torch.testing.assert_close(network[1].running_mean.double(), inputs.mean(0), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(network[1].running_var.double(), inputs.var(0), rtol=1e-5, atol=1e-6)
    assert int(network[1].num_batches_tracked) == 6 * 4  # no step was taken for it


def test_training_does_not_feel_it(fresh: Fresh, data: Data) -> None:
    with_it, without = Snapshots(), Snapshots()
    fit(fresh(), data, with_it, WeightAverage(Averaging(2)))
    fit(fresh(), data, without)
    for epoch, weights in without.weights.items():
        assert all(torch.equal(with_it.weights[epoch][name], weight) for name, weight in weights.items())


@pytest.mark.parametrize("module", [Classifier, Scheduled])
def test_the_rate_is_constant_after_the_first_weights_that_count(module: Any, fresh: Fresh, data: Data) -> None:
    kept = Snapshots()
    fit(fresh(), data, WeightAverage(Averaging(2, learning_rate=0.05)), kept, module=module)
    before = {Classifier: [0.1, 0.1], Scheduled: [0.2, 0.1]}[module]  # Lightning's schedules step before the epoch ends
    assert [kept.rates[epoch] for epoch in (1, 2)] == before
    if module is Classifier:
        assert [kept.rates[epoch] for epoch in (3, 4, 5, 6)] == [0.05] * 4
    else:  # the schedule goes on between the epochs, but no step hears of it
        held, left = kept.moved(6), Snapshots()
        fit(fresh(), data, WeightAverage(Averaging(2)), left, module=module)
        assert held > 2 * left.moved(6)


@pytest.mark.parametrize("epoch", [1, 2, 4, 6])
@pytest.mark.parametrize("module", [Classifier, Scheduled])
def test_a_run_killed_after_any_epoch_ends_the_same(
    module: Any, epoch: int, fresh: Fresh, data: Data, tmp_path: Path
) -> None:
    averaging, file = Averaging(2, every=2, learning_rate=0.07), tmp_path / "run.ckpt"
    expected, found = fresh(), fresh()
    fit(expected, data, WeightAverage(averaging), module=module)
    with pytest.raises(Killed):
        fit(fresh(), data, WeightAverage(averaging), Kill(epoch, file), module=module)
    torch.rand(5)
    fit(found, data, WeightAverage(averaging), ckpt=file, module=module)
    for (name, one), other in zip(expected.state_dict().items(), found.state_dict().values(), strict=True):
        assert torch.equal(one, other), name


def test_a_training_that_ends_early_ends_as_the_mean_so_far(fresh: Fresh, data: Data) -> None:
    class Stop(pl.Callback):
        def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
            trainer.should_stop = trainer.current_epoch + 1 == self.epoch

        def __init__(self, epoch: int) -> None:
            self.epoch = epoch

    for epoch, last in ((4, 3), (2, 2)):
        network, kept, average = fresh(), Snapshots(), WeightAverage(Averaging(3))
        fit(network, data, kept, average, Stop(epoch))
        weights = [kept.weights[e]["network.0.weight"] for e in range(last, epoch + 1)]
        torch.testing.assert_close(network[0].weight.detach(), torch.stack(weights).mean(0))
        assert average.count == max(0, epoch - 2)


def test_a_callback_that_is_used_again_begins_anew(fresh: Fresh, data: Data) -> None:
    average, networks = WeightAverage(Averaging(3)), [fresh(), fresh()]
    for network in networks:
        fit(network, data, average)
    assert average.count == 4 and torch.equal(networks[0][0].weight, networks[1][0].weight)


def test_a_trainer_of_ones_own_with_a_shuffled_loader_resumes_the_same(tmp_path: Path) -> None:
    """The last pass over the data is the same although a resumed run has drawn other numbers before."""

    class Own(pl.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.body = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))

        def training_step(self, batch: Any, batch_idx: int) -> Tensor:
            loss: Tensor = self.body(batch["x"]).square().mean()
            return loss

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), 0.1)

    class Rows(TensorDataset):
        def __getitem__(self, index: Any) -> Any:
            return {"x": self.tensors[0][index]}

    loader = DataLoader(Rows(torch.randn(40, 3)), batch_size=7, shuffle=True)

    def run(*callbacks: pl.Callback, **options: Any) -> Own:
        average = WeightAverage(Averaging(2), forward=lambda module, batch: module.body(batch["x"]))
        trainer = own_trainer(tmp_path, max_epochs=3, callbacks=[average, *callbacks])
        trainer.fit(module := Own(), loader, **options)
        return module

    file = tmp_path / "run.ckpt"
    torch.manual_seed(1)
    with pytest.raises(Killed):
        run(Kill(3, file))
    ends = [run(ckpt_path=str(file)).state_dict() for _ in range(2)]
    assert all(torch.equal(one, other) for one, other in zip(ends[0].values(), ends[1].values(), strict=True))
    assert not torch.equal(
        ends[0]["body.1.running_mean"], torch.load(file, weights_only=True)["state_dict"]["body.1.running_mean"]
    )


def test_the_mean_of_many_is_that_of_all_at_once_to_the_last_bit_of_float32() -> None:
    states = [{"w": 1e4 + torch.randn(50, generator=torch.Generator().manual_seed(k))} for k in range(300)]
    expected = torch.stack([state["w"] for state in states]).double().mean(0)
    assert torch.equal(averaged(states)["w"], expected.float())
    running = Mean()
    for state in states:
        running.add(state)
    torch.testing.assert_close(running.tensors["w"], expected, rtol=1e-14, atol=0)


def test_whole_numbers_are_not_averaged_and_kinds_stay() -> None:
    states = [
        {"w": torch.tensor([k], dtype=torch.bfloat16), "n": torch.tensor(k), "b": torch.tensor([True])} for k in (1, 2)
    ]
    mean = averaged(states)
    assert [(t.dtype, t.tolist()) for t in mean.values()] == [
        (torch.bfloat16, [1.5]), (torch.int64, 1), (torch.bool, [True])
    ]  # fmt: skip
    mean["n"].add_(5)
    assert int(states[0]["n"]) == 1


def test_what_a_module_keeps_beside_its_tensors_is_that_of_the_first_and_a_copy() -> None:
    extra = {"seen": [3]}
    mean = averaged([{"w": torch.tensor([k]), "_extra_state": extra} for k in (1.0, 3.0)])  # type: ignore[dict-item]
    assert mean["w"].tolist() == [2.0] and mean["_extra_state"] == extra and mean["_extra_state"] is not extra


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: averaged([]), ValueError, "`states` must not be empty"),
        (lambda: averaged([{"w": torch.ones(2)}, {"w": torch.ones(3)}]), ValueError, "state 1 has other names"),
        (lambda: averaged([{"w": torch.ones(2)}, {"v": torch.ones(2)}]), ValueError, "state 1 has other names"),
        (lambda: averaged([{"w": torch.ones(2)}, {"w": torch.ones(2).int()}]), ValueError, "state 1 has other n"),
        (lambda: averaged([{"w": torch.ones(2).int()}, {"w": torch.ones(2)}]), ValueError, "state 1 has other n"),
        (lambda: averaged([nn.Linear(2, 2)]), TypeError, r"what state_dict\(\) gives, got Linear"),  # type: ignore[list-item]
        (lambda: averaged(nn.Linear(2, 2).state_dict()), TypeError, "gives, got str"),
        (lambda: averaged([nn.LazyLinear(2).state_dict()]), ValueError, "weight has none yet; call the network once"),
        (lambda: Averaging(0), ValueError, "`start` must be at least 1, got 0"),
        (lambda: Averaging(1.5), ValueError, r"`start` must lie in \(0, 1\], got 1.5"),
        (lambda: Averaging(True), TypeError, "`start` must be an int, got bool"),
        (lambda: Averaging("half"), TypeError, "`start` must be a number, got str"),  # type: ignore[arg-type]
        (lambda: Averaging(every=0), ValueError, "`every` must be at least 1, got 0"),
        (lambda: Averaging(learning_rate=0.0), ValueError, "`learning_rate` must be positive"),
        (lambda: Averaging(7).epochs(6), ValueError, "`start` must be at most the 6 epochs trained, got 7"),
        (lambda: WeightAverage(0.75), TypeError, "`averaging` must be an Averaging, got float"),  # type: ignore[arg-type]
        (lambda: WeightAverage(forward=3), TypeError, "`forward` must be callable, got int"),  # type: ignore[arg-type]
        (lambda: reestimate_batch_norm(nn.BatchNorm1d(2), []), ValueError, "`batches` must not be empty"),
        (lambda: reestimate_batch_norm(nn.BatchNorm1d(2), [torch.ones(1, 2)]), ValueError, "a batch of one example"),
    ],
)  # fmt: skip
def test_bad_arguments_are_told(call: Callable[[], Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        call()


def test_a_trainer_without_epochs_is_refused(fresh: Fresh, data: Data) -> None:
    with pytest.raises(ValueError, match="WeightAverage needs a Trainer with a number of epochs: set max_epochs"):
        fit(fresh(), data, WeightAverage(), epochs=-1)
    with pytest.raises(ValueError, match="`start` must be at most the 6 epochs trained, got 7"):
        fit(fresh(), data, WeightAverage(Averaging(7)))


def test_a_file_can_say_it() -> None:
    class Plan(Section):
        average: Averaging

    assert Plan.model_validate({"average": {"start": 0.5, "every": 2}}).average == Averaging(0.5, every=2)
    assert Plan.model_validate({"average": {"start": 12}}).average.start == 12
    for wrong in ({"start": 0}, {"start": 1.5}, {"start": "half"}, {"begin": 3}):
        with pytest.raises(ValueError, match="average"):
            Plan.model_validate({"average": wrong})


def test_the_averages_do_not_depend_on_how_the_data_are_cut_or_on_the_modes(fresh: Fresh, data: Data) -> None:
    network = fresh()
    network[3].p, inputs, found = 0.9, data[0].inputs, []
    for batches in ([inputs], inputs.split(16), [inputs[:3], inputs[3:]]):
        other = copy.deepcopy(network)
        other[1].train(False)
        assert reestimate_batch_norm(other, batches) == 1
        assert [part.training for part in other] == [True, False, True, True, True] and other[1].track_running_stats
        found.append(other[1].running_var)
    torch.testing.assert_close(found[1], found[0])
    torch.testing.assert_close(found[2], found[0])
    assert reestimate_batch_norm(nn.Linear(2, 2), iter(())) == 0


def test_torchs_own_counts_a_small_last_batch_as_much_as_any() -> None:
    """Why it is not what is called here."""
    layer, inputs = nn.BatchNorm1d(1), torch.tensor([[0.0], [1.0]] * 30 + [[20.0], [21.0]])
    torch.optim.swa_utils.update_bn(inputs.split(60), layer)
    assert float(layer.running_mean) == pytest.approx((0.5 + 20.5) / 2)
    reestimate_batch_norm(layer, inputs.split(60))
    assert float(layer.running_mean) == pytest.approx(float(inputs.mean()))
    assert float(layer.running_var) == pytest.approx(float(inputs.var()))
