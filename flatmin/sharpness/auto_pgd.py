r"""Climbing in a ball with steps that halve themselves: Auto-PGD (Croce and Hein, 2020).

A step goes along the steepest direction of the norm, is projected onto the ball and keeps a quarter of the one before:

.. math:: z = P(u_k + \eta\, s(\nabla_u f)), \quad u_{k+1} = P\big(u_k + 0.75\,(z - u_k) + 0.25\,(u_k - u_{k-1})\big).

The first :math:`\eta` is :math:`2\rho`. At checkpoints, which come ever more often, it is halved and the climb goes on
from its highest point, if fewer than three in four steps since the last one rose or if neither :math:`\eta` nor that
point has changed since.
"""

import math

from torch import Tensor

from flatmin.sharpness.ball import Ball, Peak

MOMENTUM = 0.75
RISING = 0.75
FIRST_CHECKPOINT, CLOSER, CLOSEST = 0.22, 0.03, 0.06


def checkpoints(steps: int) -> list[int]:
    """After which steps the length of a step is looked at.

    Example:
        >>> checkpoints(20)
        [5, 9, 12, 14, 16, 18, 19, 20]
    """
    found, share, distance = list[int](), 0.0, FIRST_CHECKPOINT
    while share + distance < 1:
        share += distance
        found.append(math.ceil(round(share * steps, 9)))
        distance = max(distance - CLOSER, CLOSEST)
    return sorted(set(found))


def auto_pgd(ball: Ball, start: Tensor, *, steps: int) -> Peak:
    """Climb from a point of the ball; ends early where the loss is infinite."""
    u = before = start
    loss, slope = ball.value_and_slope(u) if start.any() else (ball.base_loss, ball.base_slope)
    best = Peak(loss, u, slope)
    step, marks = 2 * ball.rho, checkpoints(steps)
    last_mark, rising, as_it_was = 0, 0, (math.nan, math.nan)
    for k in range(1, steps + 1):
        ahead = ball.norm.projected(u + step * ball.norm.steepest(slope), ball.rho)
        way = ahead - u if k == 1 else MOMENTUM * (ahead - u) + (1 - MOMENTUM) * (u - before)
        before, u = u, ball.norm.projected(u + way, ball.rho)
        higher, slope = ball.value_and_slope(u)
        rising, loss = rising + (higher > loss), higher
        if loss > best.loss:
            best = Peak(loss, u, slope)
        if loss == math.inf:
            break
        if k in marks:
            unchanged = as_it_was == (step, best.loss)
            as_it_was = (step, best.loss)
            if rising < RISING * (k - last_mark) or unchanged:
                step /= 2
                u = before = best.u
                loss, slope = best.loss, best.slope
            last_mark, rising = k, 0
    return best
