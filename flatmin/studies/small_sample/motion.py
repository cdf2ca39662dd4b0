"""The ways of Fig. 3.8 as an animation: in the time of one update of the full batch, all single ones of an epoch."""

from flatmin.figures.animations import Motion, Track
from flatmin.figures.style import PAGE_WIDTH, blank, house_style
from flatmin.results import Tables
from flatmin.results.words import counted
from flatmin.studies.small_sample.figure import TITLE, colors, landscape

FRAMES = 120


def small_sample_motion(tables: Tables) -> Motion:
    """Each batch size on a map of its own; a frame is an update of the smallest, others wait for their examples."""
    rows, asked = tables.frames["small_sample"], tables.experiment
    first = rows[rows["seed"] == asked["seeds"][0]]
    looks = colors(first)
    per = {size: int(((first["batch_size"] == size) & (first["epoch"] == 1)).sum()) for size in looks}
    most = max(per.values())
    frames = range(min(FRAMES, most * asked["epochs"]) + 1)
    with house_style():
        figure = blank(PAGE_WIDTH, 3.7)
        panels = figure.subplots(1, len(looks), sharey=True, squeeze=False)[0]
        for axes, size in zip(panels, looks, strict=True):
            landscape(axes, tables)
            axes.set_title(f"Batches of {size}: {counted(per[size], 'update')} an epoch")
        figure.suptitle(TITLE, x=0.012, ha="left")
    done = {size: [frame * per[size] // most for frame in frames] for size in looks}
    ways = {size: first[first["batch_size"] == size].set_index("update").loc[done[size]] for size in looks}
    tracks = [
        Track(axes, ways[size]["w1"], ways[size]["w2"], looks[size], dots=True)
        for axes, size in zip(panels, looks, strict=True)
    ]
    captions = [
        f"epoch {frame / most:.2f}, updates: " + ", ".join(f"{done[size][frame]} (B = {size})" for size in looks)
        for frame in frames
    ]
    return Motion(figure, captions, tracks)
