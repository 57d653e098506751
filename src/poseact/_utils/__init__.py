"""What every folder of the package may use: errors, files, signals, devices."""
