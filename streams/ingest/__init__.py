"""The doors of the house: one file a recogniser, from its own format to match events, and the vault of identities.

Rules:
1. What a recogniser says of a person ends here: outside there is a random token from the vault, or nothing.
2. Boxes, landmarks, poses and pictures are never copied, whatever a recogniser adds to its format.
3. A line that cannot be read, and a face in it, become a problem with its place; nothing is lost in silence.
4. The same lines give the same events, byte for byte, wherever the reading starts, while the vault stays the same.
"""
