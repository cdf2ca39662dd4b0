"""What the tables are called, and how a network may have ended."""

NETWORKS = "noise_scale_networks"
SHARPNESS = "noise_scale_sharpness"
NOISE = "noise_scale_gradients"
SCHEDULES = "noise_scale_schedules"
READINGS = ("equal_loss", "equal_epochs")
REACHED, SHORT, LOST = "reached", "short", "lost"
LEVELS = (1.0, 0.5, 0.2, 0.1, 0.05, 0.02)
"""Training losses at whose first crossing the gradient-noise scale is measured, beside the start."""
