"""The command ``flatmin attack``: networks of the same function, and what each measure makes of them."""

import math
from typing import Annotated, Any, get_args

import typer

from flatmin.cli import brought as options
from flatmin.cli.attacked import CHEAP, Attacked
from flatmin.cli.brought import ExampledCommand, Subject, among, check_file, working
from flatmin.cli.measuring import UNITS, USUAL, BatchNorm, chosen, not_converged, write_table
from flatmin.core.errors import ConfigError
from flatmin.core.fields import BatchNormReading

COLUMNS = (
    *("measure", "symmetry", "amount", "before", "before_error", "after", "after_error", "ratio", "judged"),
    *("outputs",),
)

Measures = Annotated[
    list[str] | None,
    typer.Option(
        "--measure",
        metavar="NAME",
        show_default=False,
        help="As of `flatmin measure`; may be repeated. Unless one is named: epsilon_sharpness, and every measure that "
        f"`flatmin run --help` lists which costs at most {CHEAP:,.0f} passes over the examples.",
    ),
]
Symmetries = Annotated[
    list[str] | None,
    typer.Option(
        "--symmetry",
        metavar="NAME",
        show_default=False,
        help="layer_rescaling, node_rescaling, batch_norm_scale, logit_shift, attention, permutation or partition; may "
        "be repeated. All that the network has a place for unless one is named.",
    ),
]
Amount = Annotated[
    float, typer.Option("--amount", metavar="A", help="What weights are scaled by, logits shifted by; at most so.")
]


class AttackCommand(ExampledCommand):
    """The command, whose help ends with examples."""

    examples = (
        "flatmin attack last.ckpt --network F1 --data mnist",
        "flatmin attack model.pt --network models.py:resnet18 --data cifar10 --batch-norm batch --amount 100",
        "flatmin attack last.ckpt --network F1 --data mnist --measure average_case --symmetry node_rescaling --json",
    )


def attack(
    checkpoint: options.Checkpoint,
    network: options.NetworkOption,
    data: options.DataOption,
    arguments: options.With = None,
    measures: Measures = None,
    symmetries: Symmetries = None,
    amount: Amount = 10.0,
    batch_norm: BatchNorm = "running",
    loss: options.Loss = None,
    on: options.On = "train",
    examples: options.ExamplesOption = None,
    batch_size: options.BatchSize = None,
    device: options.Device = "auto",
    seed: options.SeedOption = 0,
    root: options.Root = None,
    as_json: options.AsJson = False,
    output: options.Output = None,
) -> None:
    """Try which measures a change of the weights can fool that leaves the function of a network as it is.

    Builds networks of the same function (rescaled layers, permuted units, other batches ...), checks that their outputs
    are the same, and takes each measure before and after. All is computed in float64.
    """
    check_file("--output", output, (".csv",))
    among("--batch-norm", batch_norm, get_args(BatchNormReading))
    if not 0 < amount < math.inf:
        raise ConfigError(f"--amount must be positive and finite, got {amount:g}.")
    functions = chosen(measures or [USUAL], seed)
    found = options.brought(
        network=network,
        arguments=arguments,
        data=data,
        part=on,
        loss=loss,
        examples=examples,
        batch_size=batch_size,
        device=device,
        seed=seed,
        root=root,
    )
    from flatmin.symmetries import symmetries as declared

    for name in symmetries or ():
        among("--symmetry", name, tuple(declared()))
    with working("reading the network"):
        model = found.network(checkpoint).double()
        subject = Subject(found, checkpoint, batch_norm, found.loss_of(model, checkpoint, batch_norm))
    result = Attacked(subject, model, amount, seed)
    result.measure(functions, named=bool(measures))
    if not measures:
        result.measure(chosen(result.cheap(), seed), named=False)
    for name in symmetries or declared():
        result.change(name, named=bool(symmetries))
    cautions = [
        *result.surprises,
        *not_converged(f"{name} ({', '.join(where)})" for name, where in result.unconverged.items()),
        *subject.cautions(measures=result.before),
    ]
    if output is not None:
        write_table(output, result.rows, COLUMNS)
    lines = [*subject.lines(), "computed in float64"]
    if as_json:
        told = {"symmetries": result.done, "left_out": result.left_out, "on": lines, "cautions": cautions}
        options.show_json({"measures": result.rows, **told})
        return
    written = [f"Table: {output}"] if output else []
    _show(result, [*lines, *(f"caution: {caution}." for caution in cautions), *written])


def _show(result: Attacked, lines: list[str]) -> None:
    from rich.table import Table

    from flatmin.cli.terminal import show

    table = Table("measure, and after", "value", "ratio", "judged")
    table.columns[0].overflow = "fold"
    for name in dict.fromkeys(row["measure"] for row in result.rows):
        rows = [row for row in result.rows if row["measure"] == name]
        table.add_row(name, _number(rows[0], "before"), "", "")
        for row in rows:
            table.add_row(f"  {row['symmetry']}", _number(row, "after"), f"{row['ratio']:.3g}", row["judged"])
        table.add_section()
    done = [f"{name}: {what}" for name, what in result.done.items()]
    left_out = [f"left out: {name}: {why}." for name, why in result.left_out.items()]
    show([*([table] if result.rows else []), *done, *left_out, *lines])


def _number(row: dict[str, Any], key: str) -> str:
    from flatmin.results.words import significant

    error, unit = row[f"{key}_error"], UNITS.get(row["measure"], "")
    return significant(row[key], 4) + ("" if error is None else f" ± {significant(error, 2)}") + unit
