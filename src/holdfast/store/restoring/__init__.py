"""Steps of a restore, which `restore` puts in their order: absence, the base, putting in place, and the answers."""
