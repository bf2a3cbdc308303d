"""The budget: never more requests than a user may send, and none left unspent."""
