"""What the screens say, as data: the stable shape behind ``--json``, and the only input of the screens."""
