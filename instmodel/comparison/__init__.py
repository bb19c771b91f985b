"""Champion and challenger: what changes when one model takes another's place."""
