"""The loss of any network over fixed data as a pure function of its flat weight vector."""
