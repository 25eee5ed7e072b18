"""The rules that judge a training while it runs."""
