"""An open visual assistant: a picture and a question in, words and boxes out."""
