"""Quality gates at the two boundaries: raw batches on the way in, figures on the way out. No gate changes data."""
