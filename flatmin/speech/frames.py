"""A prepared set of frames, and its single file."""

import io
import zipfile
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from flatmin.speech.features import Array, spliced

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Frames:
    """Frames of many utterances with the state that each shows, split into training and test frames.

    The frames are kept once, not nine times, and spliced on demand.

    Args:
        name: ``"timit"``, or ``"timit_sample"`` for the freely distributed sample.
        features: ``(frames, dim)``, normalised, utterance after utterance.
        lengths: ``(utterances,)``, frames of each.
        targets: ``(frames,)``, states from 0 to ``num_classes - 1``.
        num_classes: Number of states.
        context: Neighbours spliced to either side.
        train: Rows of the training frames, in their order.
        test: Rows of the test frames.
        account: JSON-able record of how they came about.
    """

    name: str
    features: Array
    lengths: Integers
    targets: Integers
    num_classes: int
    context: int
    train: Integers
    test: Integers
    account: dict[str, Any]

    @property
    def num_inputs(self) -> int:
        """Inputs of one example."""
        return (2 * self.context + 1) * int(self.features.shape[1])

    def examples(self, rows: Integers) -> tuple[Array, Integers]:
        """Spliced inputs ``(len(rows), num_inputs)`` and targets of some frames."""
        return spliced(self.features, self.lengths, self.context, rows), self.targets[rows]

    def packed(self) -> bytes:
        """All but name and account as a NumPy archive; the same frames give the same bytes."""
        stream = io.BytesIO()
        np.savez(
            stream,
            features=self.features,
            lengths=self.lengths,
            targets=self.targets,
            num_classes=self.num_classes,
            context=self.context,
            train=self.train,
            test=self.test,
        )
        return stream.getvalue()

    @classmethod
    def unpacked(cls, content: bytes, account: dict[str, Any]) -> "Frames":
        """Read what :meth:`packed` wrote.

        Raises:
            ValueError: If it is no such archive, claims more than it holds, or its frames are not what they should be.
            KeyError: If it lacks an array.
        """
        with zipfile.ZipFile(io.BytesIO(content)) as members:
            if sum(member.file_size for member in members.infolist()) > len(content):
                raise ValueError("it claims more than it holds")
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            frames = cls(
                name=account["name"],
                features=archive["features"],
                lengths=archive["lengths"],
                targets=archive["targets"],
                num_classes=int(archive["num_classes"]),
                context=int(archive["context"]),
                train=archive["train"],
                test=archive["test"],
                account=account,
            )
        if not np.isfinite(frames.features).all():
            raise ValueError("a feature is not finite")
        for name, values, count in (
            ("target", frames.targets, frames.num_classes),
            ("training row", frames.train, len(frames.targets)),
            ("test row", frames.test, len(frames.targets)),
        ):
            if not ((values >= 0) & (values < count)).all():
                raise ValueError(f"a {name} is not from 0 to {count - 1}")
        return frames
