"""Kinds of file that a program holds open: recognised by content, copied each in its own way, judged by what proves damage."""
