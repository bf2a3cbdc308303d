"""`replay`: files to their end, over bulk actions, conditions, signals and kills."""
