"""The studio: film, label, train and watch in the browser."""
