"""Questions that no dashboard foresaw: why a figure is what it is, any figure by any dimension, and behaviour."""
