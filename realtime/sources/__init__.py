"""Where frames come from: one module a kind. ``realtime.capture.open_source`` picks among them."""
