"""Callbacks for a Lightning Trainer of one's own."""
