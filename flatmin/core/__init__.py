"""The objective, flat weight vectors and what all rooms share."""
