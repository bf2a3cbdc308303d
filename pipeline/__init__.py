"""The job: the command line, the destination file, the graph and its ends; assembles only."""
