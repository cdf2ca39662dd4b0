"""The recursion of momentum beside its closed form and torch's SGD."""

import numpy as np
from matplotlib.figure import Figure

from flatmin.figures.captions import write_footer
from flatmin.figures.style import PAGE_WIDTH, blank, styled
from flatmin.results import Tables
from flatmin.results.words import DATA_NAMES, counted

CLOSED, TORCH, OWN = "#1B7F69", "#C23B75", "#0B4F9E"


@styled
def identity(tables: Tables) -> Figure:
    """Draw how far they are apart at a constant rate, and their movements where the rate falls."""
    rows, asked = tables.frames["momentum_identity"], tables.experiment["identity"]
    figure = blank(PAGE_WIDTH, 2.6)
    apart, falls = figure.subplots(1, 2)
    constant, drop = (rows[rows["schedule"] == name] for name in ("constant", "drop"))
    for _, way in constant.groupby("seed"):
        apart.plot(way["step"], np.maximum(way["closed_form"], 1e-19), color=CLOSED, linewidth=0.8)
        apart.plot(way["step"], np.maximum(way["torch"], 1e-19), color=TORCH, linewidth=0.8)
    apart.axhline(1e-12, color="0.4", linewidth=0.8, linestyle=":")
    apart.plot([], [], color=CLOSED, label="movement, closed form (3.13)")
    apart.plot([], [], color=TORCH, label="weights, torch.optim.SGD")
    apart.set(xlabel="step", ylabel="largest difference, log axis", yscale="log", ylim=(5e-20, 1e-9))
    apart.set_title("Constant rate: difference from the recursion")
    apart.legend(loc="upper left")
    first = drop[drop["seed"] == drop["seed"].min()]
    falls.plot(first["step"], first["movement"], color=OWN, label="recursion, m = λ m – η g")
    falls.plot(
        first["step"], first["torch_movement"], color=TORCH, linestyle="--", label="torch, b = λ b + g, moves by –η b"
    )
    changes = first.loc[first["learning_rate"].diff() != 0, "step"].iloc[1:]
    for step in changes:
        falls.axvline(step - 0.5, ymax=0.7, color="0.4", linewidth=0.8, linestyle=":")
    falls.set(xlabel="step", ylabel="length of the movement", title=f"The rate falls to {asked['drop']:g} of itself")
    falls.set_ylim(0, 1.45 * first["movement"].max())
    falls.legend(loc="upper left")
    figure.suptitle("Momentum by its recursion, in closed form and by torch", x=0.012, ha="left")
    data = tables.experiment["data"]["name"]
    facts = [
        f"Tanh network in float64 on {DATA_NAMES.get(data, data)}, batches of {asked['batch_size']}, momentum λ = "
        f"{asked['momentum']:g}, rate η = {asked['learning_rate']:g}",
        f"Left: {counted(rows['seed'].nunique(), 'seed')}, exact zeros at 1e-19; dotted, what counts as equal. Right: "
        f"seed {first['seed'].iloc[0]:g}; dotted, where the rate falls",
    ]
    write_footer(figure, facts)
    return figure
