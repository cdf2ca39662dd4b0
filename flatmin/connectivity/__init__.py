"""Whether two minima are one valley: barriers, curves of low loss between them, neurons brought into one order."""

from flatmin.connectivity.barriers import Barrier, barrier
from flatmin.connectivity.connecting import connect
from flatmin.connectivity.curves import Curve
from flatmin.connectivity.matching import Matched, match_neurons

__all__ = ["Barrier", "Curve", "Matched", "barrier", "connect", "match_neurons"]
