"""The main job, driven through HTTP as clients would: ``make demo``."""
