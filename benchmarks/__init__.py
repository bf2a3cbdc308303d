"""What is promised of speed and thrift, measured as ratios within one run: `make bench`."""
