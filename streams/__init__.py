"""The application: what is pure lives in `core`, what touches the world lives in the rooms around it."""
