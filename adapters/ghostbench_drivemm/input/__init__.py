"""What a request becomes before the network sees it: prompt, token counts, pixels. Counting needs no torch."""
