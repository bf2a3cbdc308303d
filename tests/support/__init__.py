"""What several tests need, in rooms by what it stands for."""
