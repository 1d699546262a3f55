"""Messages with the plans that answer them, and the generator of most of them."""
