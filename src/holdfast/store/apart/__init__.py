"""Files of outputs are read in a process of our own, so that no lock of the job is lost."""
