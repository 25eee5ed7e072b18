"""What if: steps taken again on copies of the objects, which stay as they are."""
