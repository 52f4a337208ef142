"""Which rows of the maps are what: for those who compute them (torch) and those who only lay them out."""

COORDINATES = 4  # of the head, before the details of engines/detail_maps.py
# Details that the start of the network gets too, at its own size: bulk and edge of hair, glasses, eyes, brows, lips,
# gear.
COARSE = (12, 13, 14, 15, 16, 18, 19, 21, 22, 23, 28, 29, 30, 31, *range(36, 44))
