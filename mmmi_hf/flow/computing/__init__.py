"""How networks are computed: exactly, and until somebody asks them to stop."""
