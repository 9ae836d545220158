"""What is written in the store, byte by byte: names, manifest, sentinel, tars. A change here is a change of FORMAT.md."""
