"""This machine's side of a store: what lies in outputs, and how a stable copy of it is had."""
