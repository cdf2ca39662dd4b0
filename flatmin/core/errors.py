"""Errors a user can mend: each message is one line that names the thing, the rule and the way out."""


class FlatminError(Exception):
    """Base of the errors that the command line prints as one line."""


class ConfigError(FlatminError):
    """An experiment file or a command-line override is not valid."""


class DataError(FlatminError):
    """A data set is missing, damaged or not what it claims to be."""


class CheckpointError(FlatminError):
    """A file of weights cannot be read, holds none or does not fit the network."""


class ResultsError(FlatminError):
    """A results folder is damaged, in use or cannot be written."""


class NotFinite(RuntimeError):
    """The loss, or a derivative of it, is not finite at the point where something is asked of it."""
