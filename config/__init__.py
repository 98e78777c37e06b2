"""What can be set: typed settings, where a node keeps its files, and the sample world."""
