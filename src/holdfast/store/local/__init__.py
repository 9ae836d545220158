"""This machine's side: outputs and the memory of them in `.holdfast/`, what lies in a folder, and putting files in place."""
