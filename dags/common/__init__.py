"""What the DAGs share: the assets that join them, their defaults, and the call for help when a task fails."""
