"""Readers of pose data sets; each returns a list of :class:`~poseact.data.sample.PoseSample`."""
