"""Kinds of studies, one room each: its settings, steps, tables, figures and claims, declared in its ``KIND``."""
