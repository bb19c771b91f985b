"""What a model is: its instructions, the document, the rules, and ways to make one."""
