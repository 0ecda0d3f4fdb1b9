"""Feeds: calls, legs and Annex B figures as Delta tables on S3, each batch exactly once."""
