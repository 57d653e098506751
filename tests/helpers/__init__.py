"""Generated data sets, files and networks that several tests share."""
