"""The parts of ``app.py``: where rooms that may not know each other are joined. Nothing else imports this."""
