"""Files that a program may hold open while a backup looks at them: which kinds there are, and what can be told of each."""
